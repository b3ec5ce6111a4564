from __future__ import annotations

import numpy as np
import pytest

from ramer.errors import RetrievalError, StaleError
from ramer.retrieval.states import StatesTable, l2_normalise, row_norms
from tests.support.tiny_states import HIDDEN, Tiny, write_tiny


def test_states_stay_on_disk_and_keep_their_missing_rows(tiny: Tiny) -> None:
    corpus = tiny.open_corpus()
    table = StatesTable.open(tiny.states("video"), corpus)
    assert isinstance(table.states, np.memmap)
    assert table.hidden_dim == HIDDEN["video"]
    assert table.encoder_digest(corpus.replicates[1]) == "encoder1"
    missing = np.isnan(table.of(corpus.replicates[0])).all(axis=1)
    assert np.array_equal(missing, ~corpus.available[:, 1])


def test_states_of_other_rows_are_refused(tiny: Tiny, tmp_path: object) -> None:
    other = write_tiny(tiny.root.parent / "other", rows=119)
    with pytest.raises(StaleError, match="ids_digest") as caught:
        StatesTable.open(other.states("audio"), tiny.open_corpus())
    assert len(caught.value.faults) == 2  # other ids and another number of rows


def test_a_folder_without_states_is_refused(tiny: Tiny) -> None:
    with pytest.raises(StaleError, match="no states here"):
        StatesTable.open(tiny.root)


@pytest.mark.parametrize("left", [None, 0, 40, 500])
def test_torn_states_are_one_line_with_their_folder(tiny: Tiny, left: int | None) -> None:
    torn = tiny.states("audio") / "posteriors.npy"
    content = torn.read_bytes()
    torn.unlink()
    if left is not None:
        torn.write_bytes(content[:left])
    with pytest.raises(StaleError, match=r"posteriors\.npy: absent or torn") as caught:
        StatesTable.open(tiny.states("audio"))
    assert list(caught.value.artifacts.values()) == [tiny.states("audio")]


def test_an_absent_modality_has_no_columns(tiny: Tiny) -> None:
    bare = write_tiny(tiny.root.parent / "bare", absent="text")
    assert StatesTable.open(bare.states("text"), bare.open_corpus()).hidden_dim == 0


def test_normalised_rows_have_length_one() -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [np.nan, 1.0]], dtype=np.float32)
    unit = l2_normalise(rows)
    assert unit[0].tolist() == pytest.approx([0.6, 0.8])
    assert unit[1].tolist() == [0.0, 0.0]
    assert np.isnan(unit[2]).any()


@pytest.mark.parametrize(("bad", "given"), [([0.0, 0.0], "zeros"), ([np.nan, 1.0], "NaN"), ([np.inf, 1.0], "inf")])
def test_a_zero_or_non_finite_row_is_refused_by_name(bad: list[float], given: str) -> None:
    rows = np.array([[1.0, 0.0], bad], dtype=np.float32)
    with pytest.raises(RetrievalError, match=f"query clip7: expected a finite state.*{given}"):
        l2_normalise(rows, refuse="query", ids=["clip6", "clip7"])


def test_many_refused_rows_are_counted_not_listed() -> None:
    with pytest.raises(RetrievalError, match="key: 7 more such rows"):
        l2_normalise(np.zeros((10, 2), dtype=np.float32), refuse="key")


def test_lengths_are_the_same_whatever_the_block() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 4))
    assert row_norms(rows, block=7) == pytest.approx(np.linalg.norm(rows, axis=1))
