"""The server of the page: FastAPI, which comes with MLflow."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import FileResponse, JSONResponse, Response

from ramer.errors import RamerError
from ramer.extraction.formats import MEDIA_SUFFIXES
from ramer.serving.demo.headers import OwnPagesOnly
from ramer.serving.demo.session import Session

PAGE = Path(__file__).with_name("page")
FILES = {"": "index.html", "demo.css": "demo.css", "demo.js": "demo.js"}
MOST_BYTES = 500_000_000  # of a dropped clip
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def build_app(session: Session, host: str = "127.0.0.1") -> FastAPI:
    """The application for one session.

    Args:
        host: it is served on. Requests that name another host are refused, so that a page elsewhere, whose name was
            made to lead here, learns nothing.
    """
    app = FastAPI(title="ramer demo", openapi_url=None)
    if host in LOOPBACK:
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])

    app.add_middleware(OwnPagesOnly)

    @app.exception_handler(RamerError)
    def refused(request: Request, error: RamerError) -> JSONResponse:
        return JSONResponse({"error": "; ".join(error.faults)}, status_code=400)

    @app.get("/api/model")
    def model() -> dict[str, Any]:
        return session.describe()

    @app.get("/api/corpus")
    def pick(clip: str) -> dict[str, Any]:
        return session.pick(clip)

    @app.post("/api/predict")
    def predict(token: Annotated[str, Body()], available: Annotated[list[str], Body()]) -> dict[str, Any]:
        return session.predict(token, available)

    @app.post("/api/clip")
    async def read(request: Request, name: str = "", transcript: str | None = None) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="ramer-demo-") as folder:
            path = await _receive(request, Path(folder), name)
            return await run_in_threadpool(session.read, path, transcript)

    @app.get("/{name:path}")
    def page(name: str) -> Response:
        if name not in FILES:
            return JSONResponse({"error": f"{name}: nothing here"}, status_code=404)
        return FileResponse(PAGE / FILES[name], headers={"Cache-Control": "no-cache"})

    return app


async def _receive(request: Request, folder: Path, name: str) -> Path | None:
    """Write the body of a request into a file that has nothing but the ending of its name; None if it is empty."""
    if request.headers.get("content-type") != "application/octet-stream":  # what other sites' pages cannot send
        raise RamerError("expected a clip as application/octet-stream")
    if not name:
        return None
    suffix = Path(name).suffix.lower()
    if suffix not in MEDIA_SUFFIXES:
        raise RamerError(f"{name}: unknown kind of file, expected {', '.join(MEDIA_SUFFIXES)}")
    path, size = folder / f"clip{suffix}", 0
    with path.open("wb") as file:
        async for block in request.stream():
            size += len(block)
            if size > MOST_BYTES:
                raise RamerError(f"{name}: larger than {MOST_BYTES // 1_000_000} MB")
            file.write(block)
    return path
