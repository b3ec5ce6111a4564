"""``method.json``: what was trained, and how it was chosen. Read without torch, which tracking never needs."""

from __future__ import annotations

from typing import Any, ClassVar

from ramer.config import Section
from ramer.records import Record

METHOD_FILE = "method.json"


class Checkpoint(Section):
    """One replicate of a method.

    Attributes:
        epoch: that was kept, 0 for a closed form.
        val_selection: its selection score on validation.
        digest: of the checkpoint.
    """

    epoch: int
    val_selection: float
    digest: str


class ScoredMethod(Record):
    """``method.json`` beside a method's results.

    Attributes:
        name: under ``methods``.
        type: of the method.
        options: all of them, defaults included.
        deployable: whether it may be served with these options.
        retrieval: whether it retrieves.
        validation_selection: the mean of the replicates' selection scores on validation.
        numbers: learnt by the first replicate; 0 in files that were written before they were counted.
    """

    later: ClassVar[frozenset[str]] = frozenset({"format", "numbers"})

    name: str
    type: str
    options: dict[str, Any]
    deployable: bool
    retrieval: bool
    validation_selection: float
    numbers: int = 0


class TrainedMethod(ScoredMethod):
    """``method.json`` beside a method's checkpoints.

    Attributes:
        inputs: what its batches hold (``ramer.inputs``), sorted.
        replicates: by name.
    """

    inputs: tuple[str, ...]
    replicates: dict[str, Checkpoint]

    def digest(self, replicate: str) -> str | None:
        """Of a replicate's checkpoint; None for one that was not trained."""
        return self.replicates[replicate].digest if replicate in self.replicates else None

    @property
    def scored(self) -> ScoredMethod:
        """What stands beside the results."""
        return ScoredMethod.model_validate(self.model_dump(include=set(ScoredMethod.model_fields)))
