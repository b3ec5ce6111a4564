"""Speech recognition with Whisper, for clips that come without a transcript."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ramer.errors import ModelError
from ramer.extraction.huggingface import Source, quiet
from ramer.extraction.settings import SAMPLE_RATE, RecognitionSettings
from ramer.extraction.sound import Signal


def describe(settings: RecognitionSettings) -> dict[str, Any]:
    """What the manifest says of the recogniser; nothing is loaded."""
    return Source(settings.model, settings.revision).record


class SpeechRecogniser:
    """Greedy transcription, in chunks as long as the model hears at once.

    Follows Radford et al., "Robust speech recognition via large-scale weak supervision", 2022.

    Raises:
        ModelError: the model is not a Whisper model, or knows no such language.
    """

    def __init__(self, settings: RecognitionSettings, device: str, trust_remote_code: bool) -> None:
        import transformers

        source = Source(settings.model, settings.revision, trust_remote_code)
        self.device = device
        config = source.load(transformers.AutoConfig.from_pretrained)
        if config.model_type != "whisper":
            raise ModelError(f"{settings.model}: expected a Whisper model, got {config.model_type}")
        self.processor = source.load(transformers.AutoProcessor.from_pretrained)
        self.model: Any = source.load_model(transformers.WhisperForConditionalGeneration, settings.dtype, device)
        self.options: dict[str, Any] = {"do_sample": False, "num_beams": 1}
        if getattr(self.model.generation_config, "is_multilingual", False):
            self.options["task"] = "transcribe"
            if settings.language is not None:
                self.options["language"] = settings.language
        elif settings.language not in (None, "en", "english"):
            raise ModelError(f"{settings.model}: not multilingual, cannot be asked for {settings.language!r}")

    def transcribe(self, signal: Signal) -> str:
        """The words of a mono signal at ``SAMPLE_RATE``."""
        longest = self.processor.feature_extractor.chunk_length * SAMPLE_RATE
        parts = np.array_split(signal, -(-len(signal) // longest))
        return " ".join(filter(None, (self._transcribe(part) for part in parts)))

    def _transcribe(self, part: np.ndarray) -> str:
        inputs = self.processor.feature_extractor(
            part, sampling_rate=SAMPLE_RATE, return_tensors="pt", return_attention_mask=True
        )
        with torch.inference_mode(), quiet():
            ids = self.model.generate(
                inputs["input_features"].to(self.device, self.model.dtype),
                attention_mask=inputs["attention_mask"].to(self.device),
                **self.options,
            )
        text: str = self.processor.tokenizer.decode(ids[0], skip_special_tokens=True)
        return text.strip()
