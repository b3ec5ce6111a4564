"""Hidden states and posteriors of every row, as ``dump`` writes them, and their normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from pydantic import Field

from ramer.data.npy import UNREADABLE
from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.errors import RetrievalError, StaleError, raise_if_scarce
from ramer.records import Record

MOST_NAMED = 3  # refused rows named in one message


STATES_FILE = "states.json"


class StatesRecord(Record):
    """``states.json``.

    Attributes:
        modality: whose states.
        absent: whether the corpus lacks it.
        hidden_dim: length of a state.
        ids_digest: of the corpus' ids in row order.
        encoder_digests: of the encoder that made the states, by replicate.
        crossfit_digests: of the encoders that made training rows' states; empty without ``dump.crossfit``.
    """

    later: ClassVar[frozenset[str]] = frozenset({"format", "crossfit_digests"})

    modality: str
    absent: bool
    hidden_dim: int
    ids_digest: str
    encoder_digests: dict[str, str]
    crossfit_digests: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class StatesTable:
    """``data/states/<modality>`` with arrays memory-mapped.

    Attributes:
        states: float32 [replicates, rows, hidden], not normalised, NaN rows where the modality is missing.
        posteriors: float32 [replicates, rows, classes].
        encoder_digests: by replicate name.
        crossfit_digests: of the encoders that made training rows' states, empty without ``dump.crossfit``.
    """

    path: Path
    modality: str
    states: np.ndarray
    posteriors: np.ndarray
    ids_digest: str
    encoder_digests: dict[str, str]
    absent: bool
    crossfit_digests: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str | Path, prepared: PreparedCorpus | None = None) -> StatesTable:
        """Open the states of one modality and check them against the prepared corpus, where given.

        Raises:
            StaleError: no states there, torn ones, or they belong to other rows than the corpus'.
        """
        path = Path(path)
        if not (path / STATES_FILE).exists():
            raise StaleError(f"{path}: no states here", path)
        said = StatesRecord.read(path / STATES_FILE)
        states, posteriors = map_arrays(path, "states", "posteriors")
        table = cls(
            path=path,
            modality=said.modality,
            states=states,
            posteriors=posteriors,
            ids_digest=said.ids_digest,
            encoder_digests=said.encoder_digests,
            absent=said.absent,
            crossfit_digests=said.crossfit_digests,
        )
        if prepared is not None:
            table.check(prepared)
        return table

    @property
    def hidden_dim(self) -> int:
        return int(self.states.shape[2])

    def of(self, replicate: Replicate) -> np.ndarray:
        """States of one replicate, memory-mapped float32 [rows, hidden]."""
        return self.states[replicate.index]

    def encoder_digest(self, replicate: Replicate) -> str:
        """Digest of the encoder that made these states; empty for a modality that the corpus lacks."""
        return self.encoder_digests.get(replicate.name, "")

    def crossfit_digest(self, replicate: Replicate) -> str:
        """Digest of the encoders that made the training rows' states, empty where the one encoder made them."""
        return self.crossfit_digests.get(replicate.name, "")

    def check(self, prepared: PreparedCorpus) -> None:
        """Refuse states of other rows, or in another order, than the corpus'."""
        faults = []
        if self.ids_digest != prepared.ids_digest:
            faults.append(
                f"{self.path}/states.json: ids_digest: {self.ids_digest[:12]} are not the rows of {prepared.path} "
                f"(expected {prepared.ids_digest[:12]})"
            )
        wanted = (len(prepared.replicates), prepared.rows)
        if self.states.shape[:2] != wanted:
            faults.append(f"{self.path}/states.npy: expected [replicates, rows] {wanted}, got {self.states.shape[:2]}")
        if faults:
            raise StaleError(faults, self.path)


def map_arrays(folder: Path, *names: str) -> list[np.ndarray]:
    """Arrays that a stage has left in its folder, memory-mapped.

    Raises:
        StaleError: one is not there, or torn.
    """
    arrays = []
    for path in (folder / f"{name}.npy" for name in names):
        try:
            arrays.append(np.load(path, mmap_mode="r"))
        except UNREADABLE as error:
            raise_if_scarce(error)
            raise StaleError(f"{path}: absent or torn ({type(error).__name__})", folder) from None
    return arrays


def l2_normalise(
    vectors: Float[np.ndarray, "n hidden"], *, refuse: str | None = None, ids: Sequence[Any] | np.ndarray | None = None
) -> Float[np.ndarray, "n hidden"]:
    """Rows of length 1, float32; a NaN row stays NaN and a zero row zero unless refused.

    Args:
        vectors: [n, hidden].
        refuse: what the rows are (``query``, ``key``); given, zero and non-finite rows are refused.
        ids: [n], names of the rows in the message; their positions if absent.

    Raises:
        RetrievalError: a row is zero or not finite and ``refuse`` is given.

    Example:
        >>> l2_normalise(np.array([[0.0, 4.0], [0.0, 0.0]], dtype=np.float32)).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    norms = row_norms(vectors)
    if refuse is not None:
        bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
        faults = []
        for i in bad[:MOST_NAMED]:
            given = "zeros" if norms[i] == 0 else "NaN or inf"
            faults.append(
                f"{refuse} {i if ids is None else ids[i]}: expected a finite state other than zero, got {given}"
            )
        if len(bad) > MOST_NAMED:
            faults.append(f"{refuse}: {len(bad) - MOST_NAMED} more such rows")
        if faults:
            raise RetrievalError(faults)
    return (vectors / np.where(norms == 0, 1.0, norms)[:, None]).astype(np.float32)


def row_norms(vectors: Float[np.ndarray, "n hidden"], block: int = 16384) -> Float[np.ndarray, " n"]:
    """Length of every row, float64 [n], read in blocks so that a memory-mapped array stays on disk."""
    norms = np.empty(len(vectors))
    for start in range(0, len(vectors), block):
        part = np.asarray(vectors[start : start + block], dtype=np.float64)
        norms[start : start + block] = np.sqrt(np.einsum("nh,nh->n", part, part))
    return norms
