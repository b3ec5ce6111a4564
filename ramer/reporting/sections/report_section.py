"""What a section of the report is, and what it may be made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ramer.evaluation.clusters import Clusters
from ramer.modalities import AVERAGE
from ramer.reporting.findings import SCORE, Findings
from ramer.reporting.results import ReportSettings, Results
from ramer.reporting.sets import SetsHeld

Content = Mapping[str, object]


@dataclass(frozen=True)
class Inputs:
    """Everything that the report says follows from these.

    Attributes:
        summary: the content of ``summary.json``.
        figures: PNG bytes by name; a figure that would be empty is absent.
        colors: of the methods, in the order of the parameters.
        sets: per method that has calibrated sets, and condition.
    """

    settings: ReportSettings
    results: Results
    summary: Mapping[str, Any]
    findings: Findings
    clusters: Clusters
    figures: Mapping[str, bytes]
    colors: Mapping[str, str]
    sets: Mapping[str, Mapping[str, SetsHeld]]

    @cached_property
    def order(self) -> list[str]:
        """Names of the methods, the highest avg6 first."""
        methods = self.results.methods
        return sorted(methods, key=lambda n: -methods[n].metrics[f"{AVERAGE}/{SCORE}"])

    @property
    def group(self) -> str:
        """What the corpus calls those who belong together: speaker, video or dialogue."""
        return self.results.corpus.group_name or "speaker"

    @cached_property
    def differences(self) -> dict[str, dict[str, Any]]:
        """Weighted F1 against the reference: comparison per method and condition or scenario."""
        found: dict[str, dict[str, Any]] = {}
        for comparison in self.summary["comparisons"]:
            if comparison["metric"] == SCORE:
                found.setdefault(comparison["method"], {})[comparison["condition"]] = comparison
        return found


@dataclass(frozen=True)
class Section:
    """One part of the page; its template is ``<anchor>.html.j2`` in this folder.

    Attributes:
        anchor: its address on the page.
        short: its name in the contents.
        content: the variables of its template; None leaves the section out.
        of_training: says what only those who trained several methods can: not part of an evaluation of one model.
    """

    anchor: str
    short: str
    content: Callable[[Inputs], Content | None]
    of_training: bool = False

    @property
    def template(self) -> str:
        return f"{self.anchor}.html.j2"


def nothing(_: Inputs) -> Content:
    """Of a section whose template needs no more than what every section has."""
    return {}
