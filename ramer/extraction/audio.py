"""Sound to vectors: openSMILE's eGeMAPS, or any Hugging Face speech model."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch

from ramer.errors import ModelError
from ramer.extraction.batching import Sharing, batches, checked_sharing, tried
from ramer.extraction.huggingface import Source, check_layers, inference, last_layers
from ramer.extraction.outcomes import Encoded, Missing, Outcome, finished, one_line, pooled
from ramer.extraction.settings import SAMPLE_RATE, AudioSettings
from ramer.extraction.silenced import without_user_warnings
from ramer.extraction.sound import Signal, loudness

_TRIED_SECONDS = (0.4, 1.2)  # of the inputs that a model is tried with


@runtime_checkable
class AudioEncoder(Protocol):
    """Encodes mono signals at ``SAMPLE_RATE``, one outcome each."""

    def encode(self, signals: list[Signal]) -> list[Outcome]: ...


def silence(signal: Signal, threshold_dbfs: float) -> Missing | None:
    """The reason why a silent signal is missing audio; None where there is sound."""
    level = loudness(signal)
    if level > threshold_dbfs:
        return None
    shown = "digital silence" if level == -np.inf else f"loudest 50 ms at {level:.0f} dBFS"
    return Missing(f"silent ({shown})")


class EgemapsEncoder:
    """eGeMAPSv02: 88 functionals of a clip; its sequence is the 25 low-level descriptors.

    Follows Eyben et al., "The Geneva Minimalistic Acoustic Parameter Set (GeMAPS)", IEEE TAC 2016.

    Raises:
        ModelError: openSMILE does not start; it says no reason.
    """

    def __init__(self, keep_frames: bool) -> None:
        import opensmile
        from opensmile.core.lib import OpenSmileException

        levels = {"functionals": opensmile.FeatureLevel.Functionals}
        if keep_frames:
            levels["frames"] = opensmile.FeatureLevel.LowLevelDescriptors
        try:
            self._smile = {
                name: opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=level)
                for name, level in levels.items()
            }
        except OpenSmileException as error:
            raise ModelError(
                f"openSMILE does not start ({one_line(error)}): its files cannot be opened; "
                "raise the limit with `ulimit -n`, or install opensmile again"
            ) from None

    def encode(self, signals: list[Signal]) -> list[Outcome]:
        return [self._encode(signal) for signal in signals]

    def _encode(self, signal: Signal) -> Outcome:
        with without_user_warnings():  # "too short": said as a reason below
            made = {n: s.process_signal(signal, SAMPLE_RATE).to_numpy(np.float32) for n, s in self._smile.items()}
        if not np.isfinite(made["functionals"]).all():
            return Missing(f"too short for openSMILE ({len(signal) / SAMPLE_RATE:.3f} s)")
        return finished(Encoded(made["functionals"][0], made.get("frames")))


class _Chunk(NamedTuple):
    clip: int
    samples: np.ndarray


class SpeechModelEncoder:
    """Mean over time of the last layers of a speech model (HuBERT, wav2vec 2.0, WavLM, Whisper's encoder...).

    A clip is normalised as a whole, cut into nearly equal chunks of at most ``chunk_seconds``, and the mean
    is taken over the steps of all its chunks; steps that hold padding are dropped first.

    Args:
        batch_size: chunks per call of the model; changes speed and memory, not results.
    """

    def __init__(
        self, settings: AudioSettings, source: Source, device: str, batch_size: int, keep_frames: bool
    ) -> None:
        import transformers

        self.settings = settings
        self.name = source.model
        self.device = device
        self.batch_size = batch_size
        self.keep_frames = keep_frames
        self.extractor = source.load(transformers.AutoFeatureExtractor.from_pretrained)
        model: Any = source.load_model(transformers.AutoModel, settings.dtype, device)
        self.waveform = self.extractor.model_input_names[0] == "input_values" and hasattr(model.config, "conv_stride")
        if not self.waveform and not hasattr(self.extractor, "feature_size"):
            raise ModelError(f"{source.model}: not a speech model: its feature extractor takes no sound")
        if self.extractor.sampling_rate != SAMPLE_RATE:
            raise ModelError(
                f"{source.model}: expects {self.extractor.sampling_rate} Hz, only {SAMPLE_RATE} Hz models are read"
            )
        self.model = model.get_encoder() if model.config.is_encoder_decoder else model
        check_layers(self.model, settings.layers, source.model)
        self.sharing = self._checked()

    def _checked(self) -> Sharing:
        rng = np.random.default_rng(0)
        short, equal, longer = (
            rng.standard_normal(round(seconds * SAMPLE_RATE)).astype(np.float32)
            for seconds in (_TRIED_SECONDS[0], *_TRIED_SECONDS)
        )
        alone = tried(self._hidden, short, self.name, "a speech model")
        if not self.waveform:
            return Sharing.NONE  # its inputs are all padded to one length, and marked one by one
        return checked_sharing(
            self._hidden, alone, short, longer, equal if self.settings.dtype == "float32" else None, self.name
        )

    def encode(self, signals: list[Signal]) -> list[Outcome]:
        chunks = [chunk for clip, signal in enumerate(signals) for chunk in self._chunks(clip, signal)]
        hidden: dict[int, np.ndarray] = {}
        for batch in batches([len(chunk.samples) for chunk in chunks], self.sharing, self.batch_size):
            made = self._hidden([chunks[number].samples for number in batch])
            hidden.update(zip(batch, made, strict=True))
        steps: dict[int, list[np.ndarray]] = {}
        for number, chunk in enumerate(chunks):
            steps.setdefault(chunk.clip, []).append(hidden[number])
        return [
            pooled(np.concatenate(steps[clip]), keep_frames=self.keep_frames)
            if clip in steps
            else Missing(f"too short for the model ({len(signal) / SAMPLE_RATE:.3f} s)")
            for clip, signal in enumerate(signals)
        ]

    def _chunks(self, clip: int, signal: Signal) -> list[_Chunk]:
        if self.waveform:
            # return_attention_mask off: there is one signal, so there is no padding to mark.
            prepared = self.extractor(
                signal, sampling_rate=SAMPLE_RATE, return_tensors="np", padding=False, return_attention_mask=False
            )
            signal = prepared["input_values"][0]
            if not self._steps(len(signal)):
                return []
        seconds = min(self.settings.chunk_seconds, getattr(self.extractor, "chunk_length", np.inf))
        longest = max(1, round(seconds * SAMPLE_RATE))
        return [_Chunk(clip, part) for part in np.array_split(signal, -(-len(signal) // longest))]

    def _hidden(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self._from_waveforms(batch) if self.waveform else [self._from_spectrogram(part) for part in batch]

    def _from_waveforms(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        lengths = [len(samples) for samples in batch]
        values = torch.zeros(len(batch), max(lengths))
        mask = torch.zeros(len(batch), max(lengths), dtype=torch.long)
        for row, samples in enumerate(batch):
            values[row, : lengths[row]] = torch.from_numpy(np.asarray(samples, dtype=np.float32))
            mask[row, : lengths[row]] = 1
        inputs: dict[str, Any] = {"input_values": values.to(self.device, self.model.dtype)}
        if min(lengths) < max(lengths):
            inputs["attention_mask"] = mask.to(self.device)
        with inference():
            states = self.model(**inputs, output_hidden_states=True).hidden_states
            hidden = last_layers(states, self.settings.layers).cpu().numpy()
        return [hidden[row, : self._steps(length)] for row, length in enumerate(lengths)]

    def _steps(self, samples: int) -> int:
        """How many steps the model's convolutions make of a number of samples."""
        for kernel, stride in zip(self.model.config.conv_kernel, self.model.config.conv_stride, strict=True):
            samples = max(0, (samples - kernel) // stride + 1)
        return samples

    def _from_spectrogram(self, samples: np.ndarray) -> np.ndarray:
        """One chunk of a model that reads spectrograms; the share of real frames is kept of what it returns."""
        inputs = self.extractor(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt", return_attention_mask=True)
        mask = inputs.get("attention_mask")
        if mask is None:
            raise ModelError(f"{self.name}: its feature extractor does not mark padding")
        name = self.extractor.model_input_names[0]
        arguments = {name: inputs[name].to(self.device, self.model.dtype)}
        if "attention_mask" in self.extractor.model_input_names:
            arguments["attention_mask"] = mask.to(self.device)
        with inference():
            states = self.model(**arguments, output_hidden_states=True).hidden_states
            hidden = last_layers(states, self.settings.layers)[0].cpu().numpy()
        kept: int = -(-int(mask.sum()) * len(hidden) // mask.shape[-1])
        return hidden[: max(1, kept)]


def describe(settings: AudioSettings) -> dict[str, Any]:
    """What the manifest says of the encoder that the settings name; nothing is loaded."""
    if settings.model is not None:
        return Source(settings.model, settings.revision).record
    return {"name": "eGeMAPSv02", "package": "opensmile", "version": version("opensmile")}


def build(
    settings: AudioSettings, *, device: str, batch_size: int, keep_frames: bool, trust_remote_code: bool
) -> AudioEncoder:
    """The encoder that the settings name."""
    if settings.model is None:
        return EgemapsEncoder(keep_frames)
    source = Source(settings.model, settings.revision, trust_remote_code)
    return SpeechModelEncoder(settings, source, device, batch_size, keep_frames)
