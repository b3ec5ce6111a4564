"""A clip's vector never depends on the clips that share its batch, whatever the model does with padding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ramer.errors import ModelError
from ramer.extraction import audio, text, video
from ramer.extraction.batching import Sharing, batches
from ramer.extraction.extractor import Extractor
from ramer.extraction.outcomes import Encoded, Outcome
from ramer.extraction.settings import AudioSettings, ExtractionSettings, TextSettings, VideoSettings
from tests.support.sentences import SENTENCES

OPTIONS: dict[str, Any] = {"device": "cpu", "keep_frames": False, "trust_remote_code": False}
SMALL: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 5, "num_attention_heads": 4, "intermediate_size": 64}


def vector(outcome: Outcome) -> np.ndarray:
    assert isinstance(outcome, Encoded), outcome
    return outcome.vector


def save_speech(folder: Path, model: Any) -> Path:
    import transformers

    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if "running_mean" in name:
                buffer.normal_()
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)
    return folder


def speech_model(kind: str, folder: Path) -> Path:
    import transformers as hf

    torch.manual_seed(0)
    conv: dict[str, Any] = {"conv_dim": (16,) * 7, "feat_extract_norm": "layer", "num_conv_pos_embedding_groups": 2}
    if kind == "data2vec":
        return save_speech(folder, hf.Data2VecAudioModel(hf.Data2VecAudioConfig(**SMALL, **conv)))
    conv |= {"num_conv_pos_embeddings": 16, "do_stable_layer_norm": True}
    if kind == "hubert":
        return save_speech(folder, hf.HubertModel(hf.HubertConfig(**SMALL, **conv)))
    if kind == "hubert batch norm":
        return save_speech(folder, hf.HubertModel(hf.HubertConfig(**SMALL, **conv, conv_pos_batch_norm=True)))
    return save_speech(folder, hf.WavLMModel(hf.WavLMConfig(**SMALL, **conv)))


@pytest.mark.parametrize(
    ("kind", "sharing"),
    [
        ("data2vec", Sharing.EQUAL),
        ("hubert batch norm", Sharing.EQUAL),
        ("hubert", Sharing.ANY),
        ("wavlm", Sharing.ANY),
    ],
)
def test_padding_never_enters_sound(
    kind: str, sharing: Sharing, tmp_path: Path, make_tone: Callable[..., np.ndarray]
) -> None:
    settings = AudioSettings(extractor="huggingface", model=str(speech_model(kind, tmp_path / "model")))
    rng = np.random.default_rng(1)
    signals = [rng.standard_normal(round(s * 16_000)).astype(np.float32) for s in (1.0, 3.0, 1.0, 0.5)]
    batched = audio.build(settings, batch_size=8, **OPTIONS)
    assert isinstance(batched, audio.SpeechModelEncoder)
    assert batched.sharing is sharing
    single = audio.build(settings, batch_size=1, **OPTIONS)
    for signal, made in zip(signals, batched.encode(signals), strict=True):
        np.testing.assert_allclose(vector(made), vector(single.encode([signal])[0]), atol=1e-5)


def save_text(folder: Path, model: Any) -> Path:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.15)
    model.save_pretrained(folder)
    words = ["[UNK]", "[PAD]", *sorted(set("".join(SENTENCES)))]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]")
    fast.save_pretrained(folder)
    return folder


def text_model(kind: str, folder: Path) -> Path:
    import transformers as hf

    torch.manual_seed(0)
    config: Any
    if kind == "convbert":
        config = hf.ConvBertConfig(vocab_size=30, **SMALL, embedding_size=32, head_ratio=2, conv_kernel_size=9)
        return save_text(folder, hf.ConvBertModel(config))
    if kind == "xlnet":
        return save_text(
            folder, hf.XLNetModel(hf.XLNetConfig(vocab_size=30, d_model=32, n_layer=4, n_head=4, d_inner=64))
        )
    if kind == "roberta":
        return save_text(
            folder,
            hf.RobertaModel(hf.RobertaConfig(vocab_size=30, max_position_embeddings=20, pad_token_id=1, **SMALL)),
        )
    if kind == "data2vec":
        config = hf.Data2VecTextConfig(vocab_size=30, max_position_embeddings=20, pad_token_id=1, **SMALL)
        return save_text(folder, hf.Data2VecTextModel(config))
    return save_text(folder, hf.BertModel(hf.BertConfig(vocab_size=30, **SMALL)))


@pytest.mark.parametrize(
    ("kind", "sharing"), [("convbert", Sharing.EQUAL), ("bert", Sharing.ANY), ("xlnet", Sharing.ANY)]
)
def test_padding_never_enters_text(kind: str, sharing: Sharing, tmp_path: Path) -> None:
    settings = TextSettings(extractor="huggingface", model=str(text_model(kind, tmp_path / "model")))
    sentences = ["dogs", SENTENCES[2], "kids", SENTENCES[0], "the door"]
    batched = text.build(settings, batch_size=8, **OPTIONS)
    assert batched.sharing is sharing
    single = text.build(settings, batch_size=1, **OPTIONS)
    for sentence, made in zip(sentences, batched.encode(sentences), strict=True):
        np.testing.assert_allclose(vector(made), vector(single.encode([sentence])[0]), atol=1e-5)


@pytest.mark.parametrize(("kind", "limit"), [("xlnet", 512), ("roberta", 18), ("data2vec", 18), ("bert", 512)])
def test_a_model_says_how_many_tokens_it_takes(kind: str, limit: int, tmp_path: Path) -> None:
    """XLNet's -1 is no limit; models built like RoBERTa count from the padding token on."""
    settings = TextSettings(extractor="huggingface", model=str(text_model(kind, tmp_path / "model")))
    encoder = text.build(settings, batch_size=2, **OPTIONS)
    assert encoder.max_tokens == limit
    made = encoder.encode(["dogs sit by the door " * 40])[0]
    assert isinstance(made, Encoded)
    assert made.notes == (f"cut to the first {limit} tokens",)


