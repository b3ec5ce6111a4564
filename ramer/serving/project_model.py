"""A model in the project whose pipeline trained it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from ramer.config import BEST, load_config
from ramer.data.prepared import PreparedCorpus
from ramer.digests import check_folder
from ramer.errors import ModelError
from ramer.evaluation.conformal import patterns
from ramer.evaluation.conformal_record import CONFORMAL_FILE, ConformalScores
from ramer.files import read_json
from ramer.inputs import NEIGHBOURS, OWN_KEYS, SHUFFLED
from ramer.modalities import MODALITIES
from ramer.opening import links_out, told_links
from ramer.project import Project
from ramer.retrieval.disk_lists import lists_of
from ramer.retrieval.indexes import OWN_SCOPE, database_rows
from ramer.retrieval.states import StatesTable
from ramer.serving.database import DatabaseTable, read_array
from ramer.serving.description import ModelDescription, RetrievalSettings, TrainedOn
from ramer.serving.model import ModelFiles
from ramer.serving.torn import refuse_torn
from ramer.training.best_method import served_method
from ramer.training.costs import trained_digest
from ramer.training.method_record import METHOD_FILE, TrainedMethod

log = logging.getLogger(__name__)


class ProjectModel(ModelFiles):
    """A trained method of a project.

    Args:
        root: the project's folder.
        method: its ``serve.method`` if None.
        verify: compare every file that is loaded with the digest that its stage has left.

    Attributes:
        project: where the files are.

    Raises:
        ModelError: the method has not been trained there, may not be deployed, or a file is damaged.
    """

    def __init__(self, root: Path, method: str | None = None, verify: bool = True) -> None:
        self.project = Project(root)
        self.config = load_config(self.project.params)
        name = method or self._served(verify)
        self.encoders, self.index = self.project.all_encoders, self.project.all_indexes
        self.heads = self.project.method(name)
        if not (self.heads / "method.json").is_file():
            told = ", ".join(self.config.methods)
            raise ModelError(f"{self.heads}: method {name!r} is not trained here; methods: {told}")
        known = [check_folder(folder, names) for folder, names in self._read_first().items()] if verify else []
        self.corpus = PreparedCorpus.open(self.project.prepared)
        self.description = self._describe(name)
        if verify:
            known += [check_folder(folder, names) for folder, names in self._read_later().items()]
        self.conformal = self._conformal(name, verify)
        parts = (self._read_first(), self._read_later())
        read = (folder / name for part in parts for folder, names in part.items() for name in names)
        for line in told_links(links_out(root, read)):  # as DVC links its cache
            log.warning("warning: %s: %s", root, line)
        if not all(known):
            log.warning(
                "warning: %s: made before digests were kept, so that damage to its files is not noticed; "
                "run `dvc repro`",
                root,
            )

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether there is a project with trained methods."""
        return Project(folder).all_methods.is_dir()

    def _served(self, verify: bool) -> str:
        folders = {name: self.project.method(name) for name in self.config.methods}
        if verify and self.config.serve.method == BEST:
            for folder in folders.values():
                if (folder / METHOD_FILE).is_file():
                    check_folder(folder, [METHOD_FILE])
        return served_method(self.config.serve.method, folders)

    def _conformal(self, name: str, verify: bool) -> ConformalScores | None:
        """What the stage ``evaluate`` kept of these very checkpoints; None where it has not run since."""
        path = self.project.method_results(name) / CONFORMAL_FILE
        if not path.is_file():
            return None
        found = ConformalScores.read_verified(path, verify)
        return found if found.trained == trained_digest(self.heads) else None

    def _read_first(self) -> dict[Path, list[str]]:
        """Files that say what the model is, by their folder."""
        return {self.project.prepared: ["corpus.json", "rows.parquet", "splits.parquet"], self.heads: ["method.json"]}

    def _read_later(self) -> dict[Path, list[str]]:
        """All other files that are loaded, by their folder."""
        described, project = self.description, self.project
        present = [m for m, dim in described.dims.items() if dim]
        weights = [f"{r}.safetensors" for r in described.replicates]
        files = {self.heads: weights} | {project.encoders(m): weights for m in present}
        if described.retrieves:
            files[project.prepared] = [f"{m}.npy" for m in self.feature_dims]
        if described.indexed:
            files |= {project.indexes(m): self._index_files(m) for m in present}
        if described.holds_states:
            files |= {project.states(m): ["states.json", "states.npy", "posteriors.npy"] for m in MODALITIES}
        return files

    def _index_files(self, modality: str) -> list[str]:
        """Of all replicates; lists are files of their own where ``index.lists`` was ``disk``."""
        paths = [self.project.index(modality, replicate) for replicate in self.description.replicates]
        beside = [path.with_suffix(ending) for path in paths for ending in (".faiss", ".json", ".parquet")]
        return [path.name for path in (*beside, *(lists_of(path) for path in paths if lists_of(path).exists()))]

    def _describe(self, name: str) -> ModelDescription:
        # From the file: the method's class would load torch, which registering never needs.
        with refuse_torn(self.heads / METHOD_FILE):
            trained = TrainedMethod.read(self.heads / METHOD_FILE)
        inputs = trained.inputs
        if not trained.deployable and SHUFFLED not in inputs:
            raise ModelError(f"{self.heads}: method {name!r} is not deployable: it uses what is missing at prediction")
        corpus, retrieval, index = self.corpus, self.config.retrieval, self.config.index
        merbench = self.config.corpus.kind == "merbench"
        folders = self.config.corpus.merbench.features.model_dump() if merbench else {}
        return ModelDescription(
            method=name,
            type=trained.type,
            retrieves=NEIGHBOURS in inputs or OWN_KEYS in inputs,
            inputs=inputs,
            label_names=corpus.label_names,
            dims=corpus.dims,
            replicates=tuple(r.name for r in corpus.replicates),
            corpus=_trained_on(corpus),
            retrieval=RetrievalSettings(
                width=retrieval.width,
                scope=OWN_SCOPE if OWN_KEYS in inputs and NEIGHBOURS not in inputs else retrieval.scope,
                rerank=index.rerank,
                seed=index.seed,
            ),
            feature_folders=folders,
            extraction=_read_extraction(self.project.root / self.config.corpus.path, folders),
        )

    def read_database(self) -> DatabaseTable:
        """All rows of the project, of which each replicate's database holds some; arrays stay on disk."""
        corpus = self.corpus
        lending = MODALITIES if self.holds_states else ()
        states = {m: StatesTable.open(self.project.states(m), corpus).states for m in lending}
        # A row may be a test row of another replicate: labels and members are given for each of them.
        members = np.zeros((len(corpus.replicates), corpus.rows), dtype=bool)
        labels = np.full((len(corpus.replicates), corpus.rows), None, dtype=object)
        names = np.array([*corpus.label_names, None], dtype=object)
        for replicate in corpus.replicates:
            for m in MODALITIES:
                members[replicate.index, database_rows(corpus, replicate, m, self.description.retrieval.scope)] = True
            train = corpus.rows_in(replicate, "train")
            labels[replicate.index, train] = names[corpus.labels(replicate)[train]]
        features = {
            m: read_array(corpus.path / f"{m}.npy", "numbers", corpus.rows, dim)[None]
            for m, dim in self.feature_dims.items()
        }
        rows, available = np.arange(corpus.rows), corpus.available & np.asarray(members.any(axis=0))[:, None]
        return DatabaseTable(self.replicates, rows, corpus.ids, labels, members, available, states, features)


def _trained_on(corpus: PreparedCorpus) -> TrainedOn:
    """The corpus, and of what kinds its training rows are: what new clips are compared with."""
    names = np.array(corpus.label_names, dtype=object)
    held: dict[str, float] = {}
    classes: dict[str, float] = {}
    for replicate in corpus.replicates:
        rows = corpus.rows_in(replicate, "train")
        for shares, kinds in (
            (held, patterns(corpus.available[rows])),
            (classes, names[corpus.labels(replicate)[rows]]),
        ):
            for kind, many in zip(*np.unique(np.array(kinds, dtype=str), return_counts=True), strict=True):
                share = float(many) / len(rows) / len(corpus.replicates)
                shares[str(kind)] = shares.get(str(kind), 0.0) + share
    return TrainedOn(name=corpus.name, digest=corpus.info.digest, patterns=held, classes=classes)


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
