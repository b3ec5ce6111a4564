"""Pictures of a media file at a rate, as a player shows them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideData
from jaxtyping import UInt8

from ramer.extraction.media import Opened, SkippedPackets, decoded, main_track, packets_of
from ramer.extraction.outcomes import Missing

_EPSILON_SECONDS = 1e-6
MOST_PIXELS = 1 << 26  # a picture of more is a damaged header, or too much for the memory of a desk
_LONGEST_SIDE = 3840  # pixels: larger pictures are shrunk to it as they are decoded
_TIMED = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")  # containers that tell when each packet is shown
_REORDERED = 32  # packets that a frame may lie from its place in time: H.264 allows sixteen
_FLATTEST = 0.25  # shape of a pixel that is believed; some headers hold nonsense
_ONE_DEGREE = float(np.sin(np.radians(1.0)))

# Leading underscores: two images in one call need not be of one size.
Image = UInt8[np.ndarray, "_height _width 3"]


class FrameSampler:
    """Frames of the video track that a player shows, at a rate, upright, one at a time.

    Iterating raises ``Missing`` where there is no track, no frame, or (failed) nothing can be decoded.

    Attributes:
        notes: complete once the iteration has ended.
    """

    def __init__(self, path: Path, frames_per_second: float) -> None:
        self.path = path
        self.interval = 1.0 / frames_per_second
        self.notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Image]:
        with Opened(self.path) as container:
            track = main_track(container, "video")
            assert isinstance(track, av.VideoStream)
            size = (track.codec_context.width, track.codec_context.height)
            if size[0] * size[1] > MOST_PIXELS:
                raise Missing(f"pictures of {size[0]} x {size[1]}: more than {MOST_PIXELS} pixels", failed=True)
            track.thread_type = "AUTO"
            skipped = SkippedPackets()
            packets = packets_of(container, track, skipped)
            if track.codec_context.name == "h264" and container.format.name in _TIMED:
                packets = _only_needed(packets, track, self.interval)
            start: float | None = None
            taken = 0
            frame_seconds = float(1 / track.average_rate) if track.average_rate else self.interval
            for number, frame in enumerate(decoded(packets, skipped)):
                seconds = frame.time if frame.time is not None else number * frame_seconds
                start = seconds if start is None else start
                tick = _tick(seconds - start, self.interval)
                if tick < taken:
                    continue
                taken = tick + 1  # it lies after this frame: after a gap the clip is not sampled twice
                yield _shown(frame, track)
            if not taken:
                skipped.raise_if_any("video")
                raise Missing("the video track holds no frames")
            self.notes = skipped.notes("video")


def _tick(seconds: float, interval: float) -> int:
    """The last tick of the rate that is not after this time from the first frame."""
    return int((seconds + _EPSILON_SECONDS) // interval)


def _only_needed(packets: Iterator[av.Packet], track: av.VideoStream, interval: float) -> Iterator[av.Packet]:
    """Packets of H.264, of which the decoder leaves out frames that are neither sampled nor referred to by others.

    That is nearly half of the work. What is sampled is the first frame from each tick on: it is known before the
    packet is decoded, from the times of the packets around it.
    """
    ahead: deque[av.Packet] = deque()
    times: deque[int | None] = deque(maxlen=2 * _REORDERED)  # of the packets before and after the one that is decoded
    start: int | None = None

    def needed(packet: av.Packet) -> bool:
        known = [time for time in times if time is not None]
        if start is None or packet.pts is None or packet.time_base is None or len(known) < len(times):
            return True
        earlier = max((time for time in known if time < packet.pts), default=start - 1)
        now, before = (_tick(float((time - start) * packet.time_base), interval) for time in (packet.pts, earlier))
        return now > before

    def sent() -> av.Packet:
        nonlocal start
        if start is None and None not in times:
            start = min((time for time in times if time is not None), default=None)
        packet = ahead.popleft()
        track.codec_context.skip_frame = "DEFAULT" if needed(packet) else "NONREF"
        return packet

    for packet in packets:
        ahead.append(packet)
        if packet.size and not packet.is_discard:  # shown; the others are the end and what an edit list cuts off
            times.append(packet.pts)
        if len(ahead) == _REORDERED:
            yield sent()
    while ahead:
        yield sent()


def _shown(frame: av.VideoFrame, track: av.VideoStream) -> Image:
    """A frame as a player shows it: with square pixels, turned and mirrored as its display matrix says."""
    aspect = float(track.sample_aspect_ratio or 1)
    aspect = aspect if _FLATTEST <= aspect <= 1 / _FLATTEST else 1.0
    width, height = (frame.width * aspect, frame.height) if aspect >= 1 else (frame.width, frame.height / aspect)
    scale = min(1.0, _LONGEST_SIDE / max(width, height))
    image = frame.to_ndarray(format="rgb24", width=round(width * scale), height=round(height * scale))
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return displayed(image, np.frombuffer(bytes(matrix), np.int32)) if isinstance(matrix, SideData) else image


def displayed(image: Image, matrix: np.ndarray) -> Image:
    """An image as a display matrix shows it.

    Args:
        image: as it is stored.
        matrix: the nine numbers of FFmpeg, rows (a, b, u), (c, d, v), (x, y, w): the pixel (p, q) is shown at
            (a p + c q, b p + d q).
    """
    linear = matrix.reshape(3, 3)[:2, :2].T.astype(np.float64)  # [[a, c], [b, d]]
    size = np.sqrt(abs(np.linalg.det(linear)))
    if not size:
        return image  # says nothing
    (a, c), (b, d) = linear = linear / size
    if max(abs(b), abs(c)) < _ONE_DEGREE:
        return np.ascontiguousarray(image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
    if max(abs(a), abs(d)) < _ONE_DEGREE:
        return np.ascontiguousarray(image.swapaxes(0, 1)[:: -1 if b < 0 else 1, :: -1 if c < 0 else 1])
    return _warped(image, linear)


def _warped(image: Image, linear: np.ndarray) -> Image:
    """An image turned by any angle, in a frame that holds the whole of it."""
    height, width = image.shape[:2]
    corners = linear @ np.array([[0, width, 0, width], [0, 0, height, height]])
    low, high = corners.min(axis=1), corners.max(axis=1)
    matrix = np.column_stack([linear, -low])
    wide, tall = np.maximum(1, np.ceil(high - low)).astype(int).tolist()
    return cv2.warpAffine(image, matrix, (wide, tall), flags=cv2.INTER_LINEAR)
