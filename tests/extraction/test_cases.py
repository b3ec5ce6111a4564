"""What is missing, broken or odd about a clip: the right result, or one clear line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ramer.errors import ConfigError, ModelError
from ramer.extraction.extractor import Extractor
from ramer.extraction.settings import (
    AudioSettings,
    ExtractionSettings,
    RecognitionSettings,
    TextSettings,
    VideoSettings,
)

MakeWav = Callable[..., Path]
MakeVideo = Callable[..., Path]
MakeTone = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def light() -> Extractor:
    return Extractor.preset("light", device="cpu")


def stripes(count: int) -> list[np.ndarray]:
    """Pictures without a face."""
    rows = np.arange(96)[:, None, None] + np.zeros((96, 128, 3))
    return [((rows + n) % 32 * 8).astype(np.uint8) for n in range(count)]


def test_the_real_clip_has_everything(light: Extractor, speech_clip: Path) -> None:
    made = light.extract_clip(speech_clip, "Kids are talking by the door.")
    assert made.reasons == {}
    sizes = {m: None if v is None else (v.shape, v.dtype.name) for m, v in made.vectors.items()}
    assert sizes == {m: ((dim,), "float32") for m, dim in (("audio", 88), ("video", 1060), ("text", 384))}


def test_a_clip_without_a_face_is_missing_video(
    light: Extractor, tmp_path: Path, make_video: MakeVideo, make_tone: MakeTone
) -> None:
    made = light.extract_clip(make_video(tmp_path / "x.mp4", stripes(10), make_tone()), "words")
    assert made.vectors["video"] is None
    assert made.vectors["audio"] is not None
    assert made.reasons == {"video": "no face in 5 frames"}


def test_the_whole_frame_needs_no_face(tmp_path: Path, make_video: MakeVideo) -> None:
    settings = ExtractionSettings(audio=None, text=None, video=VideoSettings(crop="frame"))
    made = Extractor(settings, device="cpu").extract_clip(make_video(tmp_path / "x.mp4", stripes(10)))
    assert made.vectors["video"] is not None


@pytest.mark.parametrize(
    ("level", "reason"), [(0.0, "silent (digital silence)"), (0.0005, "silent (loudest 50 ms at -66 dBFS)")]
)
def test_silence_is_missing_audio(
    level: float, reason: str, light: Extractor, tmp_path: Path, make_wav: MakeWav
) -> None:
    sound = np.full(16_000, level) * np.where(np.arange(16_000) % 2, 1, -1)
    made = light.extract_clip(make_wav(tmp_path / "quiet.wav", sound), "words")
    assert made.vectors["audio"] is None
    assert made.reasons["audio"] == reason


def test_one_loud_moment_is_not_silence(
    light: Extractor, tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone
) -> None:
    sound = np.concatenate([np.zeros(40_000), make_tone(0.2), np.zeros(40_000)])
    assert light.extract_clip(make_wav(tmp_path / "x.wav", sound)).vectors["audio"] is not None


@pytest.mark.parametrize("transcript", ["", "  \n", "\u200b\ufeff", None])
def test_an_empty_transcript_is_missing_text(transcript: str | None, light: Extractor) -> None:
    made = light.extract_clip(None, transcript)
    assert made.vectors["text"] is None
    assert made.reasons["text"] == ("no transcript" if transcript is None else "empty transcript")


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp4", "mkv", "avi", "mov"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 5000, b"RIFF....WAVEfmt but no more", b"garbage " * 100])
def test_an_unreadable_file_is_one_line(suffix: str, content: bytes, light: Extractor, tmp_path: Path) -> None:
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)
    made = light.extract_clip(path, "words")
    assert made.vectors["audio"] is None
    assert made.vectors["video"] is None
    assert made.vectors["text"] is not None
    assert "\n" not in made.reasons["audio"]
    assert made.reasons["audio"].startswith(
        ("the file cannot be read: ", "audio cannot be decoded: ", "no audio track", "the audio track holds no")
    )


def test_a_video_cut_off_in_the_middle_gives_what_is_there_or_one_line(
    light: Extractor, speech_clip: Path, tmp_path: Path
) -> None:
    whole = speech_clip.read_bytes()
    for share in (0.3, 0.7):
        path = tmp_path / f"{share}.mp4"
        path.write_bytes(whole[: int(len(whole) * share)])
        made = light.extract_clip(path)
        for modality in ("audio", "video"):
            vector = made.vectors[modality]
            assert (vector is None) == (modality in made.reasons)
            assert vector is None or np.isfinite(vector).all()


def test_sound_of_no_length(light: Extractor, tmp_path: Path, make_wav: MakeWav) -> None:
    made = light.extract_clip(make_wav(tmp_path / "x.wav", np.zeros(0)))
    assert made.vectors["audio"] is None
    assert made.reasons["audio"] == "the audio track holds no samples"


def test_sound_too_short(
    light: Extractor, hubert: Path, tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone
) -> None:
    path = make_wav(tmp_path / "x.wav", make_tone(0.01))
    assert light.extract_clip(path).reasons["audio"] == "too short for openSMILE (0.010 s)"
    settings = ExtractionSettings(
        audio=AudioSettings(extractor="huggingface", model=str(hubert)), video=None, text=None
    )
    assert Extractor(settings, device="cpu").extract_clip(path).reasons["audio"] == "too short for the model (0.010 s)"


def test_video_without_sound(light: Extractor, tmp_path: Path, make_video: MakeVideo) -> None:
    assert light.extract_clip(make_video(tmp_path / "x.mp4", stripes(5))).reasons["audio"] == "no audio track"


def test_video_without_frames(light: Extractor, tmp_path: Path, make_video: MakeVideo, make_tone: MakeTone) -> None:
    made = light.extract_clip(make_video(tmp_path / "x.mkv", [], make_tone()))
    assert made.reasons["video"] in ("the video track holds no frames", "no video track")
    assert made.vectors["audio"] is not None


def test_a_sound_file_has_no_pictures(light: Extractor, tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone) -> None:
    made = light.extract_clip(make_wav(tmp_path / "x.WAV", make_tone()))
    assert made.vectors["audio"] is not None
    assert made.reasons["video"] == "a sound file"


def test_a_file_that_is_not_there(light: Extractor, tmp_path: Path) -> None:
    made = light.extract_clip(tmp_path / "no.mp4", "words")
    assert made.reasons == dict.fromkeys(("audio", "video"), f"no such file: {tmp_path / 'no.mp4'}")


def test_stereo_at_another_rate(light: Extractor, tmp_path: Path, make_tone: MakeTone, make_wav: MakeWav) -> None:
    """The same tone at 48 kHz in two channels has nearly the same vector."""
    import wave

    plain = light.extract_clip(make_wav(tmp_path / "a.wav", make_tone(2.0))).vectors["audio"]
    samples = 0.3 * np.sin(2 * np.pi * 220 * np.arange(96_000) / 48_000)
    with wave.open(str(tmp_path / "b.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes((np.repeat(samples[:, None], 2, axis=1) * 32767).astype("<i2").tobytes())
    other = light.extract_clip(tmp_path / "b.wav").vectors["audio"]
    assert plain is not None
    assert other is not None
    assert abs(plain[0] - other[0]) < 0.1  # pitch, in semitones


def test_words_are_recognised_where_there_is_no_transcript(
    whisper: Path, tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone
) -> None:
    settings = ExtractionSettings(audio=None, video=None, recognition=RecognitionSettings(model=str(whisper)))
    extractor = Extractor(settings, device="cpu")
    path = make_wav(tmp_path / "x.wav", make_tone(2.0))
    heard = extractor.extract_clip(path)
    assert heard.transcript
    assert heard.vectors["text"] is not None
    again = extractor.extract_clip(None, heard.transcript).vectors["text"]
    np.testing.assert_array_equal(heard.vectors["text"], again)
    assert extractor.extract_clip(path, "given").transcript == "given"
    silent = extractor.extract_clip(make_wav(tmp_path / "y.wav", np.zeros(16_000)))
    assert silent.reasons["text"] == "no transcript, and nothing to recognise: silent (digital silence)"


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path, clip_vision: Path) -> None:
    def settings(model: str) -> ExtractionSettings:
        return ExtractionSettings(audio=AudioSettings(extractor="huggingface", model=model), video=None, text=None)

    with pytest.raises(ModelError, match=r"no-such/model: not a folder, and cannot be had from the hub or its cache"):
        Extractor(settings("no-such/model"), device="cpu")
    with pytest.raises(ModelError, match=r"no such folder"):
        Extractor(settings(str(tmp_path / "none")), device="cpu")
    with pytest.raises(ModelError, match=r"no config.json"):
        Extractor(settings(str(tmp_path)), device="cpu")
    with pytest.raises(ModelError) as error:
        _ = Extractor(settings(str(clip_vision)), device="cpu").encoders.audio
    assert len(error.value.faults) == 1
    assert "\n" not in error.value.faults[0]


def test_code_that_a_model_brings_along_is_not_run(llama: Path, tmp_path: Path) -> None:
    import json
    import shutil

    folder = tmp_path / "brings-code"
    shutil.copytree(llama, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", "utf-8")
    settings = TextSettings(extractor="huggingface", model=str(folder))
    extractor = Extractor(ExtractionSettings(audio=None, video=None, text=settings), device="cpu")
    with pytest.raises(ModelError, match=r"brings Python code, which is not run unless --trust-remote-code"):
        extractor.extract_clip(None, "words")
    assert not (tmp_path / "ran").exists()


def test_more_layers_than_the_model_has(llama: Path) -> None:
    settings = TextSettings(extractor="huggingface", model=str(llama), layers=9)
    with pytest.raises(ConfigError, match=r"layers: 9 asked for, but .*tiny-llama has 5"):
        Extractor(ExtractionSettings(audio=None, video=None, text=settings), device="cpu").extract_clip(None, "words")


@pytest.mark.parametrize("device", ["cuda:7", "gpu"])
def test_a_device_that_is_not_there(device: str) -> None:
    import torch

    if torch.cuda.is_available() and device != "gpu":
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ConfigError, match=rf"device: .*{device}"):
        Extractor.preset("light", device=device)


def test_the_papers_models_are_pinned_to_commits() -> None:
    from ramer.extraction.settings import preset

    settings = preset("mer2024")
    models = [settings.of(m).model for m in settings.modalities]
    assert models == [
        "TencentGameMate/chinese-hubert-large",
        "openai/clip-vit-large-patch14",
        "baichuan-inc/Baichuan2-13B-Base",
    ]
    for modality in settings.modalities:
        revision = settings.of(modality).revision
        assert revision is not None
        assert len(revision) == 40
    with pytest.raises(ConfigError, match="expected one of light, mer2024"):
        preset("heavy")
