"""One object that turns clips into vectors: the same for a whole corpus and for a single new clip."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ramer.devices import choose_device, else_on_cpu, raise_if_gpu_failed
from ramer.errors import RamerError, raise_if_scarce
from ramer.extraction import audio
from ramer.extraction.batching import isolated
from ramer.extraction.encoders import Encoders, RunOptions
from ramer.extraction.media_files import Clip, clip_of_file
from ramer.extraction.outcomes import Missing, Outcome, one_line
from ramer.extraction.settings import SAMPLE_RATE, AudioSettings, ExtractionSettings, preset
from ramer.extraction.sound import Signal, read_audio
from ramer.extraction.text import is_blank

log = logging.getLogger(__name__)


_MOST_SAMPLES = 600 * SAMPLE_RATE  # of sound that is held at a time: 40 MB; a clip that is longer is held alone

Result = TypeVar("Result")
Heard = tuple[Signal | Missing, tuple[str, ...]]  # a clip's sound, or why there is none, and notes


class ClipVectors(NamedTuple):
    """What a single clip gave.

    Attributes:
        vectors: float32 [dim] per modality, None where missing.
        reasons: why a modality is missing.
        notes: what a reader should know of a modality.
        transcript: what was read or recognised, None where there is none.
    """

    vectors: dict[str, np.ndarray | None]
    reasons: dict[str, str]
    notes: dict[str, tuple[str, ...]]
    transcript: str | None


class Extractor:
    """Encoders of the modalities that the settings name, found at once, loaded when first needed.

    Args:
        settings: how features are made.
        device: auto, cpu, cuda or cuda:N.
        batch_size: inputs per call of a model; changes speed and memory, not results.
        trust_remote_code: run Python code that a model brings along. Never read from a manifest.
        expected: per modality the manifest's record of the encoder that must be found here too.

    Attributes:
        records: per modality (and for ``recognition``) what makes its features: name, revision or digest, version.

    Raises:
        ConfigError: the device is not there, or an option does not fit a model.
        ModelError: a model cannot be loaded, or is not the one of the manifest.
    """

    def __init__(
        self,
        settings: ExtractionSettings,
        *,
        device: str = "auto",
        batch_size: int = 16,
        trust_remote_code: bool = False,
        expected: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        self._asked = device
        self.options: RunOptions = {
            "device": choose_device(device, setting="device"),
            "batch_size": batch_size,
            "keep_frames": settings.per_frame,
            "trust_remote_code": trust_remote_code,
        }
        self.encoders = Encoders(settings, self.options, expected or {})
        self.records = self.encoders.records
        self.settings = self.encoders.settings

    @classmethod
    def preset(cls, name: str, **options: Any) -> Extractor:
        """The extractor of a preset; ``options`` are those of the constructor."""
        return cls(preset(name), **options)

    @classmethod
    def from_manifest(cls, path: str | Path, **options: Any) -> Extractor:
        """The extractor that made a corpus' features, from its manifest or the folder that holds it.

        Raises:
            CorpusError: there is no such manifest, or it cannot be read.
        """
        from ramer.extraction.manifest import Manifest

        manifest = Manifest.read(path)
        return cls(manifest.settings, expected=manifest.records, **options)

    def load(self, names: Iterable[str]) -> None:
        """Load encoders now rather than when first needed; see ``Encoders.load``."""
        wanted = list(names)
        self._else_on_cpu(lambda: self.encoders.load(wanted))

    def extract_clip(self, path: str | Path | None, transcript: str | None = None) -> ClipVectors:
        """The vectors of one clip.

        Args:
            path: a media file; None where there is only a transcript.
            transcript: None asks the recogniser where the settings name one; "" is a clip without words.
        """
        clip = clip_of_file(Path(path)) if path is not None else Clip("transcript")
        clip.transcript = transcript
        outcomes = self.extract([clip])[0]
        outcomes = {m: outcomes[m] for m in self.settings.modalities}
        return ClipVectors(
            vectors={m: o.vector for m, o in outcomes.items()},
            reasons={m: o.reason for m, o in outcomes.items() if isinstance(o, Missing)},
            notes={m: o.notes for m, o in outcomes.items() if o.notes},
            transcript=clip.transcript,
        )

    def extract(
        self, clips: Sequence[Clip], modalities: Sequence[Iterable[str]] | None = None
    ) -> list[dict[str, Outcome]]:
        """Outcomes of several clips, batched across them. Recognised words are filled into ``transcript``.

        With ``device: auto`` a GPU that fails is left for good, after one warning, and the clips are begun anew.

        Args:
            clips: what to read.
            modalities: per clip the modalities that are wanted; all that the settings name by default.

        Raises:
            GpuError: a GPU that was asked for by name failed.
        """
        given = [clip.transcript for clip in clips]

        def extract() -> list[dict[str, Outcome]]:
            for clip, transcript in zip(clips, given, strict=True):
                clip.transcript = transcript  # what a GPU recognised before it failed is recognised anew
            return self._extract(clips, modalities)

        return self._else_on_cpu(extract)

    def _else_on_cpu(self, work: Callable[[], Result]) -> Result:
        def on(device: str) -> Result:
            if device == "cpu" and self.options["device"] != "cpu":  # a GPU was tried and failed
                self.options = {**self.options, "device": device}
                self.encoders = Encoders(self.settings, self.options, self.records)
            return work()

        # Asked for by name, a failure is told as it comes: there is nothing to go on with.
        return else_on_cpu("auto", on) if self._asked == "auto" else work()

    def _extract(self, clips: Sequence[Clip], modalities: Sequence[Iterable[str]] | None) -> list[dict[str, Outcome]]:
        wanted = [set(m) for m in modalities] if modalities else [set(self.settings.modalities) for _ in clips]
        found: list[dict[str, Outcome]] = [{} for _ in clips]
        videos = [n for n, clip in enumerate(clips) if "video" in wanted[n]]
        self._fill(found, "video", [n for n in videos if clips[n].video is None], clips)
        present = [n for n in videos if clips[n].video is not None]
        encoder = self.encoders.video if present else None
        with ThreadPoolExecutor(1, "sound") as beside:  # pictures and sound need one another's results nowhere
            sound = beside.submit(self._extract_sound, clips, wanted, found)
            if encoder is not None:
                made = encoder.encode([path for n in present if (path := clips[n].video) is not None])
                for n, outcome in zip(present, made, strict=True):
                    found[n]["video"] = outcome
            sound.result()
        return found

    def _extract_sound(self, clips: Sequence[Clip], wanted: list[set[str]], found: list[dict[str, Outcome]]) -> None:
        """Audio and text, over as much sound at a time as fits into memory."""
        heard: dict[int, Heard] = {}
        for n, clip in enumerate(clips):
            heard[n] = self._signal(clip, wanted[n])
            samples = sum(len(signal) for signal, _ in heard.values() if not isinstance(signal, Missing))
            if samples >= _MOST_SAMPLES or n == len(clips) - 1:
                self._encode_sound(heard, wanted, found)
                self._encode_text(clips, heard, wanted, found)
                heard = {}

    def _encode_sound(
        self,
        heard: dict[int, Heard],
        wanted: list[set[str]],
        found: list[dict[str, Outcome]],
    ) -> None:
        signals: dict[int, Signal] = {}
        for n in (n for n in heard if "audio" in wanted[n]):
            signal = heard[n][0]
            if isinstance(signal, Missing):
                found[n]["audio"] = signal
            else:
                signals[n] = signal
        made = isolated(lambda batch: self.encoders.audio.encode(batch), list(signals.values()))
        for n, outcome in zip(signals, made, strict=True):
            found[n]["audio"] = outcome.noted(heard[n][1])

    def _encode_text(
        self,
        clips: Sequence[Clip],
        heard: dict[int, Heard],
        wanted: list[set[str]],
        found: list[dict[str, Outcome]],
    ) -> None:
        spoken: list[int] = []
        for n in (n for n in heard if "text" in wanted[n]):
            problem = self._transcript_problem(clips[n], heard[n][0])
            if problem is None:
                spoken.append(n)
            else:
                found[n]["text"] = problem
        sentences = [str(clips[n].transcript) for n in spoken]
        for n, outcome in zip(spoken, isolated(lambda batch: self.encoders.text.encode(batch), sentences), strict=True):
            found[n]["text"] = outcome

    def _signal(self, clip: Clip, wanted: set[str]) -> Heard:
        recognised = "text" in wanted and clip.transcript is None and self.settings.recognition is not None
        if "audio" not in wanted and not recognised:
            return Missing("not asked for"), ()
        if clip.audio is None:
            return Missing(clip.problems.get("audio", "no media file")), ()
        try:
            signal, notes = read_audio(clip.audio)
        except Missing as missing:
            return missing, ()
        quiet = audio.silence(signal, (self.settings.audio or AudioSettings()).silence_dbfs)
        return (signal if quiet is None else quiet), notes

    def _transcript_problem(self, clip: Clip, signal: Signal | Missing) -> Missing | None:
        if clip.transcript is None and self.settings.recognition is not None:
            if isinstance(signal, Missing):
                return Missing(f"no transcript, and nothing to recognise: {signal.reason}", failed=signal.failed)
            try:
                clip.transcript = self.encoders.recogniser.transcribe(signal)
            except RamerError:
                raise
            except Exception as error:  # one clip that breaks the model must not end the run
                raise_if_scarce(error)
                raise_if_gpu_failed(error, "device", but_for_memory=True)
                return Missing(f"speech recognition failed: {one_line(error)}", failed=True)
            return Missing("no words were recognised") if is_blank(clip.transcript) else None
        if clip.transcript is None:
            return Missing(clip.problems.get("text", "no transcript"))
        return Missing("empty transcript") if is_blank(clip.transcript) else None

    @staticmethod
    def _fill(found: list[dict[str, Outcome]], modality: str, numbers: list[int], clips: Sequence[Clip]) -> None:
        for n in numbers:
            found[n][modality] = Missing(clips[n].problems.get(modality, "no media file"))
