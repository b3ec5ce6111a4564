"""The service: FastAPI as the page has it, with the page's bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Scope

from ramer.serving.demo.app import LOOPBACK, answer_faults
from ramer.serving.demo.bounds import BoundedRequests, Bounds, Work, check_media
from ramer.serving.demo.fields import check_query
from ramer.serving.demo.headers import OwnPagesOnly
from ramer.serving.demo.uploads import CLIP_TYPE, clip_suffix, is_clip, media_type, received
from ramer.serving.predictor import Predictor
from ramer.serving.raw_clips import SharedReader, called
from ramer.serving.service.figures import TEXT, Figures
from ramer.serving.service.observed import Observed
from ramer.serving.service.responses import Answer, Wanted, answer_clip, answer_question, read_question

_JSON = "application/json"
PATHS = ("/predict", "/health", "/metrics")
_READ = ["GET", "HEAD"]
_OF_CLIP = ("name", "transcript", "neighbours", "coverage", "risk")
_OF_RECORDS = f"expected no query beside {_JSON}, whose body says what is wanted"
BOUNDS = Bounds(other_bytes=16_000_000, other_seconds=30.0)


def build_service(
    predictor: Predictor, reader: SharedReader, host: str = "127.0.0.1", bounds: Bounds = BOUNDS
) -> FastAPI:
    """The application for one model.

    Args:
        reader: makes features of uploaded clips, or says why it cannot.
        host: it is served on; on loopback, requests that name another host are refused.
        bounds: of what it takes; as many predictions of records at once as of clips.
    """
    app = FastAPI(title="ramer", openapi_url=None, redirect_slashes=False)
    figures = Figures(predictor.description.corpus)
    if host in LOOPBACK:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    app.add_middleware(BoundedRequests, bounds=bounds, is_clip=_is_clip)
    app.add_middleware(OwnPagesOnly)
    app.add_middleware(Observed, figures=figures, paths=PATHS)
    answer_faults(app)
    _add_predict(app, predictor, reader, figures, bounds)

    @app.api_route("/health", methods=_READ)
    async def health() -> dict[str, Any]:
        described = predictor.description
        told: dict[str, Any] = {"status": "ok", "method": described.method, "corpus": described.corpus.name}
        told |= {"labels": list(predictor.label_names), "inputs": {m: d for m, d in predictor.dims.items() if d}}
        return told | {"takes_clips": not reader.why, "sets": predictor.conformal is not None}

    @app.api_route("/metrics", methods=_READ)
    async def metrics() -> Response:
        return Response(figures.text(), headers={"Content-Type": TEXT})

    return app


def _is_clip(scope: Scope) -> bool:
    return is_clip(Headers(scope=scope).get("content-type", ""))


def _add_predict(app: FastAPI, predictor: Predictor, reader: SharedReader, figures: Figures, bounds: Bounds) -> None:
    records = Work(bounds.clips, bounds.other_seconds, "other requests are being answered")
    clips = Work(bounds.clips, bounds.reading_seconds, "other clips are being read")

    def of_clip(path: Path | None, name: str, transcript: str | None, wanted: Wanted) -> Answer:
        predictor.check_judges(wanted.coverage, wanted.risk)
        with called(path, name):
            if path is not None:
                check_media(path, bounds)
            made = reader.read(path, transcript)
        return answer_clip(predictor, made, wanted)

    @app.post("/predict")
    async def predict(
        request: Request,
        name: Annotated[str, Query(max_length=1000)] = "",
        transcript: Annotated[str | None, Query(max_length=10_000)] = None,
        neighbours: bool = False,
        coverage: float | None = None,
        risk: float | None = None,
    ) -> JSONResponse:
        kind = request.headers.get("content-type", "")
        if is_clip(kind):
            check_query(request, _OF_CLIP)
            suffix, _ = clip_suffix(request, name), reader.check()
            wanted = Wanted(neighbours=neighbours, coverage=coverage, risk=risk)
            with clips.place() as place:
                async with received(request, name, suffix, "ramer-serve-") as path:
                    said = await place.run(lambda: of_clip(path, name, transcript, wanted))
        elif media_type(kind) == _JSON:
            check_query(request, (), _OF_RECORDS)
            with records.place() as place:
                body = await request.body()
                said = await place.run(lambda: answer_question(predictor, read_question(body, predictor.dims)))
        else:
            raise HTTPException(415, f"expected records as {_JSON}, or a clip as {CLIP_TYPE}")
        figures.observe(said.prediction)
        return JSONResponse(said.content)
