"""``ramer demo``: a page to try a model on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ramer.commands import options


def demo(
    model: options.Model = Path("."),
    method: options.Method = None,
    manifest: options.Manifest = None,
    preset: options.Preset = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8700,
    host: Annotated[str, typer.Option(help="Anything but loopback lets others use the page.")] = "127.0.0.1",
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Serve a page to try a model on.

    Drop a clip or pick one, switch modalities off, see emotions and neighbours change.
    """
    import socket

    from ramer.serving.demo.app import LOOPBACK, build_app
    from ramer.serving.demo.bounds import Bounds
    from ramer.serving.demo.server import serve
    from ramer.serving.demo.session import Session

    bounds = Bounds()
    app = build_app(Session.open(model, method, manifest=manifest, preset=preset), host, bounds)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # whoever reads the address may come before the server is up
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listening.getsockname()[1]}"
        typer.echo(f"{address}  (Ctrl+C stops)")
        if host not in LOOPBACK:
            typer.echo(f"warning: whoever reaches {host} can use this page", err=True)
        if open_page:
            typer.launch(address)
        serve(app, listening, bounds)
