"""``ramer serve``: a model over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ramer.commands import options


def serve(
    model: options.Model = Path("."),
    method: options.Method = None,
    manifest: options.Manifest = None,
    preset: options.Preset = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8701,
    host: Annotated[str, typer.Option(help="Anything but loopback lets others use the service.")] = "127.0.0.1",
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Requests in work at once; more are told to wait.")] = 4,
) -> None:
    """Serve a model over HTTP: /predict, /health, /metrics.

    Features as JSON or a clip in, emotions out; a line of JSON on standard error for every request.
    """
    import logging
    from dataclasses import replace

    from ramer.commands.listening import listen
    from ramer.serving.demo.server import serve as answer
    from ramer.serving.predictor import Predictor
    from ramer.serving.raw_clips import SharedReader
    from ramer.serving.service.http_app import BOUNDS, build_service

    predictor = Predictor.load(model, method)
    reader = SharedReader.open(predictor, manifest=manifest, preset=preset)
    bounds = replace(BOUNDS, clips=parallel)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    requests = logging.getLogger("ramer.serving.service")
    requests.addHandler(handler)
    requests.setLevel(logging.INFO)
    with listen(host, port, "this service") as (listening, _):
        answer(build_service(predictor, reader, host, bounds), listening, bounds)
