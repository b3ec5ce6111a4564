"""Sound and pictures of a media file, decoded with PyAV and its own copy of FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from jaxtyping import Float32, UInt8

from ramer.extraction.outcomes import Missing, one_line
from ramer.extraction.settings import SAMPLE_RATE

_LOUDNESS_WINDOW = SAMPLE_RATE // 20  # 50 ms
_EPSILON_SECONDS = 1e-6

# Leading underscores: two signals, or two images, in one call need not be of one size.
Signal = Float32[np.ndarray, " _samples"]
Image = UInt8[np.ndarray, "_height _width 3"]


def read_audio(path: Path) -> tuple[Signal, tuple[str, ...]]:
    """The first audio track as mono at ``SAMPLE_RATE``, with notes.

    Raises:
        Missing: no audio track, no samples in it, or (failed) the file cannot be decoded.
    """
    with _Opened(path) as container:
        if not container.streams.audio:
            raise Missing("no audio track")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        blocks: list[np.ndarray] = []
        errors = _Errors()
        try:
            for frame in _decoded(container, container.streams.audio[0], errors):
                blocks += [block.to_ndarray()[0] for block in resampler.resample(frame)]
            blocks += [block.to_ndarray()[0] for block in resampler.resample(None)] if blocks else []
        except (av.FFmpegError, ValueError) as error:
            raise Missing(f"audio cannot be decoded: {one_line(error)}", failed=True) from None
    if not sum(map(len, blocks)):
        errors.raise_if_any("audio")
        raise Missing("the audio track holds no samples")
    return np.ascontiguousarray(np.concatenate(blocks), dtype=np.float32), errors.notes("audio")


def loudness(signal: Signal) -> float:
    """Level of the loudest 50 ms in decibels relative to full scale; -inf for digital silence."""
    power = np.square(signal, dtype=np.float64)
    window = min(_LOUDNESS_WINDOW, len(power))
    sums = np.cumsum(np.concatenate([[0.0], power]))
    loudest = float((sums[window:] - sums[:-window]).max()) / window
    return 10.0 * float(np.log10(loudest)) if loudest > 0.0 else -np.inf


class FrameSampler:
    """Frames of the first video track at a rate, upright, one at a time.

    Iterating raises ``Missing`` where there is no track, no frame, or (failed) nothing can be decoded.
    ``notes`` is complete once the iteration has ended.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self.path = path
        self.interval = 1.0 / frames_per_second
        self.notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Image]:
        with _Opened(self.path) as container:
            # A cover picture is a video track to FFmpeg.
            streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
            if not streams:
                raise Missing("no video track")
            stream = streams[0]
            stream.thread_type = "AUTO"
            errors = _Errors()
            start: float | None = None
            taken = 0
            frame_seconds = float(1 / stream.average_rate) if stream.average_rate else self.interval
            for number, frame in enumerate(_decoded(container, stream, errors)):
                seconds = frame.time if frame.time is not None else number * frame_seconds
                start = seconds if start is None else start
                if seconds - start + _EPSILON_SECONDS < taken * self.interval:
                    continue
                # The next tick lies after this frame: after a gap the clip is not sampled twice.
                taken = int((seconds - start + _EPSILON_SECONDS) / self.interval) + 1
                yield _upright(frame)
            if not taken:
                errors.raise_if_any("video")
                raise Missing("the video track holds no frames")
            self.notes = errors.notes("video")


def _upright(frame: av.VideoFrame) -> Image:
    # FFmpeg leaves a phone's rotation to the player; a face lying on its side would not be found.
    image = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(image, k=round(frame.rotation / 90)))


class _Opened:
    """``av.open`` whose errors are reasons."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> av.container.InputContainer:
        try:
            # "file:" keeps FFmpeg from reading a colon in a name as a protocol.
            self.container = av.open(f"file:{self.path}", metadata_errors="replace")
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or one_line(error)
            raise Missing(f"the file cannot be read: {reason}", failed=True) from None
        return self.container

    def __exit__(self, *_: object) -> None:
        self.container.close()


class _Errors:
    """Packets that could not be decoded: a player skips them, so do we, and say so."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""

    def add(self, error: Exception) -> None:
        self.count += 1
        self.last = getattr(error, "strerror", None) or one_line(error)

    def raise_if_any(self, what: str) -> None:
        if self.count:
            raise Missing(f"{what} cannot be decoded: {self.last}", failed=True)

    def notes(self, what: str) -> tuple[str, ...]:
        return (f"{self.count} {what} packets could not be decoded: {self.last}",) if self.count else ()


def _decoded(container: av.container.InputContainer, stream: av.stream.Stream, errors: _Errors) -> Iterator:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError as error:  # the container itself is broken from here on
            errors.add(error)
            return
        try:
            frames = packet.decode()
        except av.EOFError:
            return
        except av.FFmpegError as error:
            errors.add(error)
            continue
        yield from frames
