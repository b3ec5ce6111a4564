"""Search on a GPU: the rows and bits of the processor; shown on torch's own processor, with sums in another order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ramer.errors import ConfigError, RetrievalError
from ramer.retrieval.gpu_search import Backend, Searches
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.ordering import DeviceScoring, Hits
from ramer.retrieval.search import search
from ramer.retrieval.states import l2_normalise, row_norms

NO_KERNEL = "Error in virtual void faiss::gpu::runL2Norm: CUDA error 209 no kernel image is available"


def flat(states: np.ndarray, rows: np.ndarray) -> DatabaseIndex:
    index = faiss.IndexFlatIP(states.shape[1])
    index.add(l2_normalise(states[rows]))
    return DatabaseIndex(index, rows, IndexKind(kind="flat", dimension=states.shape[1]))


def assert_same_bits(hits: Hits, expected: Hits) -> None:
    assert hits.rows.tobytes() == expected.rows.tobytes()
    assert hits.scores.tobytes() == expected.scores.tobytes()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 90),
    hidden=st.sampled_from([1, 3, 64, 700]),
    speakers=st.integers(1, 8),
    width=st.integers(1, 40),
    copies=st.integers(0, 60),
    whole=st.booleans(),
    tolerance=st.sampled_from([1.0, 1e6, 1e15]),
)
def test_rows_and_bits_are_those_of_the_processor(
    seed: int, rows: int, hidden: int, speakers: int, width: int, copies: int, whole: bool, tolerance: float
) -> None:
    rng = np.random.default_rng(seed)
    states = (rng.standard_normal((rows, hidden)) * 10.0 ** rng.integers(-3, 4, (rows, 1))).astype(np.float32)
    if whole:  # many equal scores, and zeros of both signs
        states = np.sign(states) + np.float32(0.0)
    states[rng.integers(rows, size=copies)] = states[0]
    database = np.sort(rng.permutation(rows)[: max(1, rows * 3 // 4)])
    codes, index = rng.integers(speakers, size=rows), flat(states, database)
    for norms in (None, row_norms(states)):
        ask = partial(search, index, states, states, width, codes=codes, query_codes=codes, norms=norms)
        assert_same_bits(ask(scoring=DeviceScoring(index, states, "cpu", tolerance)), ask())


def test_no_score_rounds_otherwise_among_very_many() -> None:
    rng = np.random.default_rng(0)
    states = rng.standard_normal((3000, 512)).astype(np.float32)
    index = flat(states, np.arange(3000))
    there = DeviceScoring(index, states, "cpu")
    assert_same_bits(search(index, states, states, 50, scoring=there), search(index, states, states, 50))


class CountingScoring(DeviceScoring):
    """Notes the lengths of what is brought to the device."""

    brought: list[int]

    def _there(self, array: np.ndarray) -> Tensor:
        self.brought.append(len(array))
        return super()._there(array)


def test_exclusion_codes_go_to_the_device_once_in_a_search() -> None:
    states = np.random.default_rng(0).standard_normal((2500, 300)).astype(np.float32)
    queries, speakers = states[:2400], np.arange(2500) % 7
    index = flat(states, np.arange(2500))
    scoring = CountingScoring(index, states, "cpu")
    for codes in (speakers, speakers[::-1]):  # another search has other codes
        scoring.brought = []
        ask = partial(search, index, states, queries, 5, codes=codes, query_codes=codes[:2400])
        assert_same_bits(ask(scoring=scoring), ask())
        assert len(scoring.brought) > 6  # several batches
        assert (scoring.brought.count(2500), scoring.brought.count(2400)) == (1, 1)


class Gpus:
    """A library that sees one GPU: it searches as the processor does until ``good`` calls are over, then fails."""

    def __init__(self, good: int, seen: int = 1) -> None:
        self.good, self.seen, self.calls = good, seen, 0

    def count(self) -> int:
        return self.seen

    def backend(self, number: int, index: DatabaseIndex, states: np.ndarray) -> Backend:
        self.call()
        scoring = DeviceScoring(index, states, "cpu")

        def counted(of: Callable) -> Callable:
            def called(*given_: object) -> object:
                self.call()
                return of(*given_)

            return called

        return Backend(counted(index.faiss_index.search), counted(scoring))

    def call(self) -> None:
        self.calls += 1
        if self.calls > self.good:
            raise RuntimeError(NO_KERNEL)


@pytest.mark.parametrize("good", [0, 1, 2, 3, 1000])
def test_a_gpu_that_fails_at_any_point_leaves_the_same_bits_and_one_warning(
    good: int, caplog: pytest.LogCaptureFixture
) -> None:
    states = np.random.default_rng(1).standard_normal((2500, 8)).astype(np.float32)
    index = flat(states, np.arange(2500))
    searches = Searches("auto", Gpus(good))
    for _ in range(2):
        backend = searches.of(index, states)
        found = search(index, states, states, 5, fetch=backend.fetch, scoring=backend.scoring)
        assert_same_bits(found, search(index, states, states, 5))
    warned = [record.getMessage() for record in caplog.records]
    assert [NO_KERNEL in line for line in warned] == [True] * (good < 1000)


@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_named_gpu_that_fails_is_one_line(good: int) -> None:
    states = np.random.default_rng(1).standard_normal((40, 8)).astype(np.float32)
    index = flat(states, np.arange(40))

    def find() -> Hits:
        backend = Searches("cuda", Gpus(good)).of(index, states)
        return search(index, states, states, 5, fetch=backend.fetch, scoring=backend.scoring)

    with pytest.raises(ConfigError) as refused:
        find()
    (line,) = refused.value.faults
    assert line.startswith("params.yaml: runtime.device: cuda cannot be used (")
    assert NO_KERNEL in line


def test_what_needs_no_gpu_asks_none() -> None:
    states = np.eye(8, dtype=np.float32)
    quantised = faiss.IndexScalarQuantizer(8, faiss.ScalarQuantizer.QT_8bit)
    inexact = DatabaseIndex(quantised, np.arange(8), IndexKind(kind="ivf_pq", dimension=8))
    for device, index in (("cpu", flat(states, np.arange(8))), ("auto", inexact)):
        gpus = Gpus(0)
        Searches(device, gpus).of(index, states)
        assert gpus.calls == 0


def test_a_gpu_that_is_not_there_is_refused_as_the_search_begins() -> None:
    with pytest.raises(RetrievalError, match=r"runtime\.device: cuda:3: FAISS sees 2 GPUs"):
        Searches("cuda:3", Gpus(0, seen=2))
