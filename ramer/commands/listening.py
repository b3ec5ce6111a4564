"""The socket of a command that serves."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator

import typer

from ramer.errors import RamerError


@contextlib.contextmanager
def listen(host: str, port: int, served: str) -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens, and its address, which is printed; a warning if others can reach it.

    Args:
        port: 0 takes a free one. served: what others could use, in words.

    Raises:
        RamerError: no host, or the address is in use, or none of this machine.
    """
    from ramer.config import one_line
    from ramer.serving.demo.app import LOOPBACK

    if not host:  # to a socket it means every address
        raise RamerError("--host: expected a name or an address, got an empty one; 0.0.0.0 stands for every address")
    shown = f"[{host}]" if ":" in host else host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
            listening.listen()  # whoever reads the address may come before the server is up
        except OSError as error:
            raise RamerError(_refusal(f"http://{one_line(shown)}:{port}", error)) from None
        except (TypeError, UnicodeError):  # no name that could be asked for
            address = f"http://{one_line(shown)}:{port}"
            raise RamerError(f"{address}: not the name of a host; name another with --host") from None
        address = f"http://{shown}:{listening.getsockname()[1]}"
        typer.echo(f"{address}  (Ctrl+C stops)")
        if host not in LOOPBACK:
            typer.echo(f"warning: whoever reaches {host} can use {served}", err=True)
        yield listening, address


def _refusal(address: str, error: OSError) -> str:
    """Why an address cannot be listened on, and which option names another."""
    reason = " ".join((error.strerror or str(error)).split()).lower()
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        return f"{address}: {reason}; name another port with --port, 0 takes a free one"
    return f"{address}: {reason}; name another with --host"
