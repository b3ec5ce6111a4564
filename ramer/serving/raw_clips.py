"""A raw clip as a model's features, made as those of its corpus were."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ramer.data.media_kinds import MEDIA_KINDS
from ramer.errors import ModelError, RamerError
from ramer.extraction.requirements import check_packages
from ramer.modalities import MODALITIES
from ramer.serving.predictor import Predictor

if TYPE_CHECKING:
    from ramer.extraction.extractor import Extractor


class ClipFeatures(NamedTuple):
    """What one clip gave.

    Attributes:
        vectors: float32 [dim] per modality, None where missing; ``missing`` then says why.
        transcript: as recognised.
    """

    vectors: dict[str, np.ndarray | None]
    missing: dict[str, str]
    transcript: str | None


@contextmanager
def called(path: Path | None, name: str) -> Iterator[None]:
    """Faults of an uploaded file by the name that it was sent with, not by where it lies here."""
    try:
        yield
    except RamerError as error:
        if path is None:
            raise
        raise error.reworded(lambda fault: fault.replace(str(path), name)) from None
    except OSError as error:
        if path is not None and error.filename is not None:
            error.filename = str(error.filename).replace(str(path), name)
        raise


class ClipReader:
    """Makes the features that a model was trained on from media files.

    Args:
        predictor: its description says how the features of its corpus were made, if ``ramer extract`` made them.
        manifest: a manifest (or its folder) to follow instead. preset: a preset to follow instead.
        options: of the ``Extractor``: device, batch_size, trust_remote_code.

    Raises:
        ConfigError: the extra ``extract`` is not installed, or a preset is unknown.
        ModelError: it is not known how the features are made, or they would not be those of the model.
        CorpusError: there is no such manifest.
    """

    def __init__(
        self, predictor: Predictor, *, manifest: Path | None = None, preset: str | None = None, **options: Any
    ) -> None:
        check_packages("raw clips")
        self.dims = predictor.dims
        self.extractor = _extractor(predictor, manifest, preset, options)

    def read(self, path: Path | None, transcript: str | None = None) -> ClipFeatures:
        """Features of one clip.

        Args:
            path: a media file, None for a clip that is only a transcript.
            transcript: None if there is none (a manifest with speech recognition then writes it).

        Raises:
            RamerError: no such file, nothing in it can be used, or vectors of another length than the model's.
        """
        if path is not None and not path.is_file():
            raise RamerError(f"{path}: no such file, expected a clip ({MEDIA_KINDS})")
        made = self.extractor.extract_clip(path, transcript)
        faults = [
            f"{path or 'transcript'}: {m}: the model expects {self.dims[m]} numbers, this extractor makes {len(vector)}"
            for m, vector in made.vectors.items()
            if vector is not None and len(vector) != self.dims[m]
        ]
        vectors = {m: made.vectors.get(m) for m in MODALITIES if self.dims[m]}
        missing = {m: made.reasons.get(m, "not extracted") for m, vector in vectors.items() if vector is None}
        if not faults and len(missing) == len(vectors):
            told = "; ".join(f"{m}: {reason}" for m, reason in missing.items())
            faults = [f"{path or 'transcript'}: nothing to predict from: {told}"]
        if faults:
            raise RamerError(faults)
        return ClipFeatures(vectors, missing, made.transcript)


class SharedReader:
    """A reader that several threads share: extractors hold models that one clip at a time goes through.

    Args:
        reader: None where raw clips cannot be taken, and ``why`` then says why.

    Attributes:
        why: raw clips cannot be taken; empty where they can.
    """

    def __init__(self, reader: ClipReader | None, why: str = "") -> None:
        self.why = why
        self._reader = reader
        self._reading = threading.Lock()

    @classmethod
    def open(cls, predictor: Predictor, *, manifest: Path | None = None, preset: str | None = None) -> SharedReader:
        """A reader of what a model was trained on, as far as that is known and installed.

        Raises:
            RamerError: a manifest or preset was named that does not fit the model.
        """
        try:
            return cls(ClipReader(predictor, manifest=manifest, preset=preset))
        except RamerError as error:
            if manifest is not None or preset is not None:
                raise
            return cls(None, error.faults[0])

    def check(self) -> ClipReader:
        """What makes features of clips.

        Raises:
            RamerError: nothing does.
        """
        if self._reader is None:
            raise RamerError(self.why)
        return self._reader

    def read(self, path: Path | None, transcript: str | None) -> ClipFeatures:
        """As ``ClipReader.read``, one clip after the other."""
        reader = self.check()
        with self._reading:
            return reader.read(path, transcript)


def _extractor(predictor: Predictor, manifest: Path | None, preset: str | None, options: dict[str, Any]) -> Extractor:
    from ramer.extraction import settings as known
    from ramer.extraction.extractor import Extractor
    from ramer.extraction.manifest import Manifest

    described = predictor.description.extraction
    if preset is not None:
        settings, dims, expected = known.preset(preset), {}, {}
    elif manifest is None and described is None:
        raise ModelError(
            "it is not known how the features of the model's corpus were made: name its manifest with --manifest, "
            "or a preset with --preset"
        )
    else:
        found = Manifest.read(manifest) if manifest is not None else Manifest.parse(described, "model.json: extraction")
        settings, dims, expected = found.settings, found.dims, found.records
    held = {m for m in MODALITIES if predictor.dims[m]}
    faults = [
        f"{m}: the model expects {predictor.dims[m]} numbers, the manifest's extractor "
        f"({settings.of(m).name}) makes {dims[m]}"
        for m in settings.modalities
        if m in held and dims.get(m, predictor.dims[m]) != predictor.dims[m]
    ]
    if not held & set(settings.modalities):
        faults.append(f"the model expects {', '.join(sorted(held))}, of which the manifest makes nothing")
    if faults:
        raise ModelError(faults)
    unused = [m for m in settings.modalities if m not in held]
    settings = settings.model_copy(update=dict.fromkeys(unused))
    return Extractor(settings, expected={m: r for m, r in expected.items() if m not in unused}, **options)
