"""Fit and compare methods on a corpus in one call, without DVC: the stages' functions one after the other."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from threadpoolctl import threadpool_limits

from ramer.config import BEST, Config, Runtime, load_config, parse_config, repeated, shortened
from ramer.data.corpus import RawCorpus
from ramer.data.packed_files import pack_raw_corpus
from ramer.data.preparation import prepare_corpus
from ramer.errors import ConfigError, RamerError
from ramer.evaluation.count_metrics import COUNT_METRICS
from ramer.instructions import hold_instructions
from ramer.modalities import MODALITIES
from ramer.pipeline.check import SOURCE as PARAMS
from ramer.pipeline.check import check
from ramer.pipeline.dump import dump
from ramer.pipeline.evaluate import evaluate
from ramer.pipeline.index import index
from ramer.pipeline.prepare import prepare
from ramer.pipeline.pretrain import pretrain
from ramer.pipeline.report import report
from ramer.pipeline.retrieve import retrieve
from ramer.pipeline.train import train
from ramer.project import Project
from ramer.reporting.plot_data import score_intervals
from ramer.reporting.results import ReportSettings
from ramer.reporting.scored import score_methods
from ramer.seeding import set_threads

_SOURCE = "ramer.compare"
_StageOfItem = Callable[[Config, Project, str], None]


@dataclass(frozen=True)
class ComparedMethods:
    """What a comparison says, as tables; scores are fractions.

    Attributes:
        reference: whom the methods are compared with: by default the best without retrieval on validation rows.
        scores: a row per method and condition: ``weighted_f1`` and ``uar``, each with the ends of its interval
            (``_low``, ``_high``). ``avg6`` is the mean over the conditions in which something is missing.
        differences: a row per other method, metric and condition: its score minus the reference's, ``low`` and
            ``high`` of the interval, ``p`` and ``p_holm``, which allows for having tested several methods.
    """

    reference: str
    scores: pd.DataFrame
    differences: pd.DataFrame


def compare(
    corpus: str | Path | Mapping[str, Any] | RawCorpus,
    methods: Sequence[str] | Mapping[str, Mapping[str, Any]],
    *,
    params: str | Path | Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
) -> ComparedMethods:
    """Fit methods on a corpus and compare them on its test rows: the numbers of ``dvc repro`` with the same parameters.

    Call it before torch is used: which instructions and threads libraries use is fixed when they load, and decides the
    last bits of what is learnt. NumPy is loaded by then: for the very bits on a processor with AVX-512 set the
    variables of ``runtime.portable`` before Python starts. A script needs ``if __name__ == "__main__":`` around it, as
    replicates train in processes of their own.

    Args:
        corpus: a packed corpus (``.npz``), the section ``corpus`` of the parameters for every other kind, or a corpus
            that is in memory.
        methods: names of types, or of entries of ``params``; or entries by name, as ``params.yaml`` has them:
            ``{"mine": {"type": "ramer", "k": 20}}``.
        params: sections that differ from the defaults, or a ``params.yaml``.
        folder: empty or absent; holds everything that was made afterwards, the report and parameters included, a corpus
            that was in memory as a packed file, and ``Predictor.load`` opens it. Without it nothing is left behind.

    Raises:
        ConfigError: a parameter, a method's name or option is bad, or the folder is not empty; one line per fault.
        CorpusError: the corpus cannot be used; one line per fault.

    Example:
        >>> import ramer
        >>> small = {"kind": "synthetic", "synthetic": {"rows": 120, "speakers": 12, "pool_rows": 0, "classes": 3}}
        >>> compared = ramer.compare(small, ["late_product", "prior"], params={"prepare": {"seeds": [0]}})
        >>> compared.reference
        'late_product'
        >>> table = compared.scores.set_index(["condition", "method"])["weighted_f1"].unstack()
        >>> bool(table.loc["avt", "late_product"] > table.loc["avt", "prior"])
        True
        >>> list(compared.differences.columns)[:5]
        ['method', 'reference', 'metric', 'condition', 'difference']
    """
    _check(corpus, params, folder)
    names = _names(methods)
    given, source = _given(params, names)
    config = _config(corpus, methods if isinstance(methods, Mapping) else names, given, source)
    raw = corpus if isinstance(corpus, RawCorpus) else None
    with ExitStack() as stack:
        root = _new_folder(Path(folder)) if folder else Path(stack.enter_context(_scratch()))
        stack.enter_context(_named(source))
        stack.enter_context(_held(config.runtime))
        project = Project(root)
        check(config, project)
        if folder:
            _write_params(config, project, raw)
        _fit(config, project, raw)
        if folder:
            report(config, project)
        return _tables(config, project)


def _check(corpus: object, params: object, folder: object) -> None:
    """Refuse what is of another kind than the signature says: a call from a notebook is seen by no type checker."""
    kinds: tuple[tuple[str, object, tuple[type, ...], str], ...] = (
        ("corpus", corpus, (str, Path, Mapping, RawCorpus), "a file, the section corpus or a corpus in memory"),
        ("params", params, (str, Path, Mapping, type(None)), "sections by name, or a file"),
        ("folder", folder, (str, Path, type(None)), "a folder"),
    )
    faults = [
        f"{_SOURCE}: {name}: expected {wanted}, got {shortened(given)}"
        for name, given, kind, wanted in kinds
        if not isinstance(given, kind)
    ]
    if faults:
        raise ConfigError(faults)


def _names(methods: object) -> list[str]:
    place = f"{_SOURCE}: methods"
    if isinstance(methods, str) or not isinstance(methods, Iterable):
        raise ConfigError(f"{place}: expected a list of names, or entries by name, got {shortened(methods)}")
    given = list(methods)
    names = [name for name in given if isinstance(name, str)]
    faults = [f"{place}: expected names, got {shortened(name)}" for name in given if not isinstance(name, str)]
    if faults := faults + repeated(names, place):
        raise ConfigError(faults)
    return names


def _config(
    corpus: str | Path | Mapping[str, Any] | RawCorpus,
    methods: Sequence[str] | Mapping[str, Mapping[str, Any]],
    given: Mapping[str, Any],
    source: str,
) -> Config:
    if isinstance(methods, Mapping):
        chosen = dict(methods)
    else:
        known = given.get("methods")
        entries = known if isinstance(known, Mapping) else {}
        chosen = {name: entries.get(name, {"type": name}) for name in methods}
    section: Mapping[str, Any] = {}
    if isinstance(corpus, str | Path):
        section = {"kind": "npz", "path": str(corpus)}
    elif not isinstance(corpus, RawCorpus):
        section = corpus
    return parse_config({**given, "corpus": dict(section), "methods": chosen}, source)


def _given(params: str | Path | Mapping[str, Any] | None, methods: Iterable[str]) -> tuple[dict[str, Any], str]:
    """The sections that were given, and what a fault calls them; a file may serve a method that is not compared."""
    if not isinstance(params, str | Path):
        return dict(params or {}), _SOURCE
    sections = load_config(params).model_dump(mode="json")
    if sections["serve"]["method"] not in methods:
        sections["serve"]["method"] = BEST
    return sections, str(params)


def _write_params(config: Config, project: Project, raw: RawCorpus | None) -> None:
    """The parameters, with a corpus that is found from the folder: one in memory becomes a file in it."""
    section = config.corpus
    if raw is not None:
        section = section.model_copy(update={"kind": "npz", "path": pack_raw_corpus(raw, project.root).name})
    elif section.kind != "synthetic":  # whose source is the project's own
        section = section.model_copy(update={"path": str(Path(section.path).absolute())})
    kept = config.model_copy(update={"corpus": section})
    project.params.write_text(yaml.safe_dump(kept.model_dump(mode="json"), sort_keys=False), "utf-8")


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Faults of parameters by what they were given in, not by the file that a project has them in."""
    try:
        yield
    except RamerError as error:
        prefix = f"{PARAMS}: "
        raise error.reworded(lambda f: f"{source}: {f.removeprefix(prefix)}" if f.startswith(prefix) else f) from error


