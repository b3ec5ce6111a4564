"""The protocol's leakage traps that concern retrieval; each test fails if the leak is put back."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ramer.errors import RetrievalError, StaleError
from ramer.files import read_json, write_json
from ramer.methods.shared.ramer_options import RamerOptions
from ramer.modalities import MODALITIES
from ramer.retrieval.aggregation import gather, select
from ramer.retrieval.candidates import pair_scores
from ramer.retrieval.indexed_rows import IndexedRows
from ramer.retrieval.indexes import load_index
from ramer.retrieval.neighbours import NeighbourTable
from ramer.retrieval.states import StatesTable
from ramer.retrieval.structures import Candidates, Database
from tests.support.tiny_states import Tiny, build, run, search


@pytest.mark.parametrize("exclude", ["speaker", "self"])
def test_a_row_is_never_its_own_neighbour(tiny: Tiny, exclude: str) -> None:
    states = tiny.read_states("audio")
    # A copy of every row under the next id: rank 0 is often the copy, so dropping rank 0 would keep the row itself.
    held = tiny.open_corpus().available[:, 0]
    states[:, 1::2] = np.where((held[::2] & held[1::2])[None, :, None], states[:, ::2], states[:, 1::2])
    tiny.write_states("audio", states)
    table = run(tiny, exclude=exclude, scope="all", queries="all")
    assert not (table.rows == table.queries[None, :, None]).any()


def test_a_named_speaker_never_meets_itself(tiny: Tiny) -> None:
    table = run(tiny, scope="all", queries="all")
    speakers = tiny.open_corpus().speakers
    named = [isinstance(s, str) for s in speakers]
    for replicate in range(2):
        for query, near in zip(table.queries, table.rows[replicate], strict=True):
            if named[query]:
                assert speakers[query] not in [speakers[r] for r in near if r >= 0]


def test_unnamed_rows_still_meet_each_other(tiny: Tiny) -> None:
    table = run(tiny, scope="pool", queries="all")  # no pool row has a name
    pool = tiny.open_corpus().rows_in(tiny.open_corpus().replicates[0], "pool")
    holding = pool[tiny.open_corpus().available[pool, 0]]
    rows, _ = table.lists(tiny.open_corpus().replicates[0], holding)
    assert ((rows >= 0).sum(axis=1) == min(20, len(holding) - 1)).all()


@pytest.mark.parametrize("scope", ["train", "pool", "all"])
@pytest.mark.parametrize("modality", MODALITIES)
def test_no_validation_or_test_row_is_ever_in_a_database(tiny: Tiny, scope: str, modality: str) -> None:
    table = run(tiny, modality, scope=scope, queries="all")
    corpus = tiny.open_corpus()
    for replicate in corpus.replicates:
        heldout = corpus.rows_in(replicate, "val", "test")
        index = load_index(tiny.indexes(modality) / f"{replicate.name}.faiss")
        assert not np.isin(index.rows, heldout).any()
        assert len(index.rows)
        assert not np.isin(table.rows[replicate.index], heldout).any()


def test_keys_of_another_encoder_are_refused(tiny: Tiny) -> None:
    table = run(tiny)
    written = table.path.stat().st_mtime_ns
    tiny.write_states("audio", tiny.read_states("audio"), encoder="retrained")
    with pytest.raises(StaleError, match="encoder_digest: expected retrained0, got encoder0"):
        search(tiny)
    assert table.path.stat().st_mtime_ns == written


def test_keys_of_other_crossfitted_states_are_refused(tiny: Tiny) -> None:
    """The encoder of val, test and pool rows is the same one: only the stamp of the folds tells the keys apart."""
    run(tiny)
    file = tiny.states("audio") / "states.json"
    write_json(file, read_json(file) | {"crossfit_digests": {"fold0_seed0": "folds0", "fold0_seed1": "folds1"}})
    with pytest.raises(StaleError, match="crossfit_digest: expected folds0, got : index and queries"):
        search(tiny)
    with pytest.raises(StaleError, match=r"neighbours\.json: crossfit_digests: not those of"):
        NeighbourTable.open(tiny.neighbours("audio"), StatesTable.open(tiny.states("audio")))
    run(tiny)  # built anew they fit
    assert NeighbourTable.open(tiny.neighbours("audio"), StatesTable.open(tiny.states("audio"))).info.crossfit_digests


def test_an_index_of_another_scope_is_refused(tiny: Tiny) -> None:
    run(tiny, scope="all")
    with pytest.raises(StaleError, match=r"scope: expected train as in params\.yaml, got all"):
        search(tiny, retrieval={"scope": "train"})


def test_states_of_misaligned_rows_are_refused(tiny: Tiny) -> None:
    file = tiny.states("audio") / "states.json"
    write_json(file, read_json(file) | {"ids_digest": "0" * 64})
    with pytest.raises(StaleError, match=re.escape("states.json: ids_digest")):
        build(tiny)


def test_index_rows_that_moved_against_their_ids_are_refused(tiny: Tiny) -> None:
    run(tiny)
    for file in tiny.indexes("audio").glob("fold*.json"):
        named = load_index(file.with_suffix(".faiss")).named
        moved = IndexedRows(named.rows, named.ids.take(np.roll(np.arange(len(named)), -1)))
        write_json(file, read_json(file) | {"rows_digest": moved.write(file)})
    with pytest.raises(StaleError, match=r"row \d+ is not 'clip"):
        search(tiny)


def test_training_rows_get_as_many_neighbours_as_test_rows(tiny: Tiny) -> None:
    """Exclusion takes nothing from the width: a train row's list is as full as a test row's."""
    table = run(tiny, width=10)
    corpus = tiny.open_corpus()
    for replicate in corpus.replicates:
        for split in ("train", "val", "test"):
            rows = corpus.rows_in(replicate, split)
            lists, _ = table.lists(replicate, rows[corpus.available[rows, 0]])
            assert ((lists >= 0).sum(axis=1) == 10).all()


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_zero_or_nan_query_is_refused_by_its_id(tiny: Tiny, value: float) -> None:
    corpus = tiny.open_corpus()
    held_out = [set(corpus.rows_in(r, "val", "test")) for r in corpus.replicates]
    row = next(r for r in sorted(held_out[0] & held_out[1]) if corpus.available[r, 0])
    states = tiny.read_states("audio")
    states[0, row] = value
    tiny.write_states("audio", states)
    with pytest.raises(RetrievalError, match=f"query {corpus.ids[row]}: expected a finite state"):
        run(tiny)


@pytest.mark.parametrize(
    ("k", "drop_first", "database", "width", "fault"),
    [
        (6, False, 100, 5, "methods.mine.k: 6 needs retrieval.width of at least 6, got 5"),
        (5, True, 100, 5, "needs retrieval.width of at least 6 .*drop_first.*, got 5"),
        (
            6,
            False,
            5,
            50,
            "methods.mine.k: 6 needs a database of at least 6 rows beside a training row's own speaker, got 5; "
            "with retrieval.exclude: self they count too",
        ),
        (5, True, 5, 50, "needs a database of at least 6 rows .*drop_first.*, got 5"),
    ],
)
def test_a_k_beyond_width_or_database_is_refused(
    k: int, drop_first: bool, database: int, width: int, fault: str
) -> None:
    with pytest.raises(RetrievalError, match=fault):
        RamerOptions(type="ramer", k=k, drop_first=drop_first).check_k("mine", width, database)


def test_a_k_that_just_fits_is_taken() -> None:
    RamerOptions(type="ramer", k=5).check_k("mine", 5, 5)
    RamerOptions(type="ramer", k=4, drop_first=True).check_k("mine", 5, 5)


def test_minus_one_never_gathers_the_last_row() -> None:
    states = {m: np.ones((4, 3), dtype=np.float32) for m in MODALITIES}
    for array in states.values():
        array[0] = array[-1] = 777.0  # what -1 would reach, and what stands in for it
    database = Database(states, np.ones((4, 3), dtype=bool), np.zeros(4, dtype=np.int64))
    rows = np.array([[1, -1], [-1, -1]])
    values = gather(database, "video", rows, normalize=False)
    assert values.tolist() == [[[1, 1, 1], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
    scores = pair_scores(np.ones((2, 3), dtype=np.float32), rows, database, "video")
    assert np.isnan(scores).tolist() == [[False, True], [True, True]]
    none = Candidates(np.full((2, 5), -1), np.full((2, 5), np.nan))
    lacking = np.array([[True, False, False], [False, True, False]])
    selected = select(none, lacking, database.available, 2)
    assert (selected.rows == -1).all()
    assert not selected.retrieved.any()
