"""What is kept of a regime that was run: small JSON in ``docs/results``, from which the tables are made."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks._regimes import PLANNED
from benchmarks._run import ROOT
from ramer.config import Config
from ramer.evaluation.bootstrap import Bootstrap, Comparison, holm
from ramer.evaluation.predictions import RATIOS
from ramer.evaluation.scenarios import AREA
from ramer.modalities import AVERAGE, CONDITIONS
from ramer.project import Project
from ramer.reporting.results import read_results

METRIC = "weighted_f1"
KEPT = ROOT / "docs" / "results"


def keep(project: Project, config: Config) -> dict[str, Any]:
    """Weighted F1 alone, rounded: what the tables read, and the planned comparisons."""
    summary = json.loads(project.summary.read_text("utf-8"))
    scenarios = [s for s in summary["scenarios"] if s == AREA or s.startswith("imbalanced_")]
    columns = (*CONDITIONS, AVERAGE, *scenarios, *RATIOS)
    told = [c for c in summary["comparisons"] if c["metric"] == METRIC and c["condition"] in (AVERAGE, AREA)]
    kept = {
        "reference": summary["reference"],
        "scenarios": scenarios,
        "methods": {
            name: {"deployable": method["deployable"], **{c: {METRIC: _score(method[c][METRIC])} for c in columns}}
            for name, method in summary["methods"].items()
        },
        "comparisons": told,
        "planned": [c.as_dict() for c in planned(project, config)],
        "seeds": summary["seeds"],
        "folds": summary["folds"],
        "confidence": summary["confidence"],
        "purity": {
            path.parent.name: json.loads(path.read_text("utf-8"))["mean"]["label_purity"]
            for path in sorted(project.all_neighbours.glob("*/diagnostics.json"))
        },
    }
    if "pool" in summary:
        kept["pool"] = summary["pool"]
    if "bounds" in summary:
        kept["bounds"] = {n: {c: b[c][METRIC] for c in (*CONDITIONS, AVERAGE)} for n, b in summary["bounds"].items()}
    rounded: dict[str, Any] = _rounded(kept)
    return rounded


def planned(project: Project, config: Config, pairs: Iterable[tuple[str, str]] = PLANNED) -> list[Comparison]:
    """The planned comparisons of avg6 whose two methods were run, corrected together by Holm."""
    held = [(method, against) for method, against in pairs if {method, against} <= set(config.methods)]
    if not held:
        return []
    found = read_results(project, dict.fromkeys(name for pair in held for name in pair))
    bootstrap = Bootstrap(
        {name: method.predictions for name, method in found.methods.items()},
        found.groups,
        found.label_names,
        unit=found.corpus.group_name or "speaker",
        draws=config.report.draws,
        confidence=config.report.confidence,
        seed=config.report.seed,
    )
    compared = [bootstrap.compare(against, [(METRIC, AVERAGE)], [method])[0] for method, against in held]
    together = holm([c.p for c in compared])
    return [replace(c, p_holm=p) for c, p in zip(compared, together, strict=True)]


def write_kept(path: Path, kept: Mapping[str, Any]) -> None:
    """Write what is kept, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", "utf-8")
    temporary.replace(path)


def _score(held: Mapping[str, float]) -> dict[str, float]:
    return {key: held[key] for key in ("mean", "std")}


def _rounded(value: Any) -> Any:
    """Floats to five digits behind the point, in a copy."""
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 5) if isinstance(value, float) else value
