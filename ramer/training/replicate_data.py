"""Rows of one replicate as method inputs, masked in one place.

``ReplicateData.batch`` is the only code that decides what a method may see. What a mask (or nature)
makes unavailable is NaN, and its neighbour lists are empty, before any method runs (protocol rule 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ramer.data.prepared import SPLITS, PreparedCorpus, Replicate, StandardisedRows
from ramer.errors import ModelError, RetrievalError, StaleError
from ramer.files import digest_file
from ramer.inputs import FEATURES, LIVE, NEIGHBOURS, OWN_KEYS, POSTERIORS, SHUFFLED, STATES
from ramer.modalities import MODALITIES
from ramer.project import Project
from ramer.retrieval.exclusion import exclusion_codes
from ramer.retrieval.indexes import OWN_SCOPE, SCOPES, load_index
from ramer.retrieval.neighbours import NeighbourTable
from ramer.retrieval.shuffle import Shuffle
from ramer.retrieval.states import StatesTable
from ramer.retrieval.structures import Database, Lists, LiveSearch, Neighbours
from ramer.training.batches import Batch


class ReplicateData:
    """Everything one replicate's methods may read, behind the one mask.

    Args:
        corpus: the prepared corpus.
        replicate: which fold and seed.
        states: states table per modality.
        neighbours: neighbour table per modality; None for methods without retrieval.
        project: with the encoders and indexes that these states and neighbours came from, for methods that encode.
    """

    def __init__(
        self,
        corpus: PreparedCorpus,
        replicate: Replicate,
        states: Mapping[str, StatesTable],
        neighbours: Mapping[str, NeighbourTable] | None = None,
        project: Project | None = None,
    ) -> None:
        self.corpus = corpus
        self.replicate = replicate
        self._states = states
        self._neighbours = neighbours
        self._project = project
        self._pool: np.ndarray | None = None
        self._databases: dict[frozenset[str], Database] = {}
        self._scalers = {m: corpus.scaler(m, replicate) for m in MODALITIES}

    @cached_property
    def database(self) -> Database:
        """What retrieval may return, by corpus row number: all rows outside ``retrieval.scope`` hold nothing."""
        codes = self.corpus.split_codes[self.replicate.index]
        scope = SCOPES[self._scope()]
        allowed = np.isin(codes, [SPLITS.index(split) for split in scope])
        if self._pool is not None:
            allowed &= (codes != SPLITS.index("pool")) | np.isin(np.arange(len(codes)), self._pool)
        return Database(
            # Plain views of what is memory-mapped: taking rows of a memmap costs many times as much.
            states={m: np.asarray(self._states[m].states[self.replicate.index]) for m in MODALITIES},
            available=self.corpus.available & allowed[:, None],
            labels=np.where(codes == 0, self.corpus.labels(self.replicate), -1),
        )

    def with_pool(self, rows: np.ndarray) -> ReplicateData:
        """The same data, in whose database only these rows of the pool are; for methods with keys of their own.

        Args:
            rows: corpus row numbers.
        """
        other = ReplicateData(self.corpus, self.replicate, self._states, self._neighbours, self._project)
        other._pool = rows
        return other

    def database_for(self, inputs: frozenset[str]) -> Database:
        """The database as a method with these inputs gets it, the same object every time."""
        kind = inputs & {SHUFFLED, LIVE, OWN_KEYS}
        if kind not in self._databases:
            database = self.database
            if SHUFFLED in kind:
                shuffle = Shuffle.draw(self.replicate.name, database.available, database.labels >= 0, self._codes())
                database = replace(database, shuffle=shuffle)
            if LIVE in kind:
                database = replace(database, live=self.live)
            elif OWN_KEYS in kind:
                database = replace(database, live=LiveSearch(self._standardised(), {}, self._codes()))
            self._databases[kind] = database
        return self._databases[kind]

    @cached_property
    def live(self) -> LiveSearch:
        """Features of all rows, and the indexes that ``index`` built, stamped with the encoders of these states.

        Raises:
            StaleError: an index is absent, or of another encoder or scope.
        """
        project = self._encoding_project()
        features = self._standardised()
        indexes = {
            m: load_index(
                project.index(m, self.replicate.name),
                expected_encoder_digest=self._states[m].encoder_digest(self.replicate),
                expected_ids_digest=self.corpus.ids_digest,
                expected_crossfit_digest=self._states[m].crossfit_digest(self.replicate),
                ids=self.corpus.ids,
            )
            for m in features
        }
        other = {i.about.scope for i in indexes.values()} - {self._scope()}
        if other:
            found = " and ".join(sorted(other))
            where = project.all_indexes
            raise StaleError(f"{where}: scope: expected {self._scope()}, got {found}", where)
        return LiveSearch(features, indexes, self._codes())

    def _standardised(self) -> dict[str, StandardisedRows]:
        present = [m for m in MODALITIES if self.corpus.dims[m]]
        return {m: StandardisedRows(self.corpus.features[m], self._scalers[m]) for m in present}

    def encoder_file(self, modality: str) -> Path:
        """The checkpoint of the encoder that made the states.

        Raises:
            StaleError: it is not there, or not the one that the states are stamped with.
        """
        path, states = self._encoding_project().encoder(modality, self.replicate.name), self._states[modality]
        if not path.is_file() or digest_file(path) != states.encoder_digest(self.replicate):
            raise StaleError(f"{path}: not the encoder that made {states.path}", states.path)
        return path

    def _encoding_project(self) -> Project:
        if self._project is None:
            raise ModelError("a method that encodes needs the project's encoders and indexes, and none was given")
        return self._project

    def _codes(self) -> np.ndarray:
        return exclusion_codes(
            self.corpus.groups, self._one("exclude", [table.info.exclude for table in self._tables], "speaker")
        )

    def _scope(self) -> str:
        return self._one("scope", [table.info.scope for table in self._tables], OWN_SCOPE)

    @property
    def _tables(self) -> list[NeighbourTable]:
        return list((self._neighbours or {}).values())

    def _one(self, key: str, settings: list[str], default: str) -> str:
        """A setting that all modalities' lists share; the default for a method that reads none.

        Raises:
            StaleError: they were retrieved by different ones.
        """
        found = sorted(set(settings)) or [default]
        if len(found) > 1:
            where = self._tables[0].path.parent
            raise StaleError(f"{where}: lists of {key} {' and '.join(found)}, expected one", where)
        return found[0]

    def batch(self, rows: np.ndarray, mask: np.ndarray, inputs: frozenset[str], complete: bool = False) -> Batch:
        """Build a masked batch.

        Args:
            rows: corpus row numbers [n].
            mask: bool [n, 3] (or [3]), the modalities that the condition makes available.
            inputs: which of ``features, states, posteriors, neighbours`` to fill, and whether the database that the
                neighbours point into is ``shuffled``, ``live`` or searched by the method's ``own_keys``: then without
                lists.
            complete: attach the unmasked rows too.
        """
        rows = np.asarray(rows, dtype=np.int64)
        available = self.corpus.available[rows] & mask
        r = self.replicate.index
        features, states, posteriors = {}, {}, {}
        for i, m in enumerate(MODALITIES):
            held = available[:, i]
            if FEATURES in inputs:
                features[m] = _masked(StandardisedRows(self.corpus.features[m], self._scalers[m]), rows, held)
            if STATES in inputs or NEIGHBOURS in inputs:
                states[m] = _masked(self._states[m].states[r], rows, held)
            if POSTERIORS in inputs:
                posteriors[m] = _masked(self._states[m].posteriors[r], rows, held)
        near = None
        if OWN_KEYS in inputs:
            near = Neighbours(Lists.empty(len(rows), 0), self.database_for(inputs))
        elif NEIGHBOURS in inputs:
            near = Neighbours(self._lists(rows, available), self.database_for(inputs))
        whole = self.batch(rows, np.ones(3, dtype=bool), inputs) if complete else None
        return Batch(rows, available, features, states, posteriors, near, whole)

    def _lists(self, rows: np.ndarray, available: np.ndarray) -> Lists:
        if self._neighbours is None:
            raise RetrievalError("neighbour lists were asked for but none were opened")
        found, scores = {}, {}
        for i, m in enumerate(MODALITIES):
            near, score = self._neighbours[m].lists(self.replicate, rows)
            held = available[:, i, None]
            found[m] = np.where(held, near, -1)
            scores[m] = np.where(held, score, np.float32(np.nan))
            used = found[m][found[m] >= 0]
            if not self.database.available[used].any(axis=1).all():
                where = self._neighbours[m].path
                raise StaleError(f"{where}: a list holds a row outside the scope", where)
        return Lists(found, scores)


def _masked(table: np.ndarray | StandardisedRows, rows: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Rows of a table, NaN where they are not held; what is not held is not read."""
    out = np.full((len(rows), table.shape[1]), np.nan, dtype=np.float32)
    if held.any():
        out[held] = table[rows[held]]
    return out
