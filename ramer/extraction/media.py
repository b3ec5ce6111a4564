"""Media files opened with PyAV and its own copy of FFmpeg: the track that players choose, and its frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
from av.stream import Disposition

from ramer.errors import raise_if_scarce
from ramer.extraction.outcomes import Missing, one_line

# To FFmpeg a cover picture is a video track, and so are a player's preview pictures.
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
# Tracks beside the main one: comments, described pictures, sound without voices, parts of another track.
_BESIDE = (
    Disposition.comment
    | Disposition.hearing_impaired
    | Disposition.visual_impaired
    | Disposition.descriptions
    | Disposition.clean_effects
    | Disposition.karaoke
    | Disposition.non_diegetic
    | Disposition.dependent
)


class Opened:
    """``av.open`` whose errors are reasons; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> av.container.InputContainer:
        try:
            # "file:" keeps FFmpeg from reading a colon in a name as a protocol, the list from following a playlist
            # that is named like a clip to other places.
            self.container = av.open(
                f"file:{self.path}", metadata_errors="replace", options={"protocol_whitelist": "file"}
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            raise_if_scarce(error)
            reason = getattr(error, "strerror", None) or one_line(error)
            raise Missing(f"the file cannot be read: {reason}", failed=True) from None
        return self.container

    def __exit__(self, *_: object) -> None:
        self.container.close()


def main_track(container: av.container.InputContainer, kind: str) -> av.stream.Stream:
    """The track that players choose: the one flagged as default, else the first that is not beside another.

    Args:
        kind: audio or video.

    Raises:
        Missing: there is no such track, or (failed) none that can be decoded.
    """
    tracks = [t for t in container.streams if t.type == kind and not t.disposition & _NO_VIDEO]
    if not tracks:
        raise Missing(f"no {kind} track")
    known = [track for track in tracks if track.codec_context is not None]
    if not known:
        raise Missing(f"no decoder for the {kind} track", failed=True)
    return min(
        known,
        key=lambda t: (not t.disposition & Disposition.default, bool(t.disposition & _BESIDE), t.index),
    )


class SkippedPackets:
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


def packets_of(
    container: av.container.InputContainer, track: av.stream.Stream, skipped: SkippedPackets
) -> Iterator[av.Packet]:
    """Packets of a track, up to where the file breaks; the last one is empty and asks for what is left."""
    packets = container.demux(track)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError as error:
            skipped.add(error)
            return
        yield packet


def decoded(packets: Iterable[av.Packet], skipped: SkippedPackets) -> Iterator:
    """Frames of a track; packets that cannot be decoded are skipped and counted."""
    for packet in packets:
        try:
            frames = packet.decode()
        except av.EOFError:
            return
        except av.FFmpegError as error:
            skipped.add(error)
            continue
        yield from frames
