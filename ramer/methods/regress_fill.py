"""A linear prediction of the missing state from the available ones stands in for it: the parametric control.

One ridge regression per set of available modalities and missing modality, on the states of unit length of training
rows that hold all of them (ridge: Hoerl and Kennard, 1970). What retrieval brings beyond it is not linear.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from ramer.config import Positive
from ramer.methods.shared.contract import MethodOptions
from ramer.methods.shared.imputing import Filled, ImputingMethod, normalised
from ramer.modalities import CONDITIONS, LETTERS, MODALITIES, condition_masks
from ramer.training.batches import Batch
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch


class RegressFillOptions(MethodOptions):
    """Options of ``regress_fill``.

    Attributes:
        penalties: of the squared coefficients; one for all regressions, chosen on validation with a head for each.
    """

    penalties: Annotated[tuple[Positive, ...], Field(min_length=1, strict=False)] = (0.1, 1.0, 10.0, 100.0)


class RegressFill(ImputingMethod[RegressFillOptions]):
    """Ridge regression from available to missing states, its prediction brought to unit length."""

    def learn(self, train: TrainingBatch, val: LabelledRows, rng: np.random.Generator, log: History) -> Fitted:
        start = int(rng.integers(2**31))  # all penalties start from one head
        best: tuple[Fitted, dict[str, np.ndarray], History] | None = None
        for penalty in self.options.penalties:
            self.maps_ = self._fit_maps(train, penalty)
            history = History()
            fitted = self.fit_head(train, val, np.random.default_rng(start), history)
            if best is None or fitted.val_selection > best[0].val_selection:
                best = fitted, self.tensors(), history
        assert best is not None
        log.lines.extend(best[2].lines)
        self.restore(best[1])
        return best[0]

    def _fit_maps(self, train: TrainingBatch, penalty: float) -> dict[str, np.ndarray]:
        """[sources + 1, hidden] per (condition, target), the intercept last."""
        states = {m: normalised(train.complete.states[m]).astype(np.float64) for m in MODALITIES}
        held = train.complete.available
        maps = {}
        for (condition, mask), (i, target) in product(_masks(), enumerate(MODALITIES)):
            rows = held[:, mask].all(axis=1) & held[:, i]
            if mask[i] or not rows.any():
                continue
            x = np.concatenate([states[m][rows] for m in CONDITIONS[condition]], axis=1)
            maps[f"{condition}_{LETTERS[target]}"] = ridge(x, states[target][rows], penalty).astype(np.float32)
        return maps

    def fill(self, batch: Batch) -> Filled:
        states, imputed = self.zeros(batch), np.zeros_like(batch.available)
        own = {m: normalised(batch.states[m]) for m in MODALITIES}
        for (condition, mask), (i, target) in product(_masks(), enumerate(MODALITIES)):
            rows = (batch.available == mask).all(axis=1)
            matrix = self.maps_.get(f"{condition}_{LETTERS[target]}")
            if matrix is None or not rows.any():
                continue
            x = np.concatenate([own[m][rows] for m in CONDITIONS[condition]], axis=1)
            states[target][rows] = normalised(x @ matrix[:-1] + matrix[-1])
            imputed[rows, i] = True
        return Filled(states, imputed)

    def tensors(self) -> dict[str, np.ndarray]:
        return super().tensors() | {f"maps_.{name}": a for name, a in self.maps_.items()}

    def restore(self, tensors: dict[str, np.ndarray]) -> Self:
        self.maps_ = {n.removeprefix("maps_."): a for n, a in tensors.items() if n.startswith("maps_.")}
        return super().restore(tensors)


def ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Coefficients [columns + 1, targets] of a ridge regression, the unpenalised intercept last.

    Args:
        x: float64 [n, columns].
        y: float64 [n, targets].
        penalty: factor of the squared coefficients, > 0.
    """
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    x, y = x - mean_x, y - mean_y
    coefficients = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
    return np.concatenate([coefficients, (mean_y - mean_x @ coefficients)[None]])


def _masks() -> list[tuple[str, np.ndarray]]:
    return list(zip(CONDITIONS, condition_masks(), strict=True))
