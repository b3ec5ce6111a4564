"""What the comparison found: which method to use, what retrieval adds, what cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ramer.data.corpus_record import CorpusRecord
from ramer.evaluation.bootstrap import COLUMNS, Bootstrap, Comparison
from ramer.evaluation.reference import best_on_validation, choose_reference
from ramer.modalities import AVERAGE
from ramer.reporting.results import Results
from ramer.training.method_record import ScoredMethod

SCORE = "weighted_f1"
BOUNDS = frozenset({"oracle", "prior", "random_neighbours"})  # types that nobody means to use
ORACLE, PRODUCT, CONTROL = "oracle", "late_product", "random_neighbours"  # types of methods with a role in the words
BAYES = "bayes"  # the bound on a generated corpus


@dataclass(frozen=True)
class Findings:
    """Names and comparisons that the words are built from.

    Attributes:
        best: best deployable method on validation.
        baseline: the best of those without retrieval.
        top: deployable method with the highest test score, which may be another by luck.
        retrieval: best deployable retrieval method on validation, None without one.
        oracle: the method that sees what is missing, None without one.
        retrieval_gain: retrieval against the baseline per condition and avg6, empty if there is nothing to compare.
        as_good: deployable methods that the test rows cannot tell from ``best``.
        better: those that they put ahead.
        product: name of the product of unimodal regressions; product_gaps: every method against it on avg6.
        control_gain: retrieval on avg6 against itself with a shuffled database or, where that was not run, against
            randomly drawn neighbours.
    """

    best: str
    baseline: str
    top: str
    retrieval: str | None
    oracle: str | None
    retrieval_gain: dict[str, Comparison]
    as_good: list[str]
    better: list[str]
    product: str | None
    product_gaps: list[Comparison]
    control_gain: Comparison | None
    control_is_random: bool
    alpha: float


def find(results: Results, bootstrap: Bootstrap) -> Findings:
    """Derive the findings; every choice of a method is made on validation rows."""
    about = results.descriptions
    deployable = [n for n, m in about.items() if m.deployable] or list(about)
    alpha = 1.0 - bootstrap.confidence
    best, baseline = best_on_validation(about, deployable), choose_reference(about)
    retrieving = [n for n in deployable if about[n].retrieval]
    retrieval = best_on_validation(about, retrieving) if retrieving else None
    gain: dict[str, Comparison] = {}
    if retrieval and not about[baseline].retrieval:
        families = [(SCORE, c) for c in COLUMNS]
        gain = {c.condition: c for c in bootstrap.compare(baseline, families) if c.method == retrieval}
    against_best = [c for c in bootstrap.compare(best, [(SCORE, AVERAGE)]) if c.method in deployable]
    product, control = _of_type(about, PRODUCT), control_of(about, retrieval)
    return Findings(
        best=best,
        baseline=baseline,
        top=max(deployable, key=lambda n: results.methods[n].metrics[f"{AVERAGE}/{SCORE}"]),
        retrieval=retrieval,
        oracle=_of_type(about, ORACLE),
        retrieval_gain=gain,
        as_good=[c.method for c in against_best if c.p_holm >= alpha],
        better=[c.method for c in against_best if c.p_holm < alpha and c.difference > 0],
        product=product,
        product_gaps=bootstrap.compare(product, [(SCORE, AVERAGE)]) if product else [],
        control_gain=_single(bootstrap, control, retrieval),
        control_is_random=control is not None and about[control].type == CONTROL,
        alpha=alpha,
    )


def shown_methods(results: Results, findings: Findings, reference: str, served: str) -> list[str]:
    """The methods that are looked at one by one, each once: the best, the reference, the served one."""
    return [n for n in dict.fromkeys((findings.best, reference, served)) if n in results.methods]


def neighbour_purity(results: Results) -> dict[str, dict[str, float]]:
    """What ``diagnostics.json`` says of the nearest neighbours, mean over replicates; nulls are left out.

    Returns:
        Per modality shares: ``train`` and ``test`` have the query's label (``chance``: a random training row would),
        ``with_exclusion``, ``without_exclusion`` and ``speaker_chance`` are the query's own speaker.
    """
    rows = {}
    for modality, found in results.purity.items():
        mean = found.get("mean", {})
        label, speaker = mean.get("label_purity") or {}, mean.get("same_speaker") or {}
        shares = {
            "train": label.get("train"),
            "test": label.get("test"),
            "chance": _label_chance(results.corpus),
            "with_exclusion": speaker.get("with_exclusion"),
            "without_exclusion": speaker.get("without_exclusion"),
            "speaker_chance": speaker.get("chance"),
        }
        known = {k: float(v) for k, v in shares.items() if v is not None}
        if {"train", "test"} <= set(known):
            rows[modality] = known
    return rows


def _label_chance(corpus: CorpusRecord) -> float | None:
    """Share of test rows whose label a training row drawn at random has, mean over replicates."""
    chances = []
    for counts in corpus.counts.values():
        held = [[counts.get(s, {}).get(f"label/{n}", 0) for n in corpus.label_names] for s in ("train", "test")]
        train, test = (np.asarray(h, dtype=np.float64) for h in held)
        if train.sum() and test.sum():
            chances.append(float(train @ test / (train.sum() * test.sum())))
    return float(np.mean(chances)) if chances else None


def control_of(about: Mapping[str, ScoredMethod], retrieval: str | None) -> str | None:
    """The entry that differs from a retrieval method in its shuffled database alone, else random neighbours."""
    if retrieval is not None:
        twin = about[retrieval].options | {"database": "shuffled"}
        for name, method in about.items():
            if name != retrieval and method.options == twin:
                return name
    return _of_type(about, CONTROL)


def _of_type(about: Mapping[str, ScoredMethod], kind: str) -> str | None:
    return next((n for n, m in about.items() if m.type == kind), None)


def _single(bootstrap: Bootstrap, reference: str | None, method: str | None) -> Comparison | None:
    if reference is None or method is None or reference == method:
        return None
    return bootstrap.compare(reference, [(SCORE, AVERAGE)], [method])[0]
