"""What one page may cost: bytes, seconds and work at once. Whoever asks for more is refused in one line."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ramer.errors import RamerError

Result = TypeVar("Result")
CLIP_PATH = "/api/clip"
_MEGABYTE = 1_000_000
_PICTURE = 1920 * 1080 * 30  # pixels a second of an ordinary film


@dataclass(frozen=True)
class Bounds:
    """The most that is taken.

    Attributes:
        clip_bytes: of a dropped file.
        clip_seconds: of sound or film in it.
        clip_pixels: of all its pictures together.
        other_bytes: of any other request.
        upload_seconds: until a dropped file is here.
        other_seconds: until any other request is here.
        reading_seconds: until a dropped file is features.
        clips: dropped files on their way at once; features are made of one at a time.
        connections: open at once.
    """

    clip_bytes: int = 200 * _MEGABYTE
    clip_seconds: int = 600
    clip_pixels: int = 600 * _PICTURE
    other_bytes: int = 64_000
    upload_seconds: float = 120.0
    other_seconds: float = 10.0
    reading_seconds: float = 180.0
    clips: int = 4
    connections: int = 64


class Work:
    """Threads for one kind of work, as many places as threads; whoever comes then is told to come again.

    Args:
        many: at once.
        seconds: until an answer.
        busy: what is told while no place is free.
    """

    def __init__(self, many: int, seconds: float, busy: str = "other clips are being read") -> None:
        self.seconds, self.busy = seconds, busy
        self.free, self.threads = threading.BoundedSemaphore(many), ThreadPoolExecutor(many)

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """A place from the beginning of a request to the end of its work, whichever way that ends.

        Raises:
            HTTPException: 503, none is free.
        """
        if not self.free.acquire(blocking=False):
            raise HTTPException(503, f"{self.busy}; try again in a moment", {"Retry-After": "5"})
        place = Place(self)
        try:
            yield place
        finally:
            if not place.started:
                self.free.release()


class Place:
    """Where one request's work is done."""

    def __init__(self, work: Work) -> None:
        self._work, self.started = work, False

    async def run(self, task: Callable[[], Result], late: str = "not answered") -> Result:
        """The result of a task in a thread.

        What takes too long goes on there, and keeps its place, although its file may be gone.

        Args:
            late: what is told then, before how long was waited.

        Raises:
            HTTPException: 504, it takes too long.
        """
        working = self._work.threads.submit(task)
        self.started = True
        working.add_done_callback(lambda _: self._work.free.release())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(working), self._work.seconds)
        except TimeoutError:
            raise HTTPException(504, f"{late} within {self._work.seconds:g} s") from None


class BoundedRequests:
    """ASGI middleware: a request that is too large is refused with 413, one that does not arrive in time with 408.

    Args:
        is_clip: whether a request brings a clip, and may be as large as one; by the page's address if None.
    """

    def __init__(self, app: ASGIApp, bounds: Bounds, is_clip: Callable[[Scope], bool] | None = None) -> None:
        self.app = app
        self.is_clip = is_clip or (lambda scope: scope["path"] == CLIP_PATH)
        self.bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        clip = self.is_clip(scope)
        most = self.bounds.clip_bytes if clip else self.bounds.other_bytes
        seconds = self.bounds.upload_seconds if clip else self.bounds.other_seconds
        deadline = asyncio.get_running_loop().time() + seconds
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        came = int(announced) if announced.isdigit() and int(announced) > most else 0

        async def bounded() -> Message:
            nonlocal came
            if came <= most:
                try:
                    async with asyncio.timeout_at(deadline):
                        message = await receive()
                except TimeoutError:
                    raise HTTPException(408, f"the request did not arrive within {seconds:g} s") from None
                came += len(message.get("body", b""))
            if came > most:
                raise HTTPException(413, f"larger than {_told(most)}")
            return message

        await self.app(scope, bounded, send)


def check_media(path: Path, bounds: Bounds) -> None:
    """Refuse a file that says of itself that it is longer, or holds more pictures, than is read.

    Raises:
        RamerError: naming what there is too much of.
    """
    for seconds, pixels in _extents(path):
        if seconds > bounds.clip_seconds:
            raise RamerError(f"the clip is {seconds:.0f} s long, expected at most {bounds.clip_seconds}")
        if pixels > bounds.clip_pixels:
            most = bounds.clip_pixels / _PICTURE
            raise RamerError(
                f"the clip holds {pixels / bounds.clip_pixels:.1f} times the pictures of {most:.0f} s of full HD"
            )


def _extents(path: Path) -> Iterator[tuple[float, float]]:
    """Seconds and pixels of every track whose header tells them; a file that is no media file has none."""
    import av

    with (
        contextlib.suppress(av.FFmpegError, ValueError),
        av.open(f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file"}) as container,
    ):
        whole = (container.duration or 0) / 1e6
        for stream in (*container.streams.audio, *container.streams.video):
            seconds = max(
                whole, float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
            )
            yield seconds, 0.0
        for film in container.streams.video:
            yield 0.0, seconds * float(film.average_rate or 0) * film.width * film.height


def _told(size: int) -> str:
    return f"{size // _MEGABYTE} MB" if size >= _MEGABYTE else f"{size // 1000} kB"
