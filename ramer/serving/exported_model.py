"""A model in one folder that works without its project."""

from __future__ import annotations

import logging
from pathlib import Path

from ramer.digests import check_files, digest_files
from ramer.errors import ModelError
from ramer.evaluation.conformal_record import CONFORMAL_FILE, ConformalScores
from ramer.opening import links_out
from ramer.serving.database import DatabaseTable, read_database
from ramer.serving.description import FORMAT, MODEL_FILE, Addition, Folders, ModelDescription
from ramer.serving.model import ModelFiles

log = logging.getLogger(__name__)

IN_MLFLOW = Path("artifacts", "model")  # where MLflow keeps an exported model that it was given as artifact "model"


class ExportedModel(ModelFiles):
    """An exported model.

    Args:
        folder: with ``model.json``, or an MLflow model that has one in it.
        method: refused unless it is this one; any if None.
        verify: compare every file with its digest.

    Attributes:
        folder: with ``model.json``.

    Raises:
        ModelError: it is torn, damaged, of another format, holds another method, or a link leads out of it.
    """

    def __init__(self, folder: Path, method: str | None = None, verify: bool = True) -> None:
        self.folder = folder / IN_MLFLOW if _describes(folder / IN_MLFLOW) else folder
        _refuse_links(self.folder)
        self.description = ModelDescription.read(self.folder, verify)
        if method not in (None, self.description.method):
            raise ModelError(f"{self.folder}: holds the method {self.description.method}, not {method}")
        if verify:
            self._verify()
        self.encoders, self.heads = encoders_in(self.folder), heads_in(self.folder)
        listed = CONFORMAL_FILE in (self.description.files or {})
        self.conformal = ConformalScores.read_verified(self.folder / CONFORMAL_FILE, verify) if listed else None
        self.index, self.database = index_in(self.folder, self.folders), database_in(self.folder, self.folders)

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether there is an exported model."""
        return _describes(folder) or _describes(folder / IN_MLFLOW)

    @property
    def folders(self) -> Folders:
        return self.description.folders

    def _verify(self) -> None:
        if self.description.files is None:
            log.warning(
                "warning: %s: exported before digests were kept, so that damage to it is not noticed; export it again",
                self.folder,
            )
            return
        check_files(self.folder, self.description.files, self.folder / MODEL_FILE)

    def read_database(self) -> DatabaseTable:
        return read_database(self.database, self.replicates, self.feature_dims, self.holds_states)

    def take(self, folders: Folders, addition: Addition) -> None:
        """Make these folders the database and the indexes of the model on disk, in one step for whoever reads it."""
        kept = self.description.files or digest_files(self.folder, [self.encoders, self.heads])
        replaced = (f"{self.folders.database}/", f"{self.folders.index}/")
        files = {name: digest for name, digest in kept.items() if not name.startswith(replaced)}
        files |= digest_files(self.folder, [database_in(self.folder, folders), index_in(self.folder, folders)])
        additions = (*self.description.additions, addition)
        changed = {"format": FORMAT, "folders": folders, "additions": additions, "files": files}
        self.description.model_copy(update=changed).write(self.folder)


def _refuse_links(folder: Path) -> None:
    """A model is passed on as a folder: what leads out of it is somebody else's choice of what is read and written."""
    links = links_out(folder, sorted(folder.rglob("*")))
    if links:
        name, target = next(iter(links.items()))
        more = f" and {len(links) - 1} more" if len(links) > 1 else ""
        raise ModelError(
            f"{folder / name}: a link out of the model, to {target}{more}; an exported model holds its files itself, "
            "make a copy of it with `cp -rL`"
        )


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
