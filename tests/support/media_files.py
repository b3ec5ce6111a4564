"""Media files that tests write: any container, codec, number of tracks and display matrix."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.stream import Disposition

RATE = 48_000


class Track(NamedTuple):
    """Sound of a file: float [channels, samples] or [samples] at 48 kHz, its layout's name, what it is flagged as."""

    samples: np.ndarray
    layout: str = "mono"
    flags: Disposition | None = None


def sine(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def pitch(signal: np.ndarray, rate: int = 16_000) -> float:
    """The strongest frequency of a signal."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    return float(np.argmax(spectrum) * rate / len(signal))


def plain(level: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), level, dtype=np.uint8)


def write_media(
    path: Path,
    frames: Sequence[np.ndarray] = (),
    tracks: Sequence[Track] = (),
    *,
    video_codec: str = "mpeg4",
    audio_codec: str = "aac",
    container: str | None = None,
    rate: int = RATE,
    aspect: Fraction | None = None,
) -> Path:
    """Write RGB frames, ten a second, and sound tracks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=container) as file:
        picture: Any = _add_video(file, frames[0], video_codec, aspect) if len(frames) else None
        streams: list[Any] = [file.add_stream(audio_codec, rate=rate, layout=track.layout) for track in tracks]
        for stream, track in zip(streams, tracks, strict=True):
            if track.flags is not None:
                stream.disposition = track.flags
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            file.mux(picture.encode(frame))
        if picture is not None:
            file.mux(picture.encode(None))
        for stream, track in zip(streams, tracks, strict=True):
            _encode(file, stream, track, rate)
    return path


def _add_video(file: Any, image: np.ndarray, codec: str, aspect: Fraction | None) -> Any:
    stream = file.add_stream(codec, rate=10)
    stream.height, stream.width = image.shape[:2]
    stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    if aspect is not None:
        stream.codec_context.sample_aspect_ratio = aspect
    return stream


def _encode(file: Any, stream: Any, track: Track, rate: int) -> None:
    samples = np.atleast_2d(track.samples).astype(np.float32)
    known = stream.codec_context.format
    resampler = av.AudioResampler(format=known.name if known else "fltp", layout=track.layout, rate=rate)
    for start in range(0, samples.shape[1], 1024):
        block = np.ascontiguousarray(samples[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=track.layout)
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        for made in resampler.resample(frame):
            file.mux(stream.encode(made))
    for made in resampler.resample(None):
        file.mux(stream.encode(made))
    file.mux(stream.encode(None))


def set_display_matrix(path: Path, a: float, b: float, c: float, d: float) -> None:
    """Write the display matrix [a b; c d] into the first track of an mp4 file."""
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    values = (a, b, 0, c, d, 0)
    fixed = [round(value * 65536) for value in values] + [0, 0, 0x40000000]
    content[start : start + 36] = struct.pack(">9i", *fixed)
    path.write_bytes(content)
