"""The control of every retrieval method: the right row is found, and another row's contents are handed out.

Search, ranking and scores stay those of the real database. What changes is whose states and labels stand behind a
row, so whatever a method still gains comes from its machinery and not from retrieval.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Bool, Int

from ramer.modalities import MODALITIES
from ramer.seeding import generator


@dataclass(frozen=True)
class Shuffle:
    """Whose contents a found row hands out.

    Attributes:
        successor: int64 [rows]; rows that hold the same modalities form one cycle, so nothing becomes or ceases to be
            available.
        codes: exclusion codes [rows] (``exclusion_codes``), or None where no query is in the corpus.
    """

    successor: np.ndarray
    codes: np.ndarray | None = None

    @classmethod
    def draw(
        cls,
        name: str,
        available: Bool[np.ndarray, "rows 3"],
        labelled: Bool[np.ndarray, " rows"],
        codes: Int[np.ndarray, " rows"] | None = None,
    ) -> Shuffle:
        """One random cycle per kind of database row: same modalities, labelled or not.

        The draw depends on the database's rows and their order alone, not on the other rows of the table, so that an
        exported database is shuffled as it was in training.

        Args:
            name: of the replicate, the seed of the draw.
            available: what the database rows hold; a row that holds nothing is in no database.
            labelled: rows whose label may be read.
        """
        rng = generator(0, "shuffle", name)
        successor = np.arange(len(available))
        # The order of the kinds is a part of the draw.
        for *pattern, has_label in product((False, True), repeat=len(MODALITIES) + 1):
            alike = (available == pattern[::-1]).all(axis=1) & (labelled == has_label)
            if any(pattern) and alike.any():
                order = rng.permutation(np.flatnonzero(alike))
                successor[order] = np.roll(order, -1)
        return cls(successor, codes)

    def contents(self, found: Int[np.ndarray, "n t k"], queries: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n t k"]:
        """The rows whose contents stand behind the found ones, -1 where none was found.

        A query is never handed its own contents, or its speaker's: the cycle is walked on, which ends at the latest
        with the found row itself.

        Args:
            found: row numbers, none of which a query excludes.
            queries: corpus rows of the queries, -1 for a clip that is not in the corpus.
        """
        given = np.where(found >= 0, self.successor[np.maximum(found, 0)], -1)
        if self.codes is None:
            return given
        own = np.where(queries >= 0, self.codes[np.maximum(queries, 0)], -1)[:, None, None]
        clash = (given >= 0) & (self.codes[np.maximum(given, 0)] == own)
        while clash.any():
            given[clash] = self.successor[given[clash]]
            clash = (given >= 0) & (self.codes[np.maximum(given, 0)] == own) & (given != found)
        return given
