"""Ridge regression of missing features from those that are there: what retrieval must beat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ramer.methods.regress_fill import ridge
from ramer.methods.shared.filling import Views, filled_in
from ramer.methods.shared.imputing import Filled
from ramer.modalities import CONDITIONS, LETTERS, MODALITIES, condition_masks
from ramer.nn.masked import Masked
from ramer.retrieval.structures import Database
from ramer.training.batches import Batch
from ramer.training.labelled_rows import LabelledRows, TrainingBatch

PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10_000.0)


@dataclass(frozen=True)
class RidgeFill:
    """One regression per set of available modalities and missing one.

    Attributes:
        maps: float32 [columns + 1, dim] by ``<condition>_<letter>``, the intercept last.
    """

    maps: dict[str, np.ndarray]

    @classmethod
    def fit(cls, rows: Masked, val: LabelledRows) -> Self:
        """Fit on complete training and pool rows; validation rows choose each penalty by squared error.

        Args:
            rows: with everything that they hold.
        """
        known = {m: v.cpu().numpy().astype(np.float64) for m, v in rows.values.items()}
        held, whole = rows.available.cpu().numpy(), val.under("avt")
        maps = {}
        for name, sources, target, needed in _slots():
            fitted, checked = held[:, needed].all(axis=1), whole.available[:, needed].all(axis=1)
            if not fitted.any():
                continue
            x, y = np.concatenate([known[m][fitted] for m in sources], axis=1), known[target][fitted]
            tried = [ridge(x, y, penalty) for penalty in PENALTIES]
            if checked.any():
                x = np.concatenate([whole.features[m][checked] for m in sources], axis=1)
                errors = [((x @ t[:-1] + t[-1] - whole.features[target][checked]) ** 2).mean() for t in tried]
                maps[name] = tried[int(np.argmin(errors))].astype(np.float32)
            else:
                maps[name] = tried[-1].astype(np.float32)
        return cls(maps)

    def fill(self, batch: Batch) -> Filled:
        values = {m: torch.from_numpy(np.nan_to_num(v)) for m, v in batch.features.items()}
        seen = Masked(values, torch.from_numpy(batch.available))
        predicted, known = self.predict(seen)
        return Filled({m: v.numpy() for m, v in predicted.items()}, known.numpy())

    def views(self, rows: Masked, numbers: np.ndarray, train: TrainingBatch) -> Views:
        return _RidgeViews(rows, self)

    def find(self, batch: Batch) -> None:
        """Nothing: no row stands in."""

    def prepare(self, database: Database) -> None:
        """Nothing: no database is read."""

    def tensors(self) -> dict[str, np.ndarray]:
        return {f"maps_.{name}": a for name, a in self.maps.items()}

    def predict(self, seen: Masked) -> tuple[dict[str, Tensor], Tensor]:
        """Features of what the rows lack, and for which of them there is a regression, bool [n, 3]."""
        values = {m: torch.zeros_like(v) for m, v in seen.values.items()}
        known = torch.zeros_like(seen.available)
        for name, sources, target, _ in _slots():
            if name not in self.maps:
                continue
            i = MODALITIES.index(target)
            mask = torch.tensor([m in sources for m in MODALITIES], device=known.device)
            some = (seen.available == mask).all(dim=1).nonzero().squeeze(1)
            matrix = torch.from_numpy(self.maps[name]).to(known.device)
            x = torch.cat([seen.values[m][some] for m in sources], dim=1)
            values[target][some], known[some, i] = x @ matrix[:-1] + matrix[-1], True
        return values, known


@dataclass(frozen=True)
class _RidgeViews:
    rows: Masked
    ridge: RidgeFill

    def under(self, positions: Tensor, keep: Tensor) -> Masked:
        seen = self.rows.take(positions).under(keep)
        return filled_in(seen, *self.ridge.predict(seen))


def _slots() -> Iterator[tuple[str, tuple[str, ...], str, np.ndarray]]:
    """Name, sources, target and the modalities that a row must hold, bool [3], of every regression."""
    for (condition, sources), mask in zip(CONDITIONS.items(), condition_masks(), strict=True):
        for i, target in enumerate(MODALITIES):
            if not mask[i]:
                yield f"{condition}_{LETTERS[target]}", sources, target, mask | (np.arange(len(MODALITIES)) == i)