def _fit(config: Config, project: Project, corpus: RawCorpus | None) -> None:
    """The stages from ``prepare`` to ``evaluate``, as the pipeline runs them."""
    if corpus is None:
        prepare(config, project)
    else:
        prepare_corpus(corpus, config.prepare, project.prepared, config.retrieval)
    per_modality: tuple[_StageOfItem, ...] = (pretrain, dump, index, retrieve)
    per_method: tuple[_StageOfItem, ...] = (train, evaluate)
    for stages, items in ((per_modality, MODALITIES), (per_method, tuple(config.methods))):
        for stage in stages:
            for item in items:
                stage(config, project, item)


def _tables(config: Config, project: Project) -> ComparedMethods:
    settings = ReportSettings(config.evaluate, config.report, config.retrieval, config.serve.method)
    scored = score_methods(project, list(config.methods), settings)
    scores = score_intervals(list(config.methods), scored.bootstrap, tuple(COUNT_METRICS))
    differences = pd.DataFrame([c.as_dict() for c in scored.comparisons])
    return ComparedMethods(scored.reference, scores, differences)


def _new_folder(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: expected an empty folder or none, so that nothing is overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ramer-compare-")


@contextmanager
def _held(runtime: Runtime) -> Iterator[None]:
    """Threads and instructions of the parameters for the body, and the caller's own after it."""
    before = dict(os.environ)
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    hold_instructions(runtime.portable)
    try:
        with threadpool_limits(runtime.threads):
            set_threads(runtime.threads)
            yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        if torch and threads:
            torch.set_num_threads(threads)
