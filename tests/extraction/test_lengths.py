"""Very short and very long clips: the right result, in bounded pieces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ramer.extraction import extractor as module
from ramer.extraction.extractor import Extractor
from ramer.extraction.outcomes import Encoded, Outcome
from ramer.extraction.pictures import FrameSampler
from ramer.extraction.settings import ExtractionSettings, VideoSettings
from ramer.extraction.sound import read_audio
from tests.support.media_files import Track, plain, sine, write_media

MakeWav = Callable[..., Path]
WHOLE = VideoSettings(crop="frame")


def encoded(outcome: Outcome) -> Encoded:
    assert isinstance(outcome, Encoded), outcome
    return outcome


def test_a_fifth_of_a_second_of_the_real_clip(speech_clip: Path, tmp_path: Path) -> None:
    frame = next(iter(FrameSampler(speech_clip, 1.0)))
    signal, _ = read_audio(speech_clip)
    sound = np.repeat(signal[16_000:19_200], 3)  # at 48 kHz
    path = write_media(tmp_path / "x.mp4", [frame] * 2, [Track(sound)])
    made = Extractor.preset("light", device="cpu").extract_clip(path, "Kids")
    assert made.reasons == {}


@pytest.mark.slow
def test_five_minutes(tmp_path: Path) -> None:
    frames = [plain(n % 250) for n in range(3000)]
    path = write_media(tmp_path / "x.mkv", frames, [Track(sine(440, 300))], audio_codec="pcm_s16le")
    settings = ExtractionSettings(video=WHOLE, per_frame=True)
    made = Extractor(settings, device="cpu").extract([module.clip_of_file(path)])[0]
    pictures = encoded(made["video"])
    assert pictures.frames is not None
    assert pictures.frames.shape == (1500, 1060)
    assert encoded(made["audio"]).vector.shape == (88,)


def test_sound_is_held_in_pieces_that_change_nothing(
    tmp_path: Path, make_wav: MakeWav, make_tone: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [module.clip_of_file(make_wav(tmp_path / f"{n}.wav", make_tone(1.0, 200 + 30 * n))) for n in range(5)]
    for number, clip in enumerate(clips):
        clip.transcript = f"word {number}"
    settings = ExtractionSettings(video=None)
    together = Extractor(settings, device="cpu").extract(clips)
    monkeypatch.setattr(module, "_MOST_SAMPLES", 32_000)
    for one, other in zip(together, Extractor(settings, device="cpu").extract(clips), strict=True):
        for modality in ("audio", "text"):
            np.testing.assert_allclose(encoded(one[modality]).vector, encoded(other[modality]).vector, atol=1e-5)
