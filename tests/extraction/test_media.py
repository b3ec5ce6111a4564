"""Decoding and sampling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ramer.extraction.pictures import FrameSampler
from ramer.extraction.sound import loudness, read_audio

MakeVideo = Callable[..., Path]


def gray(level: int) -> np.ndarray:
    return np.full((48, 64, 3), level, dtype=np.uint8)


@pytest.mark.parametrize(
    ("fps", "rate", "expected"),
    [(10, 5.0, [0, 2, 4, 6, 8]), (10, 10.0, list(range(10))), (10, 50.0, list(range(10))), (10, 1.0, [0])],
)
def test_frames_at_a_rate(fps: int, rate: float, expected: list[int], tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "x.mp4", [gray(25 * n) for n in range(10)], fps=fps)
    levels = [image.mean() for image in FrameSampler(path, rate)]
    np.testing.assert_allclose(levels, [25 * n for n in expected], atol=4)


def test_a_video_whose_clock_does_not_start_at_zero(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "x.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(gray(25 * number), format="rgb24")
            frame.pts = 70 + number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert len(list(FrameSampler(tmp_path / "x.mkv", 5.0))) == 5


def test_a_phone_video_is_turned_upright(tmp_path: Path, make_video: MakeVideo) -> None:
    """The display matrix of a clip filmed in portrait says: a quarter turn clockwise."""
    image = gray(0)
    image[:24] = 250
    path = make_video(tmp_path / "x.mp4", [image] * 3)
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40
    values = (0, 0x10000, 0, -0x10000, 0, 0, 48 << 16, 0, 0x40000000)
    content[matrix : matrix + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in values)
    path.write_bytes(content)
    upright = next(iter(FrameSampler(path, 5.0)))
    assert upright.shape == (64, 48, 3)
    assert upright[:, 28:].mean() > 230  # what was on top is now on the right
    assert upright[:, :20].mean() < 20


def test_sound_keeps_its_length_and_level(speech_clip: Path) -> None:
    sound, notes = read_audio(speech_clip)
    assert sound.dtype == np.float32
    assert len(sound) / 16_000 == pytest.approx(3.3, abs=0.05)
    assert notes == ()
    assert -40 < loudness(sound) < -20


def test_loudness_of_a_known_signal() -> None:
    square = np.where(np.arange(16_000) % 2, 0.1, -0.1).astype(np.float32)
    assert loudness(square) == pytest.approx(-20.0, abs=1e-4)
    assert loudness(square[:100]) == pytest.approx(-20.0, abs=1e-4)
    assert loudness(np.zeros(100, dtype=np.float32)) == -np.inf
    moment = np.concatenate([np.zeros(5000, np.float32), square[:800], np.zeros(5000, np.float32)])
    assert loudness(moment) == pytest.approx(-20.0, abs=1e-4)
