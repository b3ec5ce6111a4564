"""Media files and tiny models that the tests make themselves: nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.media import require_extraction
from tests.support.sentences import SENTENCES

os.environ["HF_HUB_OFFLINE"] = "1"

require_extraction()


@pytest.fixture(scope="session")
def media_folder(speech_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds only the real clip."""
    folder = tmp_path_factory.mktemp("media")
    shutil.copy(speech_clip, folder / "speech.mp4")
    return folder


def write_wav(path: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    """Write mono 16-bit sound in [-1, 1]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def tone(seconds: float = 1.0, hertz: float = 220.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * 16_000)) / 16_000)


def write_video(path: Path, frames: list[np.ndarray], sound: np.ndarray | None = None, fps: int = 10) -> Path:
    """Write RGB frames, and a sound track where given."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=fps)
        picture.width, picture.height = (frames[0].shape[1], frames[0].shape[0]) if frames else (64, 64)
        picture.pix_fmt = "yuv420p"
        track: Any = container.add_stream("aac", rate=16_000, layout="mono") if sound is not None else None
        for image in frames:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(picture.encode(None))
        if sound is not None:
            block = av.AudioFrame.from_ndarray(sound.astype(np.float32)[None], format="fltp", layout="mono")
            block.sample_rate = 16_000
            container.mux(track.encode(block))
            container.mux(track.encode(None))
    return path


@pytest.fixture(scope="session")
def make_wav() -> Callable[..., Path]:
    return write_wav


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    return write_video


@pytest.fixture(scope="session")
def make_tone() -> Callable[..., np.ndarray]:
    return tone


def _hubert(folder: Path, norm: str) -> Path:
    import torch
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=32,
        num_hidden_layers=5,
        num_attention_heads=4,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
    )
    HubertModel(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=norm == "layer").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Normalises each step by itself, as the large models do: batches may be padded."""
    return _hubert(tmp_path_factory.mktemp("models") / "tiny-hubert", "layer")


@pytest.fixture(scope="session")
def group_hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Normalises over time, as the base models do: padding would change every step."""
    return _hubert(tmp_path_factory.mktemp("models") / "tiny-group-hubert", "group")


@pytest.fixture(scope="session")
def clip_vision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    torch.manual_seed(0)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 4}
    config = CLIPConfig(
        text_config=tower | {"vocab_size": 50, "bos_token_id": 0, "eos_token_id": 1},
        vision_config=tower | {"image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def _words() -> dict[str, int]:
    letters = sorted(set("".join(SENTENCES).lower()) | set("孩子们在门口说话我很高兴"))
    return {word: number for number, word in enumerate(["<unk>", "<s>", "</s>", *letters])}


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has no padding token and puts a start token before every sentence, as Llama does."""
    import torch
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    words = _words()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=5,
        num_attention_heads=4,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=2,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    LlamaModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recognises nonsense, but always the same nonsense."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    torch.manual_seed(0)
    letters = {chr(97 + n): n for n in range(26)}
    vocabulary = letters | {"<|endoftext|>": 26, "<|startoftranscript|>": 27, "<|notimestamps|>": 28}
    config = WhisperConfig(
        vocab_size=len(vocabulary),
        num_mel_bins=80,
        d_model=32,
        encoder_layers=4,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_target_positions=24,
        bos_token_id=26,
        eos_token_id=26,
        pad_token_id=26,
        decoder_start_token_id=27,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny-whisper"
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        bos_token_id=26,
        eos_token_id=26,
        pad_token_id=26,
        decoder_start_token_id=27,
        max_length=20,
        is_multilingual=False,
        no_timestamps_token_id=28,
        suppress_tokens=[26, 27, 28],  # a random model would end at once
    )
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|endoftext|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.add_special_tokens(["<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"])
    made = WhisperTokenizer(tokenizer_object=tokenizer, vocab=vocabulary, merges=[])
    WhisperProcessor(WhisperFeatureExtractor(feature_size=80), made).save_pretrained(folder)
    return folder
