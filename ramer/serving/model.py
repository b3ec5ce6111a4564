"""A trained model's files, wherever they are: what prediction asks of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from ramer.evaluation.conformal_record import ConformalScores
from ramer.serving.database import DatabaseTable
from ramer.serving.description import ModelDescription


class ModelFiles(ABC):
    """A model's description and its parts.

    Attributes:
        description: what the model says of itself.
        encoders: folder of the encoders, ``<modality>/<replicate>.safetensors``.
        heads: folder of the trained method, ``method.json`` and ``<replicate>.safetensors``.
        index: folder of the indexes, ``<modality>/<replicate>.faiss`` with sidecars.
        conformal: what sets of classes follow from; None for a model from before there was that.
    """

    description: ModelDescription
    encoders: Path
    heads: Path
    index: Path
    conformal: ConformalScores | None

    @property
    def replicates(self) -> tuple[str, ...]:
        return self.description.replicates

    @property
    def retrieves(self) -> bool:
        return self.description.retrieves

    @property
    def indexed(self) -> bool:
        """Whether the method searches states, in indexes that lie beside its database."""
        return self.description.indexed

    @property
    def holds_states(self) -> bool:
        """Whether the rows of its database lend states."""
        return self.description.holds_states

    @property
    def encodes(self) -> bool:
        """Whether the method encodes and searches for itself, and so needs the features of its database."""
        return self.description.encodes

    @property
    def feature_dims(self) -> dict[str, int]:
        """Lengths of the raw vectors that its database holds, per modality."""
        return {m: dim for m, dim in self.description.dims.items() if self.encodes and dim}

    @abstractmethod
    def read_database(self) -> DatabaseTable:
        """The retrieval database of a method that retrieves; arrays stay on disk.

        Raises:
            ModelError: a part is not there, torn, or does not fit the others.
        """
