"""What limits the figures of a comparison, or of one model on new clips."""

from __future__ import annotations

from collections.abc import Mapping

from ramer.evaluation.clusters import Clusters
from ramer.evaluation.points import counted
from ramer.modalities import CONDITIONS, FULL_CONDITION, LETTERS
from ramer.reporting.results import Results

FEW_CLUSTERS = 30  # below, percentile intervals hold the truth a few per cent less often than they promise


def caveats(results: Results, clusters: Clusters, draws: int, alpha: float, evaluation: bool = False) -> list[str]:
    """What a reader has to know about the figures, a sentence or two each.

    Args:
        evaluation: the figures are of one model that was trained elsewhere.
    """
    found = of_rows(clusters, results.held)
    found += [] if evaluation else _of_training(results)
    recalls = {m: d.get("mean", {}).get("index_recall_at_5") for m, d in results.purity.items()}
    if any(recalls.values()):
        said = ", ".join(f"{m} {100 * r:.1f} %" for m, r in recalls.items() if r is not None)
        found.append(
            f"Neighbours come from approximate indexes, which find this share of the exact five nearest: {said}."
        )
    smallest = 2 * (len(results.methods) - 1) / (draws + 1)
    if smallest >= alpha:
        found.append(
            f"With {draws} draws no corrected p can be below {smallest:.2f}: nothing can be told apart here. Raise "
            "report.draws."
        )
    return found


def of_rows(clusters: Clusters, held: Mapping[str, str]) -> list[str]:
    """What the scored rows are too few for, or cannot show.

    Args:
        held: letters of what a row holds, by id.
    """
    found = list(clusters.notes)
    if clusters.size == 1:
        found.append(f"A single {clusters.unit} was tested: no interval, p or verdict of it means anything.")
    elif clusters.size < FEW_CLUSTERS:
        tested = counted(clusters.size, clusters.unit)
        found.append(f"Only {tested} were tested: intervals from so few are somewhat too narrow.")
    there = set().union(*(held.get(row, FULL_CONDITION) for row in clusters.of_row))
    for name, letter in LETTERS.items():
        if letter not in there:
            alike = ", ".join(f"{c} is as {c.replace(letter, '')}" for c in CONDITIONS if letter in c and c != letter)
            found.append(f"No test row holds {name}: condition {letter} has nothing to read, {alike}.")
    return found


def _of_training(results: Results) -> list[str]:
    """What follows from how the methods were trained and split."""
    seeds, found = results.seeds, []
    if len(seeds) < 3:
        spread = "± says little, and " if len(seeds) > 1 else "no spread is known, and "
        found.append(f"Only {counted(len(seeds), 'seed')}: {spread}a lucky run cannot be told.")
    if len(results.corpus.replicates) == len(seeds):
        found.append(
            "One fixed test split. An interval tells how the result would vary over other test rows of the same kind, "
            "not over another corpus. For a claim, use grouped folds (prepare.folds)."
        )
    if all(m.retrieval for m in results.descriptions.values() if m.deployable):
        found.append("No deployable method without retrieval was run, so the reference is not a baseline.")
    return found
