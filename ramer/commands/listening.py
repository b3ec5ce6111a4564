"""The socket of a command that serves."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import typer


@contextlib.contextmanager
def listen(host: str, port: int, served: str) -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens, and its address, which is printed; a warning if others can reach it.

    Args:
        port: 0 takes a free one. served: what others could use, in words.
    """
    from ramer.serving.demo.app import LOOPBACK

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # whoever reads the address may come before the server is up
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}"
        typer.echo(f"{address}  (Ctrl+C stops)")
        if host not in LOOPBACK:
            typer.echo(f"warning: whoever reaches {host} can use {served}", err=True)
        yield listening, address
