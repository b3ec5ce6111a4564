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
    from ramer.commands.listening import listen
    from ramer.serving.demo.app import build_app
    from ramer.serving.demo.bounds import Bounds
    from ramer.serving.demo.server import serve
    from ramer.serving.demo.session import Session

    bounds = Bounds()
    app = build_app(Session.open(model, method, manifest=manifest, preset=preset), host, bounds)
    with listen(host, port, "this page") as (listening, address):
        if open_page:
            typer.launch(address)
        serve(app, listening, bounds)
