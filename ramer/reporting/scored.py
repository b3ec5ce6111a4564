"""Methods scored beside each other: their results, the draws behind all intervals, and whom they are compared with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ramer.config import Synthetic
from ramer.data.bayes import bayes_predictions
from ramer.evaluation.bootstrap import Bootstrap, Comparison
from ramer.evaluation.pool import pool_curve
from ramer.evaluation.predictions import score_predictions
from ramer.evaluation.reference import choose_reference
from ramer.evaluation.scenarios import scenarios
from ramer.project import Project
from ramer.reporting.findings import BAYES
from ramer.reporting.results import ReportSettings, Results, read_results
from ramer.reporting.summary import build_summary
from ramer.training.best_method import choose_served

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredMethods:
    """What every page, table and figure of a comparison is made from.

    Attributes:
        settings: of the report; the served method is named, never ``best``.
        results: of the methods.
        bootstrap: the draws that all intervals share.
        reference: whom the methods are compared with.
    """

    settings: ReportSettings
    results: Results
    bootstrap: Bootstrap
    reference: str

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every method with the reference, on every metric and condition."""
        return self.bootstrap.compare(self.reference)

    def summary(self) -> dict[str, Any]:
        """The content of ``summary.json``."""
        ways = [way.name for way in scenarios(self.settings.evaluate)]
        bounds = self._bounds()
        summary = build_summary(self.results, self.reference, self.comparisons, self.bootstrap, ways, bounds)
        curves = self._pool_curves()
        return summary | ({"pool": curves} if curves else {})

    def _pool_curves(self) -> dict[str, list[dict[str, Any]]]:
        """Per method that has a database of its own: its scores as the pool grows after training."""
        results, options = self.results, self.settings.report
        unit = results.corpus.group_name or "speaker"
        drawn = {"draws": options.draws, "confidence": options.confidence, "seed": options.seed}
        return {
            name: pool_curve(method.pool, results.groups, results.label_names, unit, **drawn)
            for name, method in results.methods.items()
            if method.pool is not None
        }

    def _bounds(self) -> dict[str, dict[str, float]]:
        """What no method can beat, on the same test rows: Bayes' rule where the corpus is generated, else nothing."""
        knobs = self.results.corpus.provenance.get("knobs")
        if knobs is None:
            return {}
        table = next(iter(self.results.methods.values())).predictions
        predicted = bayes_predictions(Synthetic.model_validate(knobs), table)
        return {BAYES: score_predictions(predicted, self.results.label_names, self.settings.evaluate.ece_bins)}


def score_methods(project: Project, methods: Sequence[str], settings: ReportSettings) -> ScoredMethods:
    """Read the methods' results and draw what their intervals need; nothing is written.

    Args:
        project: with the results of the methods and all that they came from.
        methods: names.
        settings: the sections of the parameters that a report follows.

    Raises:
        StaleError: a file is absent, torn or does not fit the others; one line per fault.
        RamerError: a row is not one of the generated corpus that the results are said to be of.
    """
    ways = scenarios(settings.evaluate)
    found = read_results(project, methods, [way.name for way in ways])
    options = settings.report
    bootstrap = Bootstrap(
        {name: method.predictions for name, method in found.methods.items()},
        found.groups,
        found.label_names,
        unit=found.corpus.group_name or "speaker",
        draws=options.draws,
        confidence=options.confidence,
        seed=options.seed,
        scenarios=[way for way in ways if not way.on_curve],
    )
    best = options.reference == "best_baseline"
    reference = choose_reference(found.descriptions) if best else options.reference
    logger.info("reference: %s; resampled: %d %ss", reference, bootstrap.clusters.size, bootstrap.clusters.unit)
    served = choose_served(settings.served, found.descriptions)
    return ScoredMethods(replace(settings, served=served), found, bootstrap, reference)
