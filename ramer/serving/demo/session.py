"""What the page asks for: clips by name, features kept between questions, answers as plain values."""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ramer.data.prepared import PreparedCorpus
from ramer.errors import RamerError
from ramer.modalities import MODALITIES
from ramer.project import Project
from ramer.serving.demo.report_findings import Found, read_found
from ramer.serving.predictor import Predictor
from ramer.serving.raw_clips import ClipReader, SharedReader

KEPT_CLIPS = 64  # dropped clips whose features stay in memory
MOST_LISTED = 500  # clips of the corpus that can be picked


@dataclass(frozen=True)
class Held:
    """A clip's vectors, None where missing and then why, its transcript and, for a clip of the corpus, its label."""

    vectors: dict[str, np.ndarray | None]
    missing: dict[str, str]
    transcript: str | None = None
    label: str | None = None

    def described(self, token: str) -> dict[str, Any]:
        """What the page shows of it."""
        held = [m for m, vector in self.vectors.items() if vector is not None]
        return {
            "token": token,
            "held": held,
            "missing": self.missing,
            "transcript": self.transcript,
            "label": self.label,
        }


class Session:
    """One model and the clips that somebody tries on it; may be asked by several threads.

    Args:
        predictor: the model. corpus: of a project, whose test clips can be picked.
        reader: makes features of dropped clips, or says why it cannot.
        found: what the project's report says of the model.
    """

    def __init__(
        self,
        predictor: Predictor,
        corpus: PreparedCorpus | None = None,
        reader: SharedReader | None = None,
        found: Found | None = None,
    ) -> None:
        self.predictor = predictor
        self._corpus = corpus
        self._found = found or Found((), (), {})
        self._reader = reader or SharedReader(None, "this page takes no clips")
        self._clips: OrderedDict[str, Held] = OrderedDict()
        self._keeping = threading.Lock()
        self._rows = {} if corpus is None else {str(corpus.ids[row]): int(row) for row in _pickable(corpus)}

    @classmethod
    def open(
        cls, model: str | Path, method: str | None = None, *, manifest: Path | None = None, preset: str | None = None
    ) -> Session:
        """A session on a project, an exported or a registered model.

        Raises:
            RamerError: no such model, or a manifest or preset was named that does not fit it.
        """
        predictor = Predictor.load(model, method)
        project = Project(Path(model))
        corpus = PreparedCorpus.open(project.prepared) if project.corpus.is_file() else None
        reader = SharedReader.open(predictor, manifest=manifest, preset=preset)
        return cls(predictor, corpus, reader, read_found(project, predictor.description.method))

    def describe(self) -> dict[str, Any]:
        """The model, and what can be tried on it."""
        described = self.predictor.description
        return {
            "method": described.method,
            "type": described.type,
            "corpus": described.corpus.name,
            "advice": self._found.advice,
            "limits": self._found.limits,
            "labels": list(self.predictor.label_names),
            "modalities": [m for m in MODALITIES if self.predictor.dims[m]],
            "replicates": len(described.replicates),
            "retrieves": described.retrieves,
            "clips": list(self._rows),
            "takes_files": not self._reader.why,
            "why_no_files": self._reader.why,
        }

    def check_takes_files(self) -> ClipReader:
        """What makes features of dropped clips.

        Raises:
            RamerError: nothing does.
        """
        return self._reader.check()

    def read(self, path: Path | None, transcript: str | None) -> dict[str, Any]:
        """Take in a media file, or a transcript alone.

        Raises:
            RamerError: it cannot be read, or raw clips cannot be taken at all.
        """
        made = self._reader.read(path, transcript)
        held = Held(made.vectors, made.missing, made.transcript)
        token = uuid.uuid4().hex
        with self._keeping:
            self._clips[token] = held
            while len(self._clips) > KEPT_CLIPS:
                self._clips.popitem(last=False)
        return held.described(token)

    def pick(self, clip: str) -> dict[str, Any]:
        """Take a test clip of the corpus; its token is its name."""
        return self._held(clip).described(clip)

    def predict(self, token: str, available: Sequence[str]) -> dict[str, Any]:
        """Emotions of a clip with only these of its modalities, and who stands in for the others.

        Raises:
            RamerError: a clip or a modality that is not known.
        """
        unknown = sorted(set(available) - set(MODALITIES))
        if unknown:
            raise RamerError(f"{', '.join(unknown)}: no such modality, expected {', '.join(MODALITIES)}")
        vectors = self._held(token).vectors
        held = [m for m, vector in vectors.items() if m in available and vector is not None]
        features = {
            m: vector if vector is not None and m in held else np.full(self.predictor.dims[m], np.nan)
            for m, vector in vectors.items()
        }
        coverage = self._found.coverage if self.predictor.conformal is not None else None
        said = self.predictor.predict(features, neighbours=True, coverage=coverage)
        near: dict[str, list[dict[str, Any]]] = {}
        for neighbour in said.neighbours[0] if said.neighbours else ():
            entry = {"id": neighbour.id, "score": round(neighbour.score, 4), "label": neighbour.label}
            near.setdefault(neighbour.target, []).append(entry)
        return {
            "predicted": str(said.labels[0]),
            "method": said.method,
            "set": list(said.sets[0]) if said.sets else None,
            "coverage": coverage,
            "covered": self._found.covered.get("".join(m[0] for m in MODALITIES if m in held)) if said.sets else None,
            "probabilities": dict(zip(said.label_names, said.probabilities[0].tolist(), strict=True)),
            "missing": [m for m in said.missing(0) if self.predictor.dims[m]],
            "neighbours": near,
        }

    def _held(self, token: str) -> Held:
        with self._keeping:
            if token in self._clips:
                return self._clips[token]
        row = self._rows.get(token)
        if row is None or self._corpus is None:
            raise RamerError(f"{token}: no such clip here; drop it again, or pick another one")
        vectors = {
            m: np.array(self._corpus.features[m][row]) if self._corpus.available[row, i] else None
            for i, m in enumerate(MODALITIES)
            if self.predictor.dims[m]
        }
        labels = self._corpus.labels(self._corpus.replicates[0])
        missing = {m: "not in the corpus" for m, vector in vectors.items() if vector is None}
        return Held(vectors, missing, None, self._corpus.label_names[labels[row]])


def _pickable(corpus: PreparedCorpus) -> np.ndarray:
    """Test clips of the first replicate: none of them is in its database."""
    return corpus.rows_in(corpus.replicates[0], "test")[:MOST_LISTED]
