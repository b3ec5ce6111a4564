"""Vectors of the real clip against a plain computation, written out here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ramer.extraction import audio, text, video
from ramer.extraction.extractor import ClipVectors, Extractor
from ramer.extraction.outcomes import Encoded, Missing, Outcome
from ramer.extraction.settings import AudioSettings, ExtractionSettings, TextSettings, VideoSettings

OPTIONS: dict[str, Any] = {"device": "cpu", "keep_frames": True, "trust_remote_code": False}
SENTENCE = "Kids are talking by the door."


def vector_of(made: ClipVectors, modality: str) -> np.ndarray:
    found = made.vectors[modality]
    assert found is not None, made.reasons
    return found


def vector(outcome: Outcome) -> np.ndarray:
    assert isinstance(outcome, Encoded), outcome
    return outcome.vector


def frames(outcome: Outcome) -> np.ndarray:
    assert isinstance(outcome, Encoded), outcome
    assert outcome.frames is not None
    return outcome.frames


def decoded_sound(path: Path) -> np.ndarray:
    import av

    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
        blocks = [b.to_ndarray()[0] for f in container.decode(audio=0) for b in resampler.resample(f)]
        blocks += [b.to_ndarray()[0] for b in resampler.resample(None)]
    return np.concatenate(blocks)


def plain_hubert(folder: Path, sound: np.ndarray, chunks: int) -> np.ndarray:
    """Every chunk alone through the model; mean over the steps of all chunks."""
    from transformers import HubertModel

    model = HubertModel.from_pretrained(folder).eval()
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    steps = []
    with torch.no_grad():
        for part in np.array_split(sound, chunks):
            states = model(torch.tensor(part)[None], output_hidden_states=True).hidden_states
            steps.append(sum(state[0] for state in states[-4:]) / 4)
    return torch.cat(steps).mean(dim=0).numpy()


@pytest.mark.parametrize("kind", ["hubert", "group_hubert"])
@pytest.mark.parametrize(("chunk_seconds", "chunks"), [(30.0, 1), (1.0, 4)])
def test_speech_model_of_the_real_clip(
    kind: str, chunk_seconds: float, chunks: int, speech_clip: Path, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(kind)
    settings = AudioSettings(extractor="huggingface", model=str(folder), chunk_seconds=chunk_seconds)
    made = Extractor(ExtractionSettings(audio=settings, video=None, text=None), device="cpu").extract_clip(speech_clip)
    expected = plain_hubert(folder, decoded_sound(speech_clip), chunks)
    np.testing.assert_allclose(vector_of(made, "audio"), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["hubert", "group_hubert"])
def test_neither_padding_nor_batching_changes_sound(
    kind: str, request: pytest.FixtureRequest, make_tone: Callable[..., np.ndarray]
) -> None:
    settings = AudioSettings(extractor="huggingface", model=str(request.getfixturevalue(kind)), chunk_seconds=0.7)
    signals = [make_tone(s, 100 + 40 * s).astype(np.float32) for s in (0.31, 2.0, 0.9, 0.31, 1.501)]
    together = audio.build(settings, batch_size=8, **OPTIONS).encode(signals)
    single = audio.build(settings, batch_size=1, **OPTIONS)
    for signal, made in zip(signals, together, strict=True):
        alone = single.encode([signal])[0]
        np.testing.assert_allclose(vector(made), vector(alone), atol=1e-5)
        np.testing.assert_allclose(frames(made), frames(alone), atol=1e-5)
        np.testing.assert_allclose(frames(made).mean(axis=0), vector(made), atol=1e-5)


def test_whisper_encoder_leaves_its_padding_out_of_the_mean(
    whisper: Path, make_tone: Callable[..., np.ndarray]
) -> None:
    from transformers import WhisperFeatureExtractor, WhisperModel

    sound = make_tone(1.3).astype(np.float32)
    settings = AudioSettings(extractor="huggingface", model=str(whisper))
    made = audio.build(settings, batch_size=2, **OPTIONS).encode([sound])[0]
    features = WhisperFeatureExtractor.from_pretrained(whisper)(sound, sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        encoder = WhisperModel.from_pretrained(whisper).eval().encoder
        states = encoder(features["input_features"], output_hidden_states=True).hidden_states
    expected = torch.stack(states[-4:]).mean(dim=0)[0, :65]  # 1.3 s at 50 steps a second, of 30 s
    assert frames(made).shape == (65, 32)
    np.testing.assert_allclose(vector(made), expected.mean(dim=0), atol=1e-5)


def plain_face_crops(path: Path) -> list[np.ndarray]:
    """Five frames a second, the largest face with a fifth of its side around it."""
    import av
    import cv2
    from cv2 import data

    cascade = cv2.CascadeClassifier(data.haarcascades + "haarcascade_frontalface_alt2.xml")
    crops: list[np.ndarray] = []
    tick = 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time < tick - 1e-6:
                continue
            tick += 0.2
            image = frame.to_ndarray(format="rgb24")
            scale = 640 / max(image.shape)
            gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            boxes = np.asarray(cascade.detectMultiScale(gray, 1.1, 6, minSize=(38, 38)))
            x, y, w, h = boxes[np.argmax(boxes[:, 2] * boxes[:, 3])] / scale
            side = round(w * 1.4)
            top, left = round(y + h / 2 - side / 2), round(x + w / 2 - side / 2)
            wide = np.pad(image, ((side, side), (side, side), (0, 0)), mode="edge")
            crops.append(wide[top + side : top + 2 * side, left + side : left + 2 * side])
    return crops


def plain_pixels(image: np.ndarray) -> np.ndarray:
    """What CLIP is fed with: 32 x 32, bicubic, normalised per channel."""
    from PIL import Image

    small = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    return ((small - [0.48145466, 0.4578275, 0.40821073]) / [0.26862954, 0.26130258, 0.27577711]).transpose(2, 0, 1)


def test_clip_model_of_the_real_clip(clip_vision: Path, speech_clip: Path) -> None:
    from transformers import CLIPModel

    settings = VideoSettings(
        extractor="huggingface", model=str(clip_vision), detector="haar", detections_per_second=None
    )
    made = Extractor(ExtractionSettings(audio=None, video=settings, text=None), device="cpu").extract_clip(speech_clip)
    crops = plain_face_crops(speech_clip)
    assert len(crops) == 17  # 3.3 s
    model = CLIPModel.from_pretrained(clip_vision).eval()
    with torch.no_grad():
        pixels = torch.tensor(np.stack([plain_pixels(crop) for crop in crops]), dtype=torch.float32)
        tokens = model.vision_model(pixel_values=pixels).pooler_output
        expected = model.visual_projection(tokens).mean(dim=0).numpy()
    np.testing.assert_allclose(vector_of(made, "video"), expected, atol=1e-5)


def test_batching_does_not_change_pictures(
    clip_vision: Path, speech_clip: Path, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    settings = VideoSettings(extractor="huggingface", model=str(clip_vision), crop="frame")
    rng = np.random.default_rng(0)
    noise = make_video(tmp_path / "noise.mp4", [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(7)])
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video")
    together = video.build(settings, batch_size=5, **OPTIONS).encode([speech_clip, broken, noise])
    single = video.build(settings, batch_size=1, **OPTIONS)
    assert isinstance(together[1], Missing)
    for path, made in ((speech_clip, together[0]), (noise, together[2])):
        alone = single.encode([path])[0]
        np.testing.assert_allclose(vector(made), vector(alone), atol=1e-5)
        np.testing.assert_allclose(frames(made), frames(alone), atol=1e-5)
    assert frames(together[2]).shape == (4, 24)  # 0.7 s at five frames a second


def plain_llama(folder: Path, sentence: str) -> np.ndarray:
    """The start token goes through the model but not into the mean."""
    import json

    from transformers import LlamaModel

    words = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    ids = torch.tensor([[1] + [words.get(letter, 0) for letter in sentence.lower()]])
    with torch.no_grad():
        states = LlamaModel.from_pretrained(folder).eval()(ids, output_hidden_states=True).hidden_states
    return (sum(state[0, 1:] for state in states[-4:]) / 4).mean(dim=0).numpy()


def test_language_model_of_a_transcript(llama: Path) -> None:
    settings = TextSettings(extractor="huggingface", model=str(llama))
    extractor = Extractor(ExtractionSettings(audio=None, video=None, text=settings), device="cpu")
    for sentence in (SENTENCE, "孩子们在门口说话", "?"):
        made = extractor.extract_clip(None, f"  {sentence}\n")
        np.testing.assert_allclose(vector_of(made, "text"), plain_llama(llama, sentence), atol=1e-5)


def test_neither_padding_nor_batching_changes_text(llama: Path) -> None:
    sentences = [SENTENCE, "a", "我很高兴", SENTENCE * 3, "the dogs"]
    for settings in (TextSettings(), TextSettings(extractor="huggingface", model=str(llama))):
        together = text.build(settings, batch_size=8, **OPTIONS).encode(sentences)
        single = text.build(settings, batch_size=1, **OPTIONS)
        for sentence, made in zip(sentences, together, strict=True):
            np.testing.assert_allclose(vector(made), vector(single.encode([sentence])[0]), atol=1e-5)


def test_special_tokens_at_both_ends_are_left_out() -> None:
    import transformers

    from ramer.extraction.text import _source

    settings = TextSettings(layers=1)
    folder = _source(settings, trust_remote_code=False).location
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        hidden = model(**tokenizer(SENTENCE, return_tensors="pt")).last_hidden_state[0]
    made = text.build(settings, batch_size=1, **OPTIONS).encode([SENTENCE])[0]
    np.testing.assert_allclose(vector(made), hidden[1:-1].mean(dim=0), atol=1e-5)


def test_a_long_transcript_is_cut_and_noted(llama: Path) -> None:
    settings = TextSettings(extractor="huggingface", model=str(llama), max_tokens=9)
    made = text.build(settings, batch_size=2, **OPTIONS).encode([SENTENCE, SENTENCE[:8]])
    assert isinstance(made[0], Encoded)
    assert isinstance(made[1], Encoded)
    np.testing.assert_allclose(made[0].vector, plain_llama(llama, SENTENCE[:8]), atol=1e-5)
    assert made[0].notes == ("cut to the first 9 tokens",)
    assert made[1].notes == ()
