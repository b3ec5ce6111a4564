"""Where a trained model's files are: in a project whose pipeline has run, or in an exported folder."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap

from ramer.data.prepared import PreparedCorpus
from ramer.errors import ModelError
from ramer.files import atomic_directory, read_json, read_table, write_json, write_table
from ramer.inputs import LIVE, NEIGHBOURS, SHUFFLED
from ramer.modalities import MODALITIES
from ramer.registry import fetch_model, names_version
from ramer.retrieval.index import database_rows
from ramer.retrieval.states import StatesTable

log = logging.getLogger(__name__)

FORMAT = 1
BLOCK = 16384  # rows copied at a time
MODEL_FILE = "model.json"
IN_MLFLOW = Path("artifacts", "model")  # where MLflow keeps an exported model that it was given as artifact "model"


@dataclass(frozen=True)
class DatabaseTable:
    """The rows that retrieval may return.

    Attributes:
        rows: int64 [n], corpus row numbers, ascending; indexes name rows by these.
        ids: [n].
        labels: class names or None, [replicates, n]: a label that one replicate's budget hides is not that replicate's.
        available: bool [n, 3].
        states: per modality float32 [replicates, n, hidden], may be memory-mapped.
        features: raw vectors of the modalities that the corpus has, float32 [1, n, dim], may be memory-mapped; empty
            for a method that encodes nothing itself.
    """

    rows: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    available: np.ndarray
    states: dict[str, np.ndarray]
    features: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def files(self) -> dict[str, np.ndarray]:
        """The arrays by the names of their files."""
        return {f"{m}.npy": a for m, a in self.states.items()} | {features_file(m): a for m, a in self.features.items()}


def features_file(modality: str) -> str:
    """Where a database keeps raw vectors."""
    return f"{modality}.features.npy"


@dataclass(frozen=True)
class ModelFiles:
    """A model's description (``model.json``) and the folders that hold its parts."""

    description: dict[str, Any]
    encoders: Path
    heads: Path
    index: Path
    database: Path | None
    project: Path | None

    @property
    def replicates(self) -> list[str]:
        return list(self.description["replicates"])

    @property
    def retrieves(self) -> bool:
        return bool(self.description["retrieves"])

    @property
    def encodes(self) -> bool:
        """Whether the method encodes and searches for itself, and so needs the features of its database."""
        return LIVE in self.description.get("inputs", ())

    def read_database(self) -> DatabaseTable:
        """The retrieval database; empty for a method that does not retrieve."""
        if self.project is not None:
            return _project_database(self.project, self.description, self.encodes)
        assert self.database is not None
        rows = self.database / "rows.parquet"
        with refuse_torn(rows):
            table = read_table(rows)
            held = DatabaseTable(
                rows=table["row"].to_numpy(dtype=np.int64),
                ids=table["id"].to_numpy(dtype=object),
                labels=np.stack([_texts(table[f"label_{r}"]) for r in self.replicates]),
                available=table[[f"available_{m}" for m in MODALITIES]].to_numpy(dtype=bool),
                states={},
            )
        for m in MODALITIES:
            held.states[m] = _read_array(self.database / f"{m}.npy", "states", len(self.replicates), len(held.rows))
            dim = self.description["dims"][m]
            if self.encodes and dim:
                held.features[m] = _read_array(self.database / features_file(m), "numbers", 1, len(held.rows), dim)
        return held


def _read_array(path: Path, what: str, *shape: int) -> np.ndarray:
    """A memory-mapped array, the first sizes of which are known."""
    with refuse_torn(path):
        array: np.ndarray = np.load(path, mmap_mode="r")
    if array.shape[: len(shape)] != shape:
        expected, got = (" x ".join(map(str, size)) for size in (shape, array.shape[: len(shape)]))
        raise ModelError(f"{path}: expected {expected} {what}, got {got}")
    return array


