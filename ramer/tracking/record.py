"""What a run will hold, read from the files of the pipeline; knows nothing of MLflow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ramer.config import Serve, Tracking
from ramer.data.corpus_record import CorpusRecord
from ramer.evaluation.model_cards import ModelCards
from ramer.files import digest_file
from ramer.modalities import AVERAGE, FULL_CONDITION, MODALITIES
from ramer.project import Project
from ramer.tracking.interval_metrics import interval_metrics
from ramer.tracking.measured import Measured
from ramer.tracking.result_files import Point, ResultsError, mean_history, numbers_of, read_mapping, read_record_of
from ramer.training.best_method import served_method
from ramer.training.method_record import METHOD_FILE, ScoredMethod

_RESULTS = ("predictions.parquet", "metrics.json", "confusion.json", "retrieval.json", "method.json")
_HEADLINES = (f"{AVERAGE}/weighted_f1", f"{FULL_CONDITION}/weighted_f1")


@dataclass(frozen=True)
class Part:
    """What one run logs.

    Attributes:
        artifacts: name in the run -> file.
    """

    params: dict[str, str]
    metrics: dict[str, float]
    history: list[Point]
    artifacts: dict[str, Path]


@dataclass(frozen=True)
class Corpus:
    """What was learnt and tested on.

    Attributes:
        info: its description.
        digest: of its contents. source: where it was read.
    """

    info: CorpusRecord
    digest: str
    source: str

    @property
    def profile(self) -> dict[str, Any]:
        """Of the data set in MLflow."""
        return self.info.model_dump(mode="json", include={"digest", "counts", "dims", "label_names"})


@dataclass(frozen=True)
class Record:
    """An experiment and its methods, in the order of ``params.yaml``.

    Attributes:
        cards: what the report found of them.
        tags: per method.
    """

    experiment: Part
    corpus: Corpus
    cards: ModelCards
    methods: dict[str, Part] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """What is logged: a project after its pipeline has run.

    Attributes:
        project: with the files; its root is absolute.
        params: all parameters that decide what is logged, nested.
        methods: names, in the order of the parameters.
        source: where the corpus was read.
        serve: which method becomes a registered model.
        tracking: how it is logged.
        measured: how long the pipeline took.
    """

    project: Project
    params: Mapping[str, Any]
    methods: tuple[str, ...]
    source: str
    serve: Serve
    tracking: Tracking
    measured: Measured = field(default_factory=Measured)

    @property
    def served(self) -> str:
        """The method that becomes a registered model, which ``serve.method`` names or describes."""
        folders = {name: self.project.method_results(name) for name in self.methods}
        return served_method(self.serve.method, folders, ScoredMethod)


def digest_inputs(experiment: Experiment) -> str:
    """SHA-256 over the parameters and every file that is read, the same in every clone.

    A file that should be there and is not counts as missing; ``read_record`` refuses it.
    ``dvc.lock`` is left out: it is rewritten afterwards with the receipt's own digest.
    """
    project, files = experiment.project, _experiment_files(experiment)
    for method in experiment.methods:
        files |= {f"{method}/{name}": path for name, path in _method_files(project, method).items()}
    sha = hashlib.sha256(json.dumps(experiment.params, sort_keys=True).encode())
    for name in sorted(files.keys() - {project.lock.name, project.params.name}):
        content = digest_file(files[name]) if files[name].is_file() else "missing"
        sha.update(f"{name}\0{content}\0".encode())
    return sha.hexdigest()


def read_record(experiment: Experiment) -> Record:
    """Read everything that is to be logged.

    Raises:
        ResultsError: one line per file that is missing, or the first that cannot be read.
    """
    project = experiment.project
    shared = _experiment_files(experiment)
    own = {method: _method_files(project, method) for method in experiment.methods}
    missing = [path for files in (shared, *own.values()) for path in files.values() if not path.is_file()]
    if missing:
        raise ResultsError.of(ResultsError(f"{path.relative_to(project.root)}: no such file", path) for path in missing)
    cards = _read_cards(experiment)
    methods: dict[str, Part] = {}
    tags: dict[str, dict[str, str]] = {}
    for method, files in own.items():
        methods[method], tags[method] = _read_method(project, method, files, cards)
    metrics = {
        f"{method}/{key.replace('/', '_')}{end}": part.metrics[key + end]
        for method, part in methods.items()
        for key in _HEADLINES
        for end in ("", "_low", "_high")
        if key + end in part.metrics
    }
    history = [p for m in MODALITIES for p in mean_history(project.encoders(m), f"pretrain_{m}", project.root)]
    parent = Part(flatten(experiment.params), metrics, history, shared)
    return Record(parent, _read_corpus(experiment), cards, methods, tags)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested parameters as dotted names and text: ``methods.ramer.k`` -> ``5``; lists as JSON."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _experiment_files(experiment: Experiment) -> dict[str, Path]:
    """By their names in the run, which are their paths in the project."""
    project = experiment.project
    needed = [project.params, project.summary, project.cards, project.headline, project.report, project.corpus]
    optional = [project.lock, project.explorer, *(project.neighbours(m) / "diagnostics.json" for m in MODALITIES)]
    # Each of these directories is one stage's whole output, so listing it finds nothing stale.
    folders = [project.plots, *(kind(m) for kind in (project.encoders, project.indexes) for m in MODALITIES)]
    folders += [project.method(name) for name in experiment.methods]
    files = [*needed, *(path for path in optional if path.is_file())]
    files += [path for folder in folders for path in _visible_files(folder)]
    return {path.relative_to(project.root).as_posix(): path for path in files}


def _method_files(project: Project, method: str) -> dict[str, Path]:
    return {name: project.method_results(method) / name for name in _RESULTS}


def _visible_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path


def _read_cards(experiment: Experiment) -> ModelCards:
    path, root = experiment.project.cards, experiment.project.root
    cards = read_record_of(ModelCards, path, root)
    lacking = [name for name in experiment.methods if name not in cards.methods]
    if lacking:
        raise ResultsError([f"{path.relative_to(root)}: expected a card of {name}, got none" for name in lacking], path)
    return cards


def _read_method(
    project: Project, method: str, files: Mapping[str, Path], cards: ModelCards
) -> tuple[Part, dict[str, str]]:
    root, trained = project.root, project.method(method)
    about = read_record_of(ScoredMethod, files[METHOD_FILE], root)
    numbers = numbers_of(read_mapping(files["metrics.json"], root), files["metrics.json"], root)
    metrics = {_charted(key): value for key, value in numbers.items()}
    metrics = interval_metrics(cards.methods[method]) | metrics  # scores are those of metrics.json, to the last bit
    metrics["validation/selection"] = about.validation_selection
    read_mapping(files["confusion.json"], root)
    tags = {"method": method, "type": about.type}
    tags |= {"deployable": json.dumps(about.deployable), "retrieval": json.dumps(about.retrieval)}
    tags |= {"reference": cards.reference}
    part = Part(
        params={"method": method, "type": about.type, **flatten(about.options)},
        metrics=metrics,
        history=mean_history(trained, "training", root),
        artifacts=dict(files),
    )
    return part, tags


def _charted(key: str) -> str:
    """The UI draws one section per prefix: the spreads get their own, ``std/a_uar``, beside that of each condition."""
    return f"std/{key.removesuffix('_std').replace('/', '_')}" if key.endswith("_std") else key


def _read_corpus(experiment: Experiment) -> Corpus:
    path, root = experiment.project.corpus, experiment.project.root
    info = read_record_of(CorpusRecord, path, root)
    if info.digest is None:
        raise ResultsError(f"{path.relative_to(root)}: digest: missing", path)
    return Corpus(info, info.digest, experiment.source)
