"""What a player plays is read: containers, codecs, the right track, cancelling channels, changing formats, matrices."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from ramer.extraction.outcomes import Missing
from ramer.extraction.pictures import FrameSampler, displayed
from ramer.extraction.sound import loudness, read_audio
from tests.support.media import require_extraction

require_extraction()

from av.stream import Disposition  # noqa: E402

from tests.support.media_files import Track, pitch, plain, set_display_matrix, sine, write_media  # noqa: E402


@pytest.mark.parametrize(
    ("name", "container", "video", "audio", "rate"),
    [
        ("x.webm", None, "libvpx", "libopus", 48_000),
        ("x.m4v", "mp4", "mpeg4", "aac", 48_000),
        ("x.flv", None, "flv", "aac", 44_100),
        ("x.ts", None, "mpeg2video", "mp2", 48_000),
        ("x.mkv", None, "libx264", "flac", 48_000),
        ("x.3gp", None, "mpeg4", "aac", 16_000),
        ("x.wmv", "asf", "wmv2", "aac", 44_100),
        ("x.mpg", None, "mpeg2video", "mp2", 48_000),
        ("x.avi", None, "mjpeg", "pcm_s16le", 8_000),
        ("x.mov", None, "libx264", "alac", 48_000),
        ("x.vob", None, "mpeg2video", "ac3", 48_000),
        ("x.mp3", None, None, "libmp3lame", 44_100),
        ("x.m4a", "ipod", None, "aac", 48_000),
        ("x.ogg", None, None, "libopus", 48_000),
        ("x.opus", "ogg", None, "libopus", 48_000),
        ("x.aac", "adts", None, "aac", 48_000),
        ("x.aiff", None, None, "pcm_s16be", 48_000),
        ("x.au", None, None, "pcm_mulaw", 8_000),
        ("x.caf", None, None, "pcm_s16le", 48_000),
        ("x.wma", "asf", None, "ac3", 44_100),
        ("x.ac3", None, None, "ac3", 48_000),
        ("x.wav", None, None, "pcm_f32le", 96_000),
    ],
)
def test_a_container_and_its_codecs(
    name: str, container: str | None, video: str | None, audio: str, rate: int, tmp_path: Path
) -> None:
    frames = [plain(25 * n, 144, 176) for n in range(10)] if video else []
    path = write_media(
        tmp_path / name,
        frames,
        [Track(sine(440, 1.5))],
        video_codec=video or "mpeg4",
        audio_codec=audio,
        container=container,
        rate=rate,
    )
    signal, _ = read_audio(path)
    assert len(signal) / 16_000 == pytest.approx(1.5, abs=0.15)
    assert pitch(signal[2000:-2000]) == pytest.approx(440, abs=5)
    if video:
        levels = [image.mean() for image in FrameSampler(path, 5.0)]
        np.testing.assert_allclose(levels, [0, 50, 100, 150, 200], atol=12)


def test_the_track_flagged_as_default_is_heard(tmp_path: Path) -> None:
    tracks = [Track(sine(300), flags=Disposition(0)), Track(sine(900), flags=Disposition.default)]
    signal, _ = read_audio(write_media(tmp_path / "x.mkv", tracks=tracks))
    assert pitch(signal) == pytest.approx(900, abs=5)


def test_of_several_flagged_the_first_is_heard_but_no_comment(tmp_path: Path) -> None:
    tracks = [
        Track(sine(300), flags=Disposition.comment),
        Track(sine(900), flags=Disposition(0)),
        Track(sine(1500), flags=Disposition(0)),
    ]
    signal, _ = read_audio(write_media(tmp_path / "x.mkv", tracks=tracks))
    assert pitch(signal) == pytest.approx(900, abs=5)


@pytest.mark.parametrize("loud", [0, 1])
def test_channels_that_cancel_are_heard(loud: int, tmp_path: Path) -> None:
    """One channel is the other upside down: their mean is (nearly) nothing, a player plays it."""
    other = sine(440)
    both = np.stack([other, -0.8 * other] if loud == 0 else [0.8 * other, -other])
    path = write_media(tmp_path / "x.wav", tracks=[Track(both, "stereo")], audio_codec="pcm_s16le")
    signal, notes = read_audio(path)
    assert loudness(signal) == pytest.approx(-13.5, abs=0.5)  # of a sine of 0.3
    assert pitch(signal) == pytest.approx(440, abs=5)
    assert notes == (f"its channels cancel one another: channel {loud + 1} of 2 is taken",)


@pytest.mark.parametrize(
    ("channels", "layout"),
    [
        ([sine(440), sine(440)], "stereo"),
        ([sine(440), 0 * sine(1)], "stereo"),
        ([0 * sine(1), 0 * sine(1), sine(440), 0 * sine(1), 0 * sine(1), 0 * sine(1)], "5.1"),
    ],
)
def test_channels_that_do_not_cancel_are_mixed(channels: list[np.ndarray], layout: str, tmp_path: Path) -> None:
    path = write_media(tmp_path / "x.wav", tracks=[Track(np.stack(channels), layout)], audio_codec="pcm_s16le")
    signal, notes = read_audio(path)
    assert notes == ()
    assert loudness(signal) > -22
    assert pitch(signal) == pytest.approx(440, abs=5)


@pytest.mark.parametrize("count", [3, 5, 10, 16])
def test_a_number_of_channels_without_a_layout(count: int, tmp_path: Path) -> None:
    """As the arrays of microphones write them."""
    import wave

    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(count)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((np.repeat(sine(440)[:, None], count, axis=1) * 32767).astype("<i2").tobytes())
    signal, _ = read_audio(tmp_path / "x.wav")
    assert pitch(signal) == pytest.approx(440, abs=5)


def test_sound_whose_format_changes_on_the_way(tmp_path: Path) -> None:
    """Two recordings of other rates and channels in one stream, as a broadcast switches them."""
    mono = write_media(tmp_path / "a.mp3", tracks=[Track(sine(440))], audio_codec="libmp3lame", rate=44_100)
    both = np.stack([sine(440), sine(440)])
    stereo = write_media(tmp_path / "b.mp3", tracks=[Track(both, "stereo")], audio_codec="libmp3lame", rate=48_000)
    (tmp_path / "x.mp3").write_bytes(mono.read_bytes() + stereo.read_bytes())
    signal, _ = read_audio(tmp_path / "x.mp3")
    assert len(signal) / 16_000 == pytest.approx(2.0, abs=0.2)
    for half in (signal[3000:13_000], signal[-13_000:-3000]):
        assert pitch(half) == pytest.approx(440, abs=5)


def test_pictures_whose_size_changes_on_the_way(tmp_path: Path) -> None:
    small = write_media(tmp_path / "a.ts", [plain(50, 48, 64)] * 10, video_codec="mpeg2video")
    large = write_media(tmp_path / "b.ts", [plain(200, 96, 128)] * 10, video_codec="mpeg2video")
    (tmp_path / "x.ts").write_bytes(small.read_bytes() + large.read_bytes())
    shown = list(FrameSampler(tmp_path / "x.ts", 10.0))
    assert {image.shape for image in shown} == {(48, 64, 3), (96, 128, 3)}


CORNERS = np.zeros((48, 64, 3), dtype=np.uint8)
CORNERS[:24, :32] = 80
CORNERS[:24, 32:] = 160
CORNERS[24:, 32:] = 240


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), CORNERS),
        ((-1, 0, 0, 1), CORNERS[:, ::-1]),
        ((1, 0, 0, -1), CORNERS[::-1]),
        ((-1, 0, 0, -1), CORNERS[::-1, ::-1]),
        ((0, 1, -1, 0), np.rot90(CORNERS, -1)),
        ((0, -1, 1, 0), np.rot90(CORNERS)),
        ((0, 1, 1, 0), CORNERS.swapaxes(0, 1)),
        ((0, -1, -1, 0), CORNERS[::-1, ::-1].swapaxes(0, 1)),
    ],
)
def test_every_display_matrix(matrix: tuple[int, int, int, int], expected: np.ndarray, tmp_path: Path) -> None:
    path = write_media(tmp_path / "x.mp4", [CORNERS] * 3)
    set_display_matrix(path, *matrix)
    image = next(iter(FrameSampler(path, 5.0)))
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected)[4:-4, 4:-4].mean() < 4


def test_a_matrix_by_any_angle_keeps_the_whole_picture() -> None:
    angle = np.radians(30)
    a, b, c, d = np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)
    matrix = np.array([a * 65536, b * 65536, 0, c * 65536, d * 65536, 0, 0, 0, 1 << 30], dtype=np.int32)
    shown = displayed(plain(200, 90, 160), matrix)
    assert shown.shape[:2] == (int(np.ceil(160 * b + 90 * a)), int(np.ceil(160 * a + 90 * b)))
    assert (shown[..., 0] > 100).sum() == pytest.approx(90 * 160, rel=0.02)


def test_pixels_that_are_not_square_are_shown_as_a_player_does(tmp_path: Path) -> None:
    path = write_media(tmp_path / "x.mkv", [plain(100, 48, 64)] * 3, aspect=Fraction(3, 2))
    assert next(iter(FrameSampler(path, 5.0))).shape == (48, 96, 3)


def test_pictures_of_a_huge_size_are_one_line(tmp_path: Path) -> None:
    path = write_media(tmp_path / "x.avi", [plain(100)] * 3, video_codec="rawvideo")
    content = path.read_bytes()
    wide = (64).to_bytes(4, "little") + (48).to_bytes(4, "little")
    assert content.count(wide) >= 2
    huge = content.replace(wide, (16_000).to_bytes(4, "little") + (16_000).to_bytes(4, "little"))
    path.write_bytes(huge)
    with pytest.raises(Missing, match=r"pictures of 16000 x 16000: more than 67108864 pixels"):
        next(iter(FrameSampler(path, 5.0)))


def test_a_very_large_picture_is_shrunk(tmp_path: Path) -> None:
    path = write_media(tmp_path / "x.mp4", [np.full((4320, 7680, 3), 120, np.uint8)], video_codec="mpeg4")
    image = next(iter(FrameSampler(path, 5.0)))
    assert image.shape == (2160, 3840, 3)
    assert image.mean() == pytest.approx(120, abs=4)


def write_h264(path: Path, *, options: dict[str, str], times: list[int]) -> Path:
    """Pictures that move, shown at the given milliseconds."""
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, milliseconds in enumerate(times):
            image = np.roll(np.indices((64, 96)).sum(axis=0) * 3 % 256, 5 * number, axis=1).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.repeat(image[..., None], 3, axis=2), format="rgb24")
            frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def every_frame_decoded(path: Path, rate: float) -> list[np.ndarray]:
    """The first frame from each tick on, of all."""
    import av

    taken: list[np.ndarray] = []
    tick, start = -1, None
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            start = frame.time if start is None else start
            now = int((frame.time - start + 1e-6) * rate)
            if now > tick:
                taken.append(frame.to_ndarray(format="rgb24"))
                tick = now
    return taken


EVEN = [round(n * 1000 / 30) for n in range(150)]
UNEVEN = np.cumsum([(33, 40, 10, 250, 33, 16)[n % 6] for n in range(150)]).tolist()


@pytest.mark.parametrize("rate", [1.0, 5.0, 12.0, 30.0])
@pytest.mark.parametrize(
    ("name", "options", "times"),
    [
        ("x.mp4", {"bf": "3", "b-pyramid": "normal"}, EVEN),
        ("x.mp4", {"bf": "3"}, EVEN[:20]),
        ("x.mp4", {"bf": "0"}, UNEVEN),
        ("x.mkv", {"bf": "16", "b-pyramid": "strict", "refs": "8"}, UNEVEN),
        ("x.ts", {"bf": "3"}, EVEN),
        ("x.avi", {"bf": "2"}, EVEN),
    ],
)
def test_leaving_out_what_is_not_sampled_changes_no_picture(
    name: str, options: dict[str, str], times: list[int], rate: float, tmp_path: Path
) -> None:
    path = write_h264(tmp_path / name, options=options, times=times)
    shown, expected = list(FrameSampler(path, rate)), every_frame_decoded(path, rate)
    assert len(shown) == len(expected) > 0
    for image, other in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(image, other)


def test_the_real_clip_gives_the_frames_of_a_full_decoder(speech_clip: Path) -> None:
    for image, other in zip(FrameSampler(speech_clip, 5.0), every_frame_decoded(speech_clip, 5.0), strict=True):
        np.testing.assert_array_equal(image, other)