@contextlib.contextmanager
def refuse_torn(path: Path) -> Iterator[None]:
    """Whatever reading a damaged part of a model raises, as one line."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise ModelError(f"{path}: torn, or no part of a model ({type(error).__name__}); make it again") from None


@contextlib.contextmanager
def open_model(path: str | Path, method: str | None = None) -> Iterator[ModelFiles]:
    """``find_model``, also for a registered model (``models:/name@alias``), whose files last as long as the context."""
    if not names_version(path):
        yield find_model(Path(path), method)
        return
    with fetch_model(str(path)) as folder:
        yield find_model(folder, method)


def find_model(path: Path, method: str | None = None) -> ModelFiles:
    """The model in ``path``: an exported folder, or a project (its ``serve.method`` unless named).

    Raises:
        ModelError: neither, or the method has not been trained there.
    """
    if (path / IN_MLFLOW / MODEL_FILE).is_file():
        path = path / IN_MLFLOW
    if (path / MODEL_FILE).is_file():
        return _exported(path, method)
    if not (path / "models" / "methods").is_dir():
        raise ModelError(
            f"{path}: no model here, expected an exported model ({MODEL_FILE}) or a project after `dvc repro`"
        )
    return _of_project(path, method)


def export_model(project: Path, out: Path, method: str | None = None) -> None:
    """Copy all that prediction needs into one folder that works without the project.

    Raises:
        ModelError: the project holds no such model, or ``out`` holds something that is none.
    """
    files = find_model(project, method)
    if out.exists() and not (out / MODEL_FILE).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out}: holds something else than an exported model, which alone would be replaced")
    with atomic_directory(out) as folder:
        shutil.copytree(files.encoders, folder / "encoders")
        shutil.copytree(files.heads, folder / "heads")
        if files.retrieves:
            shutil.copytree(files.index, folder / "index")
            _write_database(files, folder / "database")
        write_json(folder / MODEL_FILE, files.description)


def _exported(path: Path, method: str | None) -> ModelFiles:
    with refuse_torn(path / MODEL_FILE):
        description = dict(read_json(path / MODEL_FILE))
    if description.get("format") != FORMAT:
        raise ModelError(f"{path / MODEL_FILE}: format: expected {FORMAT}, got {description.get('format')!r}")
    if method not in (None, description["method"]):
        raise ModelError(f"{path}: holds the method {description['method']}, not {method}")
    index, database = (path / description.get("folders", {}).get(part, part) for part in ("index", "database"))
    return ModelFiles(description, path / "encoders", path / "heads", index, database, None)


def _of_project(path: Path, method: str | None) -> ModelFiles:
    from ramer.config import load_config

    config = load_config(path / "params.yaml")
    name = method or config.serve.method
    heads = path / "models" / "methods" / name
    if not (heads / "method.json").is_file():
        raise ModelError(f"{heads}: method {name!r} is not trained here; methods: {', '.join(config.methods)}")
    corpus = PreparedCorpus.open(path / "data" / "prepared")
    with refuse_torn(heads / "method.json"):
        trained = read_json(heads / "method.json")
        kind, deployable = trained["type"], trained["deployable"]
        inputs = trained["inputs"]  # from the file: the method's class would load torch, which registering never needs
    if not deployable and SHUFFLED not in inputs:
        raise ModelError(f"{heads}: method {name!r} is not deployable: it uses what is missing at prediction")
    folders = config.corpus.merbench.features.model_dump() if config.corpus.kind == "merbench" else {}
    description = {
        "format": FORMAT,
        "method": name,
        "type": kind,
        "retrieves": NEIGHBOURS in inputs,
        "inputs": inputs,
        "label_names": list(corpus.label_names),
        "dims": corpus.dims,
        "replicates": [r.name for r in corpus.replicates],
        "corpus": {"name": corpus.name, "digest": corpus.info.get("digest")},
        "retrieval": {"width": config.retrieval.width, "scope": config.retrieval.scope, "rerank": config.index.rerank},
        "feature_folders": folders,
        "extraction": _read_extraction(path / config.corpus.path, folders),
    }
    models = path / "models"
    return ModelFiles(description, models / "encoders", heads, models / "index", None, path)


def _read_extraction(corpus: Path, folders: dict[str, str | None]) -> dict[str, Any] | None:
    """How the corpus' features were made: the manifest of ``ramer extract`` beside them without its clips, or None.

    Args:
        corpus: a packed file with the folder ``features`` beside it, or the root of a MERBench corpus.
        folders: the latter's feature folders; what the manifest says of others is left out.
    """
    named = {m: corpus / folder for m, folder in folders.items() if folder}
    places = sorted({folder.parent for folder in named.values()}) or [corpus.parent / "features"]
    found = next((place / "manifest.json" for place in places if (place / "manifest.json").is_file()), None)
    if found is None:
        return None
    try:
        raw = read_json(found)
        sections = {m: s for m, s in raw["modalities"].items() if m not in named or s["folder"] == named[m].name}
        others = dict.fromkeys(raw["modalities"].keys() - sections.keys())
        return {**raw, "settings": raw["settings"] | others, "modalities": sections, "clips": {}}
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("%s: not a manifest; raw clips cannot be predicted without another one", found)
        return None


def _texts(column: pd.Series) -> np.ndarray:
    """Strings, None where there is none."""
    return column.astype(object).where(column.notna(), None).to_numpy(dtype=object)


def _project_database(project: Path, description: dict[str, Any], encodes: bool) -> DatabaseTable:
    """All rows of the project that some replicate's database holds; arrays stay memory-mapped whole tables."""
    corpus = PreparedCorpus.open(project / "data" / "prepared")
    states = {m: StatesTable.open(project / "data" / "states" / m, corpus).states for m in MODALITIES}
    # A row may be a test row of another replicate: labels and availability are given per index by its own rows.
    held = np.zeros(corpus.rows, dtype=bool)
    labels = np.full((len(corpus.replicates), corpus.rows), None, dtype=object)
    names = np.array([*corpus.label_names, None], dtype=object)
    for replicate in corpus.replicates:
        for m in MODALITIES:
            held[database_rows(corpus, replicate, m, description["retrieval"]["scope"])] = True
        train = corpus.rows_in(replicate, "train")
        labels[replicate.index, train] = names[corpus.labels(replicate)[train]]
    rows = np.arange(corpus.rows)
    present = [m for m in MODALITIES if encodes and corpus.dims[m]]
    features = {m: _read_array(corpus.path / f"{m}.npy", "numbers", corpus.rows, corpus.dims[m])[None] for m in present}
    return DatabaseTable(rows, corpus.ids, labels, corpus.available & held[:, None], states, features)


def _write_database(files: ModelFiles, out: Path) -> None:
    table = files.read_database()
    out.mkdir()
    keep = np.flatnonzero(table.available.any(axis=1))
    columns: dict[str, Any] = {"row": table.rows[keep], "id": table.ids[keep]}
    columns |= {f"label_{r}": table.labels[i, keep] for i, r in enumerate(files.replicates)}
    columns |= {f"available_{m}": table.available[keep, i] for i, m in enumerate(MODALITIES)}
    write_table(out / "rows.parquet", pd.DataFrame(columns))
    for name, array in table.files.items():
        shape = (len(array), len(keep), array.shape[2])
        copied = open_memmap(out / name, mode="w+", dtype=np.float32, shape=shape)
        for replicate in range(len(array)):
            for start in range(0, len(keep), BLOCK):  # never a whole table in memory
                copied[replicate, start : start + BLOCK] = array[replicate, keep[start : start + BLOCK]]
        copied.flush()
