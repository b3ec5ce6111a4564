"""Rows of one replicate as method inputs, masked in one place.

``ReplicateData.batch`` is the only code that decides what a method may see. What a mask (or nature)
makes unavailable is NaN, and its neighbour lists are empty, before any method runs (protocol rule 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ramer.config import MissingRates
from ramer.data.prepared import SPLITS, PreparedCorpus, Replicate, StandardisedRows
from ramer.errors import ModelError, RetrievalError, StaleError
from ramer.files import digest_file
from ramer.inputs import FEATURES, LIVE, NEIGHBOURS, POSTERIORS, SHUFFLED, STATES
from ramer.modalities import CONDITIONS, FULL_CONDITION, MODALITIES, condition_masks, condition_probabilities
from ramer.project import Project
from ramer.retrieval.aggregation import Database, Lists, Selected
from ramer.retrieval.candidates import Live
from ramer.retrieval.indexes import SCOPES, load_index
from ramer.retrieval.neighbours import NeighbourTable
from ramer.retrieval.search import exclusion_codes
from ramer.retrieval.shuffle import Shuffle
from ramer.retrieval.states import StatesTable
from ramer.seeding import generator

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batch:
    """n rows as a method sees them; NaN (and empty lists) where a modality is unavailable.

    Attributes:
        rows: int64 [n], corpus row numbers, -1 for a clip that is not in the corpus.
        available: bool [n, 3] in the order of ``MODALITIES``: natural availability and mask together.
        features: standardised raw vectors, float32 [n, dim] per modality; empty unless asked for.
        states: CLS hidden states (not normalised), float32 [n, hidden] per modality.
        posteriors: the unimodal encoders' class probabilities, float32 [n, classes] per modality.
        lists: neighbour lists of the available modalities, or None.
        database: what the lists point into, or None.
        complete: the same rows unmasked; only for methods that declare ``needs_complete``.
        found: the neighbours that ``Ramer.find`` would find in the lists, where somebody has found them already.
    """

    rows: np.ndarray
    available: np.ndarray
    features: Arrays = field(default_factory=dict)
    states: Arrays = field(default_factory=dict)
    posteriors: Arrays = field(default_factory=dict)
    lists: Lists | None = None
    database: Database | None = None
    complete: Batch | None = None
    found: Selected | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: np.ndarray) -> Batch:
        """The rows at ``positions`` (int or bool [n]) as a batch of their own."""

        def pick(arrays: Mapping[str, np.ndarray]) -> Arrays:
            return {m: a[positions] for m, a in arrays.items()}

        lists = None if self.lists is None else Lists(pick(self.lists.rows), pick(self.lists.scores))
        complete = None if self.complete is None else self.complete.take(positions)
        found = None if self.found is None else Selected(*(kind[positions] for kind in self.found))
        return Batch(
            self.rows[positions],
            self.available[positions],
            pick(self.features),
            pick(self.states),
            pick(self.posteriors),
            lists,
            self.database,
            complete,
            found,
        )


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
        self._databases: dict[frozenset[str], Database] = {}
        self._scalers = {m: corpus.scaler(m, replicate) for m in MODALITIES}

    @cached_property
    def database(self) -> Database:
        """What retrieval may return, by corpus row number: all rows outside ``retrieval.scope`` hold nothing."""
        codes = self.corpus.split_codes[self.replicate.index]
        scope = SCOPES[self._scope()]
        allowed = np.isin(codes, [SPLITS.index(split) for split in scope])
        return Database(
            # Plain views of what is memory-mapped: taking rows of a memmap costs many times as much.
            states={m: np.asarray(self._states[m].states[self.replicate.index]) for m in MODALITIES},
            available=self.corpus.available & allowed[:, None],
            labels=np.where(codes == 0, self.corpus.labels(self.replicate), -1),
        )

    def database_for(self, inputs: frozenset[str]) -> Database:
        """The database as a method with these inputs gets it, the same object every time."""
        kind = inputs & {SHUFFLED, LIVE}
        if kind not in self._databases:
            database = self.database
            if SHUFFLED in kind:
                shuffle = Shuffle.draw(self.replicate.name, database.available, database.labels >= 0, self._codes())
                database = replace(database, shuffle=shuffle)
            self._databases[kind] = replace(database, live=self.live) if LIVE in kind else database
        return self._databases[kind]

    @cached_property
    def live(self) -> Live:
        """Features of all rows, and the indexes that ``index`` built, stamped with the encoders of these states.

        Raises:
            StaleError: an index is absent, or of another encoder or scope.
        """
        project = self._encoding_project()
        present = [m for m in MODALITIES if self.corpus.dims[m]]
        features = {m: StandardisedRows(self.corpus.features[m], self._scalers[m]) for m in present}
        indexes = {
            m: load_index(
                project.index(m, self.replicate.name),
                expected_encoder_digest=self._states[m].encoder_digest(self.replicate),
                expected_ids_digest=self.corpus.ids_digest,
                expected_crossfit_digest=self._states[m].crossfit_digest(self.replicate),
                ids=self.corpus.ids,
            )
            for m in present
        }
        other = {i.sidecar["scope"] for i in indexes.values()} - {self._scope()}
        if other:
            found = " and ".join(sorted(other))
            where = project.all_indexes
            raise StaleError(f"{where}: scope: expected {self._scope()}, got {found}", where)
        return Live(features, indexes, self._codes())

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
        rules = sorted({str(table.info["exclude"]) for table in (self._neighbours or {}).values()})
        return exclusion_codes(self.corpus.groups, rules[0] if rules else "speaker")

    def _scope(self) -> str:
        tables = list((self._neighbours or {}).values())
        scopes = {str(table.info["scope"]) for table in tables} or {"all"}
        if len(scopes) > 1:
            where = tables[0].path.parent
            raise StaleError(f"{where}: lists of scopes {' and '.join(sorted(scopes))}", where)
        return scopes.pop()

    def batch(self, rows: np.ndarray, mask: np.ndarray, inputs: frozenset[str], complete: bool = False) -> Batch:
        """Build a masked batch.

        Args:
            rows: corpus row numbers [n].
            mask: bool [n, 3] (or [3]), the modalities that the condition makes available.
            inputs: which of ``features, states, posteriors, neighbours`` to fill, and whether the database that the
                neighbours point into is ``shuffled`` or ``live``.
            complete: attach the unmasked rows too.
        """
        rows = np.asarray(rows, dtype=np.int64)
        available = self.corpus.available[rows] & mask
        r = self.replicate.index
        features, states, posteriors = {}, {}, {}
        for i, m in enumerate(MODALITIES):
            held = available[:, i]
            if FEATURES in inputs:
                features[m] = self._masked(
                    lambda s, m=m: self._scalers[m].apply(self.corpus.features[m][s]), rows, held, self.corpus.dims[m]
                )
            if STATES in inputs or NEIGHBOURS in inputs:
                table = self._states[m].states
                states[m] = self._masked(lambda s, t=table: t[r, s], rows, held, table.shape[-1])
            if POSTERIORS in inputs:
                table = self._states[m].posteriors
                posteriors[m] = self._masked(lambda s, t=table: t[r, s], rows, held, table.shape[-1])
        lists = self._lists(rows, available) if NEIGHBOURS in inputs else None
        database = self.database_for(inputs) if NEIGHBOURS in inputs else None
        whole = self.batch(rows, np.ones(3, dtype=bool), inputs) if complete else None
        return Batch(rows, available, features, states, posteriors, lists, database, whole)

    @staticmethod
    def _masked(read, rows: np.ndarray, held: np.ndarray, width: int) -> np.ndarray:  # type: ignore[no-untyped-def]
        out = np.full((len(rows), width), np.nan, dtype=np.float32)
        if held.any():
            out[held] = read(rows[held])
        return out

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


class LabelledRows:
    """Labelled rows under any condition.

    Attributes:
        labels: int64 [n].
        rows: corpus row numbers [n].
    """

    def __init__(self, data: ReplicateData, rows: np.ndarray, inputs: frozenset[str], complete: bool = False) -> None:
        self.data = data
        self.rows = rows
        self.labels = data.corpus.labels(data.replicate)[rows]
        self.classes = data.corpus.classes
        self.inputs = inputs
        self._with_complete = complete
        self._cache: dict[str, Batch] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def under(self, condition: str) -> Batch:
        """All rows under one condition, masked."""
        if condition not in self._cache:
            mask = condition_masks()[list(CONDITIONS).index(condition)]
            self._cache[condition] = self.data.batch(self.rows, mask, self.inputs, self._with_complete)
        return self._cache[condition]


class TrainingBatch(LabelledRows):
    """A replicate's labelled training rows that hold at least one modality; exists only inside ``fit``.

    Attributes:
        prior: class frequencies of the labelled training rows, float64 [classes].
        pool_rows: corpus row numbers of the unlabelled pool.
        missing_rates: of the modalities in the drawn masks; None draws the seven conditions alike.
    """

    def __init__(
        self,
        data: ReplicateData,
        inputs: frozenset[str],
        complete: bool = False,
        missing_rates: MissingRates | None = None,
    ) -> None:
        train = data.corpus.rows_in(data.replicate, "train")
        labels = data.corpus.labels(data.replicate)[train]
        self.prior = np.bincount(labels, minlength=data.corpus.classes) / len(labels)
        super().__init__(data, train[data.corpus.available[train].any(axis=1)], inputs, complete)
        self.pool_rows = data.corpus.rows_in(data.replicate, "pool")
        self.missing_rates = missing_rates

    @property
    def complete(self) -> Batch:
        """The rows with everything that they naturally hold."""
        return self.under(FULL_CONDITION)

    def pool(self, rows: np.ndarray | None = None, condition: str = FULL_CONDITION) -> Batch:
        """Unlabelled pool rows (all, or some of ``pool_rows``) under a condition."""
        mask = condition_masks()[list(CONDITIONS).index(condition)]
        return self.data.batch(self.pool_rows if rows is None else rows, mask, self.inputs - {NEIGHBOURS})

    def conditions_at(self, epoch: int) -> np.ndarray:
        """The drawn condition of every row in an epoch, int64 [n]; the same for every method (protocol rule 2).

        A draw that leaves a row with nothing is replaced by everything the row holds.
        """
        return draw_conditions(self.data.corpus.available[self.rows], self.data.replicate, epoch, self.missing_rates)


def draw_conditions(
    available: np.ndarray, replicate: Replicate, epoch: int, missing_rates: MissingRates | None = None
) -> np.ndarray:
    """Draw one condition per row from the replicate's own stream, uniformly over the seven or by missing rates."""
    rng = generator(replicate.seed, "conditions", replicate.fold, epoch)
    if missing_rates is None:
        drawn = rng.integers(len(CONDITIONS), size=len(available))
    else:
        drawn = rng.choice(len(CONDITIONS), size=len(available), p=condition_probabilities(missing_rates.values))
    nothing = ~(available & condition_masks()[drawn]).any(axis=1)
    drawn[nothing] = list(CONDITIONS).index(FULL_CONDITION)
    return drawn
