"""The sound of a media file as one mono signal."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from jaxtyping import Float32

from ramer.extraction.media import Opened, SkippedPackets, decoded, main_track, packets_of
from ramer.extraction.outcomes import Missing, one_line
from ramer.extraction.settings import SAMPLE_RATE

_LOUDNESS_WINDOW = SAMPLE_RATE // 20  # 50 ms
# Of the loudest channel's power. Channels that have nothing to do with one another keep more than half of it; what
# falls below this has been taken away by the other channel.
_CANCELLED = 0.06

# A leading underscore: two signals in one call need not be of one length.
Signal = Float32[np.ndarray, " _samples"]


def read_audio(path: Path) -> tuple[Signal, tuple[str, ...]]:
    """The sound that a player plays, as mono at ``SAMPLE_RATE``, with notes; about 4 MB a minute.

    Where the channels cancel in the mono mix (one is the other upside down), the loudest of them is taken.

    Raises:
        Missing: no audio track, no samples in it, or (failed) the file cannot be decoded.
    """
    mixed, powers, skipped = _decode(path, None)
    if not len(mixed):
        skipped.raise_if_any("audio")
        raise Missing("the audio track holds no samples")
    notes = skipped.notes("audio")
    if len(powers) > 1 and np.square(mixed, dtype=np.float64).sum() < _CANCELLED * powers.max():
        loudest = int(powers.argmax())
        mixed, _, _ = _decode(path, loudest)
        notes += (f"its channels cancel one another: channel {loudest + 1} of {len(powers)} is taken",)
    return mixed, notes


def loudness(signal: Signal) -> float:
    """Level of the loudest 50 ms in decibels relative to full scale; -inf for digital silence."""
    power = np.square(signal, dtype=np.float64)
    window = min(_LOUDNESS_WINDOW, len(power))
    sums = np.cumsum(np.concatenate([[0.0], power]))
    loudest = float((sums[window:] - sums[:-window]).max()) / window
    return 10.0 * float(np.log10(loudest)) if loudest > 0.0 else -np.inf


def _decode(path: Path, channel: int | None) -> tuple[Signal, np.ndarray, SkippedPackets]:
    """The mono mix, or one channel, and the power of every channel summed over time."""
    skipped = SkippedPackets()
    with Opened(path) as container:
        mono, channels = _Resampler("mono"), _Resampler(None)
        blocks: list[np.ndarray] = []
        powers = np.zeros(0)
        try:
            packets = packets_of(container, main_track(container, "audio"), skipped)
            for frame in decoded(packets, skipped):
                if channel is None:
                    blocks += [block[0] for block in mono.add(frame)]
                if channel is not None or len(frame.layout.channels) > 1:
                    apart = channels.add(frame)
                    powers = _added(powers, apart)
                    blocks += [block[min(channel, len(block) - 1)] for block in apart] if channel is not None else []
            blocks += [block[0] for block in mono.rest()]
            blocks += [block[min(channel, len(block) - 1)] for block in channels.rest()] if channel is not None else []
        except (av.FFmpegError, ValueError) as error:
            raise Missing(f"audio cannot be decoded: {one_line(error)}", failed=True) from None
    return np.concatenate([np.zeros(0, np.float32), *blocks]), powers, skipped


def _added(powers: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
    for block in blocks:
        more = np.square(block, dtype=np.float64).sum(axis=1)
        longer, shorter = (powers, more) if len(powers) >= len(more) else (more, powers)
        powers = longer.copy()
        powers[: len(shorter)] += shorter
    return powers


class _Resampler:
    """Frames at ``SAMPLE_RATE``, also where their rate or layout changes on the way.

    Args:
        layout: mono, or None to keep the channels.
    """

    def __init__(self, layout: str | None) -> None:
        self.layout = layout
        self._key: tuple[object, ...] | None = None
        self._resampler: av.AudioResampler | None = None

    def add(self, frame: av.AudioFrame) -> list[np.ndarray]:
        """Blocks float32 [channels, samples], perhaps none yet."""
        blocks: list[np.ndarray] = []
        key = (frame.format.name, frame.layout.name, frame.sample_rate)
        if key != self._key:
            blocks += self.rest()
            self._key = key
            layout = self.layout or frame.layout
            # Interleaved: PyAV reads beyond its eight pointers in planes of more channels.
            self._resampler = av.AudioResampler(format="flt", layout=layout, rate=SAMPLE_RATE)
        assert self._resampler is not None
        return blocks + [_apart(block) for block in self._resampler.resample(frame)]

    def rest(self) -> list[np.ndarray]:
        """What is left of the frames so far."""
        resampler, self._resampler, self._key = self._resampler, None, None
        return [_apart(block) for block in resampler.resample(None)] if resampler is not None else []


def _apart(block: av.AudioFrame) -> np.ndarray:
    return block.to_ndarray().reshape(-1, block.layout.nb_channels).T
