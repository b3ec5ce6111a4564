"""What a run will hold, read from the files of the pipeline; knows nothing of MLflow."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ramer.config import Config
from ramer.errors import RamerError
from ramer.files import digest_file, read_json
from ramer.modalities import AVERAGE, FULL_CONDITION, MODALITIES

_RESULTS = ("predictions.parquet", "metrics.json", "confusion.json", "retrieval.json", "method.json")
_REPORTS = ("results/summary.json", "results/headline.json", "results/report.html")
_HEADLINES = (f"{AVERAGE}/weighted_f1", f"{FULL_CONDITION}/weighted_f1")


class ResultsError(RamerError):
    """A file that the pipeline should have written is missing or broken."""


@dataclass(frozen=True)
class Point:
    """One value of a metric at one epoch."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Part:
    """What one run logs. artifacts: name in the run -> file."""

    params: dict[str, str]
    metrics: dict[str, float]
    history: list[Point]
    artifacts: dict[str, Path]


@dataclass(frozen=True)
class Corpus:
    name: str
    digest: str
    source: str
    profile: dict[str, Any]


@dataclass(frozen=True)
class Record:
    """An experiment and its methods, in the order of ``params.yaml``. tags: per method."""

    experiment: Part
    corpus: Corpus
    methods: dict[str, Part] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)


def digest_inputs(config: Config, root: Path) -> str:
    """SHA-256 over the parameters and every file that ``track`` reads, the same in every clone.

    A file that should be there and is not counts as missing; ``read_record`` refuses it.
    ``dvc.lock`` is left out: it is rewritten after ``track`` with the receipt's own digest.
    """
    files = _experiment_files(config, root)
    for method in config.methods:
        files |= {f"{method}/{name}": path for name, path in _method_files(method, root).items()}
    sha = hashlib.sha256(json.dumps(_parameters(config), sort_keys=True).encode())
    for name in sorted(files.keys() - {"dvc.lock", "params.yaml"}):
        content = digest_file(files[name]) if files[name].is_file() else "missing"
        sha.update(f"{name}\0{content}\0".encode())
    return sha.hexdigest()


def read_record(config: Config, root: Path) -> Record:
    """Read everything that is to be logged.

    Raises:
        ResultsError: one line per file that is missing, or the first that cannot be read.
    """
    shared = _experiment_files(config, root)
    own = {method: _method_files(method, root) for method in config.methods}
    missing = [path for files in (shared, *own.values()) for path in files.values() if not path.is_file()]
    if missing:
        raise ResultsError(
            [f"{path.relative_to(root)}: no such file, expected the output of an earlier stage" for path in missing]
        )
    methods: dict[str, Part] = {}
    tags: dict[str, dict[str, str]] = {}
    for method, files in own.items():
        methods[method], tags[method] = _read_method(method, files, root)
    metrics = {
        f"{method}/{key.replace('/', '_')}": part.metrics[key]
        for method, part in methods.items()
        for key in _HEADLINES
        if key in part.metrics
    }
    history = [point for m in MODALITIES for point in _encoder_history(m, root)]
    experiment = Part(flatten(_parameters(config)), metrics, history, shared)
    return Record(experiment, _read_corpus(config, root), methods, tags)


def _parameters(config: Config) -> dict[str, Any]:
    """All parameters but the patience with the store: a retry with more of it completes the same run."""
    return config.model_dump(mode="json", exclude={"tracking": {"timeout_s"}})


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


def _experiment_files(config: Config, root: Path) -> dict[str, Path]:
    files = {name: root / name for name in ("params.yaml", *_REPORTS, "data/prepared/corpus.json")}
    optional = ["dvc.lock", *(f"data/neighbours/{m}/diagnostics.json" for m in MODALITIES)]
    files |= {name: root / name for name in optional if (root / name).is_file()}
    # Each of these directories is one stage's whole output, so listing it finds nothing stale.
    folders = ["results/plots", *(f"models/{kind}/{m}" for kind in ("encoders", "index") for m in MODALITIES)]
    folders += [f"models/methods/{method}" for method in config.methods]
    for folder in folders:
        files |= {path.relative_to(root).as_posix(): path for path in _visible_files(root / folder)}
    return files


