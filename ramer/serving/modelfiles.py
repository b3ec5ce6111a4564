"""Finding a trained model, and taking one along: in a project, an exported folder or the registry."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ramer.digests import DIGESTS_FILE, digest_files
from ramer.errors import ModelError
from ramer.evaluation.conformal_record import CONFORMAL_FILE
from ramer.files import atomic_directory, sweep
from ramer.mlflow_address import names_version
from ramer.serving.database import write_database
from ramer.serving.description import FORMAT, MODEL_FILE, Folders, ModelDescription
from ramer.serving.exported_model import ExportedModel, database_in, encoders_in, heads_in, index_in
from ramer.serving.model import ModelFiles
from ramer.serving.project_model import ProjectModel
from ramer.serving.registered import fetch_model
from ramer.targets import holds_earlier, refuse_others, replacing

_PIECE = 1 << 20  # bytes copied at a time


@contextlib.contextmanager
def open_model(path: str | Path, method: str | None = None, verify: bool = True) -> Iterator[ModelFiles]:
    """``find_model``, also for a registered model (``models:/name@alias``), whose files last as long as the context."""
    if not names_version(path):
        yield find_model(Path(path), method, verify)
        return
    with fetch_model(str(path)) as folder:
        yield find_model(folder, method, verify)


def find_model(path: Path, method: str | None = None, verify: bool = True) -> ModelFiles:
    """The model in ``path``: an exported folder, or a project (its ``serve.method`` unless named).

    Args:
        verify: compare every file that is loaded with the digest that was kept when it was written.

    Raises:
        ModelError: neither, the method has not been trained there, or a file is damaged.
    """
    if ExportedModel.is_in(path):
        return ExportedModel(path, method, verify)
    if ProjectModel.is_in(path):
        return ProjectModel(path, method, verify)
    raise ModelError(f"{path}: no model here, expected an exported model ({MODEL_FILE}) or a project after `dvc repro`")


def find_exported(path: Path, verify: bool = True) -> ExportedModel:
    """The exported model in ``path``, which may be changed there.

    Raises:
        ModelError: none, or a project.
    """
    if not ExportedModel.is_in(path) and ProjectModel.is_in(path):
        raise ModelError(f"{path}: a project, whose files are DVC's; `ramer export` it and add to the exported model")
    if not ExportedModel.is_in(path):
        raise ModelError(f"{path}: no exported model here, expected {MODEL_FILE}")
    return ExportedModel(path, verify=verify)


def find_trained(path: Path, method: str | None = None) -> ProjectModel:
    """The project's model in ``path``, which has its corpus beside it.

    Raises:
        ModelError: none, or an exported model.
    """
    if ExportedModel.is_in(path):
        raise ModelError(f"{path}: an exported model has no corpus; give an npz, or the project as --model")
    if not ProjectModel.is_in(path):
        raise ModelError(f"{path}: no project here, expected one after `dvc repro`")
    return ProjectModel(path, method)


def export_model(model: str | Path, out: Path, method: str | None = None) -> None:
    """Copy all that prediction needs into one folder that works without the project.

    Args:
        model: a project, an exported model or a registered one.

    Raises:
        RamerError: there is no such model, or ``out`` holds something that is of none.
    """
    with open_model(model, method) as files:
        _export(files, out)


def _export(files: ModelFiles, out: Path) -> None:
    _check_replaced(out)
    with atomic_directory(out) as folder:
        _copy(files.encoders, encoders_in(folder))
        _copy(files.heads, heads_in(folder))
        if files.conformal is not None:
            files.conformal.write(folder / CONFORMAL_FILE)
        if files.indexed:
            _copy(files.index, index_in(folder, Folders()))
        if files.retrieves:
            table = files.read_database()
            write_database(database_in(folder, Folders()), table, np.flatnonzero(table.available.any(axis=1)))
        held = {"format": FORMAT, "folders": Folders(), "files": digest_files(folder, [folder])}
        files.description.model_copy(update=held).write(folder)


def _check_replaced(out: Path) -> None:
    """Refuse a place that holds anything but an earlier export, which would be lost.

    Raises:
        RamerError: one line, which names what is there.
    """
    if not holds_earlier(out, MODEL_FILE, "exported model"):
        return
    sweep(out)
    with replacing(out):
        described = ModelDescription.read(out, verify=False)
    if described.files is None:  # an earlier version wrote it, and does not say which are its own
        return
    before = described.folders.unused(out)  # of the last addition
    unused = {file.relative_to(out).as_posix() for path in before for file in path.rglob("*")}
    refuse_others(out, {MODEL_FILE, *described.files, *unused}, "the exported model")


def _copy(source: Path, out: Path) -> None:
    """Copy a folder without its digests: an exported model has its own."""
    for path in sorted(source.rglob("*")):
        target = out / path.relative_to(source)
        if path.is_dir() or path.name == DIGESTS_FILE:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("rb") as read, target.open("wb") as written:
                shutil.copyfileobj(read, written, _PIECE)
        except OSError as error:  # a full disk does not say where
            error.filename = error.filename or str(target)
            raise
