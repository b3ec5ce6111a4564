"""The rows that one modality's encoder trains on or is scored on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.errors import CorpusError
from ramer.modalities import MODALITIES

IN_MEMORY_BYTES = 256 * 2**20  # a split larger than this is gathered batch by batch from the memory map
AT_ONCE_BYTES = 2**30  # a regression sees no more than this of a split


class SplitRows:
    """The rows of one split that hold the modality: standardised vectors by position, and labels.

    Args:
        split: name of the split, used in the error too.
        keep: corpus rows that may be used, all of the split if None.

    Raises:
        CorpusError: no row of the split holds the modality.
    """

    def __init__(
        self,
        corpus: PreparedCorpus,
        modality: str,
        replicate: Replicate,
        split: str,
        device: str,
        keep: np.ndarray | None = None,
    ) -> None:
        rows = corpus.rows_in(replicate, split)
        if keep is not None:
            rows = np.intersect1d(rows, keep)
        rows = rows[corpus.available[rows, MODALITIES.index(modality)]]
        if not len(rows):
            where = f"{corpus.path}: {modality}"
            raise CorpusError(f"{where}: expected at least one {split} row of {replicate.name} to hold it, found none")
        self._rows = rows
        self._features = corpus.features[modality]
        self._scaler = corpus.scaler(modality, replicate)
        self._device = device
        self.labels = torch.from_numpy(corpus.labels(replicate)[rows]).to(device)
        fits = len(rows) * corpus.dims[modality] * 4 <= IN_MEMORY_BYTES
        self._matrix = self._read(rows).to(device) if fits else None

    def __len__(self) -> int:
        return len(self._rows)

    def gather(self, positions: Tensor) -> Tensor:
        """Standardised vectors [n, dim] of positions within the split."""
        if self._matrix is not None:
            return self._matrix[positions.to(self._device)]
        return self._read(self._rows[positions.numpy()]).to(self._device)

    def _read(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self._scaler.apply(self._features[rows]))

    def at_once(self) -> tuple[np.ndarray, np.ndarray]:
        """Standardised vectors, float32 [n, dim], and labels [n]: of all rows, or of as many as fit, evenly spaced."""
        most = max(AT_ONCE_BYTES // (4 * max(self._features.shape[1], 1)), 1)
        places = torch.linspace(0, len(self) - 1, min(len(self), most), dtype=torch.float64).round().long()
        return self.gather(places).cpu().numpy(), self.labels[places.to(self._device)].cpu().numpy()
