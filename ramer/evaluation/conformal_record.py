"""``conformal.json``: what a method said of validation rows, from which sets of any coverage follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from pydantic import ValidationError

from ramer.config import Section, fault_lines
from ramer.digests import read_sealed, write_sealed
from ramer.errors import ModelError
from ramer.evaluation.predictions import PROBABILITY_PREFIX
from ramer.modalities import CONDITIONS
from ramer.records import Record
from ramer.seeding import generator

CONFORMAL_FILE = "conformal.json"
MOST_ROWS = 1000  # of a fold and set of modalities; a sample of exchangeable rows is as good as all of them
_DIGITS = 6


class PatternScores(Section):
    """Validation rows that hold, or are masked to, the same modalities.

    Attributes:
        truth: probability of the true class, one per row.
        confidence: largest probability.
        right: whether that is the true class'.
    """

    truth: tuple[float, ...]
    confidence: tuple[float, ...]
    right: tuple[bool, ...]


class ConformalScores(Record):
    """``conformal.json``, which holds its own digest.

    Attributes:
        trained: digest of the ``method.json`` whose checkpoints predicted.
        folds: by the fold that the rows validate, then by the letters of what they hold.
    """

    trained: str
    folds: dict[str, dict[str, PatternScores]]

    @property
    def pooled(self) -> dict[str, PatternScores]:
        """Rows of all folds together: for new clips, which the methods of all folds answer for."""
        found: dict[str, list[PatternScores]] = {}
        for by_pattern in self.folds.values():
            for pattern, scores in by_pattern.items():
                found.setdefault(pattern, []).append(scores)
        return {pattern: _joined(parts) for pattern, parts in found.items()}

    @classmethod
    def read_verified(cls, path: Path, verify: bool = True) -> Self:
        """The scores in a file.

        Args:
            verify: refuse one of which a bit has changed.

        Raises:
            ModelError: not there, torn, damaged, of another format, or a key has no value that it may have.
        """
        found = read_sealed(path, verify)
        try:
            return cls.model_validate(found, strict=False)
        except ValidationError as error:
            raise ModelError(fault_lines(error, str(path))) from None

    def write(self, path: Path) -> None:
        """Write the scores with their own digest, whole or not at all."""
        write_sealed(path, self.model_dump(mode="json"))


def conformal_scores(
    predictions: pd.DataFrame, held: Mapping[str, str], label_names: list[str], trained: str
) -> ConformalScores:
    """Scores of validation rows, the mean over the seeds of a fold as an answer is the mean over replicates.

    Args:
        predictions: of validation rows, with the columns of ``predictions.parquet``.
        held: letters of what a row holds by nature, by id: it counts under each condition that asks for no more.
        trained: digest of the method's description.
    """
    means = mean_over_seeds(predictions, label_names)
    wanted = [set(c) <= set(held[i]) for i, c in zip(means["id"], means["condition"], strict=True)]
    folds: dict[str, dict[str, PatternScores]] = {}
    for (fold, condition), rows in means[wanted].groupby(["fold", "condition"], sort=True):
        folds.setdefault(str(fold), {})[str(condition)] = _scores(rows, label_names)
    return ConformalScores(trained=trained, folds=folds)


def mean_over_seeds(predictions: pd.DataFrame, label_names: list[str]) -> pd.DataFrame:
    """One line per fold, row and condition: id, label and mean probabilities, in the order of ids."""
    columns = [PROBABILITY_PREFIX + name for name in label_names]
    known = pd.Categorical(predictions["condition"], categories=list(CONDITIONS))
    table = predictions.assign(condition=known.astype(str))[["fold", "id", "condition", "label", *columns]]
    table[columns] = table[columns].astype(np.float64)
    return table.groupby(["fold", "id", "condition", "label"], sort=True, as_index=False).mean()


def _scores(rows: pd.DataFrame, label_names: list[str]) -> PatternScores:
    if len(rows) > MOST_ROWS:
        rows = rows.iloc[np.sort(generator(0, "conformal").permutation(len(rows))[:MOST_ROWS])]
    proba = rows[[PROBABILITY_PREFIX + name for name in label_names]].to_numpy(dtype=np.float64)
    labels = pd.Index(label_names).get_indexer(pd.Index(rows["label"]))
    truth = proba[np.arange(len(rows)), labels]
    return PatternScores(
        truth=tuple(truth.round(_DIGITS).tolist()),
        confidence=tuple(proba.max(axis=1).round(_DIGITS).tolist()),
        right=tuple((proba.argmax(axis=1) == labels).tolist()),
    )


def _joined(parts: Iterable[PatternScores]) -> PatternScores:
    held = list(parts)
    return PatternScores(
        truth=tuple(x for part in held for x in part.truth),
        confidence=tuple(x for part in held for x in part.confidence),
        right=tuple(x for part in held for x in part.right),
    )
