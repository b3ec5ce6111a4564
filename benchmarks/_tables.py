"""The tables of results in the pages, made from what is kept in ``docs/results``."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks._kept import KEPT, METRIC
from benchmarks._regimes import MAIN, MANY_SEEDS, PRESET, REGIMES
from benchmarks._run import ROOT
from ramer.evaluation.points import points, signed
from ramer.modalities import AVERAGE, FULL_CONDITION
from ramer.reporting.markdown import markdown_table
from ramer.reporting.tables import p_text

TABLES = ROOT / "docs" / "result_tables.md"
BRIEF_PAGES = (ROOT / "docs" / "results.md", ROOT / "README.md")
RESEARCH = ROOT / "docs" / "research.md"
BRIEF_METHODS = (
    "oracle",
    "ramer_plus",
    "blend",
    "late_product",
    "distil",
    "discriminant",
    "zero_fill",
    "ramer_literal",
    "ramer",
    "ramer_shuffled",
)

# Kept before a recipe was noted beside the figures.
OLDER = "*Older than the defaults of today: encoders of kind `transformer`, and no `ramer_plus`.*\n"

CONFIDENCE = 0.95  # of all that was kept before it was noted beside the figures


def write_tables() -> None:
    """Put the kept figures between ``<!-- name -->`` and ``<!-- end -->`` of the pages."""
    text = TABLES.read_text("utf-8")
    for name in REGIMES:
        text = _between(text, name, _section(name), TABLES)
    TABLES.write_text(text, "utf-8")
    for page in BRIEF_PAGES:
        page.write_text(_between(page.read_text("utf-8"), "brief", brief_table(), page), "utf-8")
    RESEARCH.write_text(_between(RESEARCH.read_text("utf-8"), "plan", plan_table(), RESEARCH), "utf-8")


def _section(name: str) -> str:
    path = KEPT / f"{name}.json"
    text = f"\n```bash\n{command(name)}\n```\n\n"
    if not path.exists():
        return f"{text}*Not run yet.*\n\n"
    kept = {"confidence": CONFIDENCE} | json.loads(path.read_text("utf-8"))
    older = "" if "recipe" in kept else OLDER
    parts = [
        older,
        markdown_table(kept),
        seeds_line(kept),
        rows_line(kept),
        planned_table(kept.get("planned", ())),
    ]
    parts += [pool_table(kept.get("pool", {})), bound_line(kept)]
    return text + "\n".join([*filter(None, parts), purity_line(kept["purity"])]) + "\n"


def _between(text: str, name: str, put: str, page: Path) -> str:
    begin, end = f"<!-- {name} -->\n", "<!-- end -->"
    before, found, rest = text.partition(begin)
    if not found or end not in rest:
        sys.exit(f"error: {page}: expected a place for {name}, {begin.strip()} and {end}")
    return before + begin + put + rest[rest.index(end) :]


def brief_table() -> str:
    """A few methods on the settings that say most, for the pages that sum up."""
    folds, few, mosi = (
        json.loads((KEPT / f"{name}.json").read_text("utf-8"))
        for name in ("ravdess_meld_six_folds", "ravdess_meld_six_folds_100_labels", "mosi")
    )
    told = {c["method"]: c for c in folds["comparisons"] if c["condition"] == AVERAGE}
    reference = folds["reference"]
    lines = [
        f"| method | `ravdess_meld` avg6 | avt | avg6 against `{reference}` [95 %] | with 100 labels | `mosi` avg6 |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in sorted(BRIEF_METHODS, key=lambda n: -_score(folds, n, AVERAGE)):
        against = "reference"
        if name != reference:
            against = _interval(told[name])
        scores = [
            points(_score(folds, name, AVERAGE)),
            points(_score(folds, name, FULL_CONDITION)),
            against,
            points(_score(few, name, AVERAGE)),
            points(_score(mosi, name, AVERAGE)),
        ]
        mark = "" if folds["methods"][name]["deployable"] else " †"
        lines.append(f"| `{name}`{mark} | {' | '.join(scores)} |")
    return "\n".join(lines) + "\n"


def plan_table() -> str:
    """``ramer_plus`` against what was planned, a regime a line."""
    told = {"blend": "1. to `blend`", "distil": "2. to `distil`", "ramer_plus_shuffled": "3. to itself shuffled"}
    told |= {"discriminant": "to `discriminant`"}
    head = ("`blend`", "`ramer_plus`", *told.values(), "5. late pool")
    lines = [f"| | {' | '.join(head)} |", f"| --- |{' ---: |' * len(head)}"]
    for name in MAIN:
        path = KEPT / f"{name}.json"
        kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
        planned = {c["reference"]: c for c in kept.get("planned", ()) if c["method"] == "ramer_plus"}
        if not planned:  # not run yet
            continue
        late = kept.get("pool", {}).get("ramer_plus_late", [{"to_smallest": None}])[-1]
        cells = [points(_score(kept, method, AVERAGE)) for method in ("blend", "ramer_plus")]
        cells += [_interval(planned.get(against)) for against in told]
        short = name.replace("_meld_six_folds", "").replace("_labels", "").replace("_", ", ")
        lines.append(f"| {short} | {' | '.join([*cells, _interval(late['to_smallest'])])} |")
    return "\n".join(lines) + "\n"


def _score(kept: dict[str, Any], method: str, condition: str) -> float:
    return float(kept["methods"][method][condition][METRIC]["mean"])


def purity_line(purity: dict[str, dict[str, float | None]]) -> str:
    def percent(share: float | None) -> str:
        return "none found" if share is None else f"{100 * share:.0f}"

    shares = ", ".join(f"{m} {percent(p['train'])} / {percent(p['test'])}" for m, p in purity.items())
    return f"Five nearest neighbours with the query's own label, % of training / test rows: {shares}.\n"


def command(name: str) -> str:
    """The command of a regime as a reader would type it."""
    own = " ".join(part for change in REGIMES[name].changes("CORPORA") for part in ("-S", change))
    return " ".join(part for part in ("dvc exp run", own, f"$(cat presets/{PRESET.name})") if part)


def seeds_line(kept: Mapping[str, Any]) -> str:
    """How many seeds and folds stand behind a table, and what too few of them mean."""
    seeds, folds = len(kept.get("seeds", range(3))), len(kept.get("folds", ())) or None
    text = f"{seeds} seeds" + (f", {folds} folds" if folds and folds > 1 else "")
    if seeds < MANY_SEEDS:
        text += (
            f". Fewer than {MANY_SEEDS} seeds can flatter or harm a peer that depends much on its start, such as `mmin`"
        )
    return f"{text}.\n"


def rows_line(kept: Mapping[str, Any]) -> str:
    """Which rows are of an earlier run, with the reference of then; empty where all are of one."""
    by_commit: dict[str, list[str]] = {}
    for method, commit in kept.get("rows_of", {}).items():
        by_commit.setdefault(commit[:7], []).append(f"`{method}`")
    return "".join(
        f"Not run again, but kept from {commit} with the reference of that run: {', '.join(sorted(methods))}.\n"
        for commit, methods in by_commit.items()
    )


def planned_table(compared: Sequence[Mapping[str, Any]]) -> str:
    """The planned comparisons as a Markdown table; empty where none was kept."""
    if not compared:
        return ""
    lines = ["| planned before the run | avg6 [95 %] | p |", "| --- | ---: | ---: |"]
    lines += [
        f"| `{c['method']}` against `{c['reference']}` | {_interval(c)} | {p_text(c['p_holm'])} |" for c in compared
    ]
    return "\n".join(lines) + "\n"


def bound_line(kept: Mapping[str, Any]) -> str:
    """Bayes' bound of a generated corpus in words; empty for any other."""
    return "".join(
        f"Bayes' bound on the test rows: avg6 {100 * bound[AVERAGE]:.1f}, avt {100 * bound[FULL_CONDITION]:.1f}.\n"
        for bound in kept.get("bounds", {}).values()
    )


def pool_table(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A pool that comes after training, as a Markdown table; empty where no method has a curve."""
    if not curves:
        return ""
    lines = [
        "| a pool after training | rows | avg6 | against the fewest [95 %] | against the same, shuffled [95 %] |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, curve in curves.items():
        for point in curve:
            differences = [_interval(point[key]) for key in ("to_smallest", "to_shuffled")]
            cells = (str(point["pool"]), points(point["avg6"]["mean"]), *differences)
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _interval(found: Mapping[str, float] | None) -> str:
    if found is None:
        return ""
    difference, low, high = (signed(found[key]) for key in ("difference", "low", "high"))
    return f"{difference} [{low}, {high}]"
