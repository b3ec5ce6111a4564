"""What stands in for missing features: in prediction for a batch, in training for rows under drawn masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from ramer.methods.shared.imputing import Filled
from ramer.modalities import MODALITIES
from ramer.nn.masked import Masked
from ramer.retrieval.structures import Database, Selected
from ramer.training.batches import Batch
from ramer.training.labelled_rows import TrainingBatch


@runtime_checkable
class Views(Protocol):
    """Training rows as a student sees them."""

    def under(self, positions: Tensor, keep: Tensor) -> Masked:
        """Some of the rows under masks, with what stands in; that counts as available.

        Args:
            positions: int [b] of the rows.
            keep: bool [b, 3], of which something is available.
        """
        ...


@runtime_checkable
class Filler(Protocol):
    """Whatever stands in."""

    def fill(self, batch: Batch) -> Filled:
        """Features in the place of what each row lacks."""
        ...

    def views(self, rows: Masked, numbers: np.ndarray, train: TrainingBatch) -> Views:
        """Training and pool rows under any mask.

        Args:
            rows: with everything that they hold.
            numbers: their corpus rows [n].
            train: whose data and database they are of.
        """
        ...

    def find(self, batch: Batch) -> Selected | None:
        """The neighbours that stand in; None where none do."""
        ...

    def prepare(self, database: Database) -> None:
        """Do once what the first batch with this database would wait for."""
        ...

    def tensors(self) -> dict[str, np.ndarray]:
        """What was learnt, as arrays."""
        ...


def filled_in(seen: Masked, values: Mapping[str, Tensor], stands_in: Bool[Tensor, "n 3"]) -> Masked:
    """Rows with values in the place of what they lack."""
    missing = stands_in & ~seen.available
    own = {m: seen.values[m] + torch.where(missing[:, i, None], values[m], 0.0) for i, m in enumerate(MODALITIES)}
    return Masked(own, seen.available | missing)
