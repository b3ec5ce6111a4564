"""A model in one folder that works without its project."""

from __future__ import annotations

from pathlib import Path

from ramer.errors import ModelError
from ramer.serving.database import DatabaseTable, read_database
from ramer.serving.description import MODEL_FILE, Folders, ModelDescription
from ramer.serving.model import ModelFiles

IN_MLFLOW = Path("artifacts", "model")  # where MLflow keeps an exported model that it was given as artifact "model"


class ExportedModel(ModelFiles):
    """An exported model.

    Args:
        folder: with ``model.json``, or an MLflow model that has one in it.
        method: refused unless it is this one; any if None.

    Attributes:
        folder: with ``model.json``.

    Raises:
        ModelError: it is torn, of another format, or holds another method.
    """

    def __init__(self, folder: Path, method: str | None = None) -> None:
        self.folder = folder / IN_MLFLOW if _describes(folder / IN_MLFLOW) else folder
        self.description = ModelDescription.read(self.folder)
        if method not in (None, self.description.method):
            raise ModelError(f"{self.folder}: holds the method {self.description.method}, not {method}")
        self.encoders, self.heads = encoders_in(self.folder), heads_in(self.folder)
        self.index, self.database = index_in(self.folder, self.folders), database_in(self.folder, self.folders)

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether there is an exported model."""
        return _describes(folder) or _describes(folder / IN_MLFLOW)

    @property
    def folders(self) -> Folders:
        return self.description.folders

    def read_database(self) -> DatabaseTable:
        return read_database(self.database, self.replicates, self.feature_dims)


def encoders_in(folder: Path) -> Path:
    return folder / "encoders"


def heads_in(folder: Path) -> Path:
    return folder / "heads"


def index_in(folder: Path, folders: Folders) -> Path:
    return folder / folders.index


def database_in(folder: Path, folders: Folders) -> Path:
    return folder / folders.database


def _describes(folder: Path) -> bool:
    return (folder / MODEL_FILE).is_file()