def _method_files(method: str, root: Path) -> dict[str, Path]:
    return {name: root / "results" / "methods" / method / name for name in _RESULTS}


def _visible_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield path


def _read_method(method: str, files: Mapping[str, Path], root: Path) -> tuple[Part, dict[str, str]]:
    about = _mapping(files["method.json"], root)
    trained = root / "models" / "methods" / method
    described = trained / "method.json"
    options = _mapping(described, root).get("options") or {} if described.is_file() else {}
    if not isinstance(options, Mapping):
        raise ResultsError(f"{described.relative_to(root)}: options: expected a mapping")
    numbers = _numbers(_mapping(files["metrics.json"], root), files["metrics.json"], root)
    metrics = {_charted(key): value for key, value in numbers.items()}
    selected = about.get("validation_selection")
    if isinstance(selected, int | float):
        metrics["validation/selection"] = float(selected)
    _mapping(files["confusion.json"], root)
    kind = str(about.get("type", "unknown"))
    tags = {"method": method, "type": kind}
    tags |= {key: json.dumps(bool(about.get(key, False))) for key in ("deployable", "retrieval")}
    part = Part(
        params={"method": method, "type": kind, **flatten(options)},
        metrics=metrics,
        history=_mean_history(trained / "history.csv", "training", root),
        artifacts=dict(files),
    )
    return part, tags


def _charted(key: str) -> str:
    """The UI draws one section per prefix: the spreads get their own, ``std/a_uar``, beside that of each condition."""
    return f"std/{key.removesuffix('_std').replace('/', '_')}" if key.endswith("_std") else key


def _encoder_history(modality: str, root: Path) -> list[Point]:
    return _mean_history(root / "models" / "encoders" / modality / "history.csv", f"pretrain_{modality}", root)


def _mean_history(path: Path, section: str, root: Path) -> list[Point]:
    """Each column of a history as the mean over the replicates that reached the epoch, and how many did."""
    if not path.is_file():
        return []
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as error:  # pandas' own parser errors are ValueErrors
        raise ResultsError(f"{path.relative_to(root)}: not a table: {error}") from None
    if not {"replicate", "epoch"} <= set(table.columns):
        raise ResultsError(
            f"{path.relative_to(root)}: expected the columns replicate and epoch, got {list(table.columns)}"
        )
    if table.empty:
        return []
    grouped = table.groupby("epoch", sort=True)
    means = grouped.mean(numeric_only=True).assign(replicates=grouped["replicate"].nunique())
    return [
        Point(f"{section}/{column}", int(str(epoch)), float(value))
        for column in means.columns
        for epoch, value in means[column].items()
        if math.isfinite(value)
    ]


def _read_corpus(config: Config, root: Path) -> Corpus:
    path = root / "data" / "prepared" / "corpus.json"
    info = _mapping(path, root)
    try:
        name, digest = str(info["name"]), str(info["digest"])
    except KeyError as error:
        raise ResultsError(f"{path.relative_to(root)}: {error.args[0]}: missing") from None
    profile = {key: value for key, value in info.items() if key in ("digest", "counts", "dims", "label_names")}
    return Corpus(name, digest, config.corpus.path, profile)


def _mapping(path: Path, root: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except (ValueError, OSError) as error:
        raise ResultsError(f"{path.relative_to(root)}: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise ResultsError(f"{path.relative_to(root)}: expected a mapping, got {type(value).__name__}")
    return value


def _numbers(values: Mapping[str, Any], path: Path, root: Path) -> dict[str, float]:
    """Numbers only; a null is a metric that is not defined, such as an F1 without rows."""
    wrong = [key for key, value in values.items() if value is not None and not isinstance(value, int | float)]
    if wrong:
        raise ResultsError(
            [f"{path.relative_to(root)}: {key}: expected a number, got {values[key]!r}" for key in wrong]
        )
    return {key: float(value) for key, value in values.items() if value is not None}