def vision_model(folder: Path, *, pads: bool) -> Path:
    """Pads pictures to the largest of the batch, where asked for; else resizes them."""
    import transformers as hf

    torch.manual_seed(0)
    hf.ViTModel(hf.ViTConfig(image_size=32, patch_size=8, **SMALL)).save_pretrained(folder)
    hf.ViTImageProcessorPil(size={"height": 32, "width": 32}, do_resize=not pads).save_pretrained(folder)
    return folder


def test_pictures_of_several_sizes_do_not_change_one_another(tmp_path: Path) -> None:
    settings = VideoSettings(extractor="huggingface", model=str(vision_model(tmp_path / "m", pads=False)), crop="frame")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in ((40, 60), (90, 30), (40, 60))]
    encoder = video.build(settings, batch_size=4, **OPTIONS)
    together = encoder.images.encode_images(images)
    alone = np.concatenate([encoder.images.encode_images([image]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_what_shares_a_batch() -> None:
    lengths = [5, 9, 5, 1, 9]
    assert batches(lengths, Sharing.ANY, 2) == [[3, 0], [2, 1], [4]]
    assert batches(lengths, Sharing.EQUAL, 2) == [[3], [0, 2], [1, 4]]
    assert batches(lengths, Sharing.NONE, 2) == [[0], [1], [2], [3], [4]]


def clip_model(folder: Path) -> Path:
    import transformers as hf

    tower: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    config = hf.CLIPConfig(
        text_config=tower | {"vocab_size": 30, "max_position_embeddings": 16},
        vision_config=tower | {"image_size": 32, "patch_size": 16},
    )
    return save_text(folder, hf.CLIPModel(config))


def videomae(folder: Path) -> Path:
    import transformers as hf

    tower: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 64,
    }
    hf.VideoMAEModel(hf.VideoMAEConfig(image_size=32, patch_size=16, num_frames=4, **tower)).save_pretrained(folder)
    hf.VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def test_models_of_another_kind_are_refused_when_they_are_loaded(tmp_path: Path, hubert: Path, llama: Path) -> None:
    models = {"clip": clip_model(tmp_path / "clip"), "videomae": videomae(tmp_path / "videomae")}
    models |= {"hubert": hubert, "llama": llama}
    wrong: list[tuple[str, str]] = [
        ("text", "clip"),
        ("text", "videomae"),
        ("text", "hubert"),
        ("video", "videomae"),
        ("video", "llama"),
        ("video", "hubert"),
        ("audio", "clip"),
        ("audio", "videomae"),
        ("audio", "llama"),
    ]
    for modality, name in wrong:
        section: dict[str, Any] = {"extractor": "huggingface", "model": str(models[name])}
        section |= {"layers": 2} if modality != "video" else {}
        sections = dict.fromkeys(("audio", "video", "text")) | {modality: section}
        settings = ExtractionSettings.model_validate(sections)
        with pytest.raises(ModelError) as error:
            Extractor(settings, device="cpu").load([modality])
        (line,) = error.value.faults
        assert line.startswith(f"{models[name]}: "), (modality, name)
        assert "\n" not in line
