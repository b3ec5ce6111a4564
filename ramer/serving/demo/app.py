"""The server of the page: FastAPI, which comes with MLflow."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ramer.config import Section, one_line
from ramer.errors import RamerError, few, in_one_line
from ramer.serving.demo.bounds import CLIP_PATH, BoundedRequests, Bounds, Work, check_media
from ramer.serving.demo.fields import MOST_NAMED, check_query, refuse_repeated
from ramer.serving.demo.headers import OwnPagesOnly
from ramer.serving.demo.session import Session
from ramer.serving.demo.uploads import NO_SPACE, clip_suffix, received
from ramer.serving.raw_clips import called

PAGE = Path(__file__).with_name("page")
FILES = {
    "": ("index.html", "text/html"),
    "demo.css": ("demo.css", "text/css"),
    "demo.js": ("demo.js", "text/javascript"),
}
_READ = ["GET", "HEAD"]
LOOPBACK = ("127.0.0.1", "localhost", "::1")
Text = Annotated[str, Field(max_length=10_000)]


class Asked(Section):
    """A question of the page: a clip, and which of its modalities count."""

    token: Text
    available: list[Text]


def build_app(session: Session, host: str = "127.0.0.1", bounds: Bounds | None = None) -> FastAPI:
    """The application for one session.

    Args:
        bounds: of what it takes; the usual ones if None.
        host: it is served on. Requests that name another host are refused, so that a page elsewhere, whose name was
            made to lead here, learns nothing.
    """
    bounds = bounds or Bounds()
    app = FastAPI(title="ramer demo", openapi_url=None, redirect_slashes=False)
    if host in LOOPBACK:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    app.add_middleware(BoundedRequests, bounds=bounds)
    app.add_middleware(OwnPagesOnly)
    answer_faults(app)
    _take_clips(app, session, bounds)

    @app.api_route("/api/model", methods=_READ)
    def model() -> dict[str, Any]:
        return session.describe() | {"most_bytes": bounds.clip_bytes}

    @app.api_route("/api/corpus", methods=_READ)
    def pick(request: Request, clip: str) -> dict[str, Any]:
        check_query(request, ("clip",))
        return session.pick(clip)

    @app.post("/api/predict", dependencies=[Depends(refuse_repeated)])
    def predict(asked: Asked) -> dict[str, Any]:
        return session.predict(asked.token, asked.available)

    # Read once: a page that many look at opens no files.
    pages = {name: ((PAGE / file).read_bytes(), kind) for name, (file, kind) in FILES.items()}

    @app.api_route("/{name:path}", methods=_READ)
    def page(name: str) -> Response:
        if name not in pages:
            return JSONResponse({"error": f"{name}: nothing here"}, status_code=404)
        content, kind = pages[name]
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return app


def _take_clips(app: FastAPI, session: Session, bounds: Bounds) -> None:
    """The address that dropped files go to."""
    clips = Work(bounds.clips, bounds.reading_seconds)

    def read(path: Path | None, name: str, transcript: str | None) -> dict[str, Any]:
        with called(path, name):
            if path is not None:
                check_media(path, bounds)
            return session.read(path, transcript)

    @app.post(CLIP_PATH)
    async def take(
        request: Request,
        name: Annotated[str, Query(max_length=1000)] = "",
        transcript: Annotated[str | None, Query(max_length=10_000)] = None,
    ) -> dict[str, Any]:
        check_query(request, ("name", "transcript"))
        suffix = clip_suffix(request, name)
        session.check_takes_files()
        with clips.place() as place:
            async with received(request, name, suffix, "ramer-demo-") as path:
                task = partial(read, path, name, transcript)
                return await place.run(task, f"{name or 'the transcript'}: not read")


def answer_faults(app: FastAPI) -> None:
    """Every fault is a status and one line under ``error``."""

    def say(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
        # A name in JSON may hold half of a character, which no answer can.
        return JSONResponse({"error": text.encode("utf-8", "backslashreplace").decode()}, status, headers=headers)

    @app.exception_handler(RamerError)
    def refused(request: Request, error: RamerError) -> JSONResponse:
        return say(400, "; ".join(few(error.faults)))

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        # Without the input itself, which may hold what JSON has no word for.
        return say(
            422, "; ".join(f"{'.'.join(map(one_line, e['loc']))}: {e['msg']}" for e in error.errors()[:MOST_NAMED])
        )

    @app.exception_handler(HTTPException)
    def no_answer(request: Request, error: HTTPException) -> JSONResponse:
        return say(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(ClientDisconnect)
    def gone(request: Request, error: ClientDisconnect) -> JSONResponse:
        return say(400, "the connection ended before the request was here")

    @app.exception_handler(OSError)
    def no_room(request: Request, error: OSError) -> JSONResponse:
        return say(507 if error.errno in NO_SPACE else 500, in_one_line(error))
