from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ramer.errors import RetrievalError, StaleError
from ramer.files import digest_file, read_json
from ramer.modalities import MODALITIES
from ramer.retrieval import neighbour_lists as lists_module
from ramer.retrieval.neighbours import NeighbourTable
from ramer.retrieval.states import StatesTable
from tests.support.tiny_states import LABELS, Tiny, run, write_tiny


def plain_lists(tiny: Tiny, modality: str, replicate: int, splits: tuple[str, ...], width: int) -> dict[int, list[int]]:
    """Neighbours of every row that holds the modality, one pair at a time, own speaker excluded."""
    corpus = tiny.open_corpus()
    states = tiny.read_states(modality)[replicate].astype(np.float64)
    held = corpus.available[:, MODALITIES.index(modality)]
    rows = [r for r in corpus.rows_in(corpus.replicates[replicate], *splits) if held[r]]
    lists = {}
    for q in np.flatnonzero(held):
        scored = []
        for r in rows:
            same = corpus.speakers[q] == corpus.speakers[r] and isinstance(corpus.speakers[q], str)
            if r != q and not same:
                cosine = states[q] @ states[r] / np.linalg.norm(states[q]) / np.linalg.norm(states[r])
                scored.append((-cosine, r))
        lists[int(q)] = [int(r) for _, r in sorted(scored)[:width]]
    return lists


@pytest.mark.parametrize(("scope", "splits"), [("train", ("train",)), ("pool", ("pool",)), ("all", ("train", "pool"))])
def test_lists_equal_a_plain_loop(tiny: Tiny, scope: str, splits: tuple[str, ...]) -> None:
    table = run(tiny, scope=scope, queries="all")
    corpus = tiny.open_corpus()
    for replicate in corpus.replicates:
        expected = plain_lists(tiny, "audio", replicate.index, splits, 20)
        rows, scores = table.lists(replicate, np.arange(corpus.rows))
        for row in range(corpus.rows):
            assert [r for r in rows[row] if r >= 0] == expected.get(row, [])
        assert np.array_equal(rows < 0, np.isnan(scores))
        assert (np.diff(scores, axis=1)[rows[:, 1:] >= 0] <= 0).all()


def test_queries_are_the_labelled_rows_unless_all_are_asked_for(tiny: Tiny) -> None:
    table = run(tiny)
    corpus = tiny.open_corpus()
    assert np.array_equal(table.queries, corpus.labelled_rows())
    assert np.array_equal(run(tiny, queries="all").queries, np.arange(corpus.rows))
    pool_row = corpus.rows - 1
    with pytest.raises(RetrievalError, match=f"row {pool_row} has no list.*retrieval.queries: all instead of labelled"):
        table.lists(corpus.replicates[0], np.array([0, pool_row]))


def test_torn_lists_are_one_line_with_their_folder(tiny: Tiny) -> None:
    table = run(tiny)
    (table.path / "rows.npy").write_bytes((table.path / "rows.npy").read_bytes()[:200])
    with pytest.raises(StaleError, match=r"rows\.npy: absent or torn") as caught:
        NeighbourTable.open(table.path)
    assert list(caught.value.artifacts.values()) == [table.path]


def test_lists_come_in_the_order_asked_for(tiny: Tiny) -> None:
    table = run(tiny)
    replicate = tiny.open_corpus().replicates[1]
    asked = np.array([7, 2, 7, 30])
    rows, scores = table.lists(replicate, asked)
    for place, row in enumerate(asked):
        position = table.queries.tolist().index(row)
        assert np.array_equal(rows[place], table.rows[1][position])
        assert np.array_equal(scores[place], table.scores[1][position], equal_nan=True)
    assert table.lists(replicate, np.array([], dtype=np.int64))[0].shape == (0, 20)


def test_a_row_without_the_modality_has_an_empty_list(tiny: Tiny) -> None:
    table = run(tiny, "video")
    lacking = ~tiny.open_corpus().available[table.queries, 1]
    assert lacking.any()
    assert (table.rows[:, lacking] == -1).all()
    assert (table.rows[:, ~lacking, 0] >= 0).all()


def test_a_width_beyond_the_database_is_padded(tiny: Tiny) -> None:
    table = run(tiny, width=500)
    assert table.width == 500
    most = max(table.database_rows(r) for r in tiny.open_corpus().replicates)
    assert (table.rows[:, :, most:] == -1).all()


def test_findable_rows_are_what_the_worst_off_training_row_finds(tiny: Tiny) -> None:
    """Else k could exceed what training rows find, and a head would first meet a full list at test."""
    table = run(tiny, width=500)
    corpus = tiny.open_corpus()
    for replicate in corpus.replicates:
        train = corpus.rows_in(replicate, "train")
        found = (table.lists(replicate, train[corpus.available[train, 0]])[0] >= 0).sum(axis=1)
        assert table.findable_rows(replicate) == found.min() < table.database_rows(replicate)


def test_a_modality_that_the_corpus_lacks_has_empty_lists(tiny: Tiny) -> None:
    table = run(write_tiny(tiny.root.parent / "bare", absent="text"), "text")
    assert (table.rows == -1).all()
    assert table.database_rows(tiny.open_corpus().replicates[0]) == 0
    assert table.findable_rows(tiny.open_corpus().replicates[0]) == 0
    diagnostics = read_json(table.path / "diagnostics.json")
    assert diagnostics["mean"]["label_purity"] == {"train": None, "val": None, "test": None}


def test_the_batch_changes_no_byte(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def digests() -> list[str]:
        return [digest_file(f) for f in sorted(run(tiny).path.iterdir())]

    whole = digests()
    monkeypatch.setattr(lists_module, "BATCH", 11)
    assert digests() == whole


def test_diagnostics_equal_plain_counts(tiny: Tiny) -> None:
    table = run(tiny, scope="all")
    corpus = tiny.open_corpus()
    diagnostics = read_json(table.path / "diagnostics.json")
    for replicate in corpus.replicates:
        labels = corpus.labels(replicate)
        figures = diagnostics["replicates"][replicate.name]
        for split in ("train", "val", "test"):
            hits, first = [], []
            for row in corpus.rows_in(replicate, split):
                near, scores = table.lists(replicate, np.array([row]))
                hits += [labels[n] == labels[row] for n in near[0, :5] if n >= 0 and labels[n] >= 0]
                first += [s for s in scores[0, :1] if np.isfinite(s)]
            assert figures["label_purity"][split] == pytest.approx(np.mean(hits))
            assert figures["top_score"][split] == pytest.approx(np.mean(first))
        assert figures["database_rows"] == table.database_rows(replicate)
    purities = [diagnostics["replicates"][r.name]["label_purity"]["test"] for r in corpus.replicates]
    assert diagnostics["mean"]["label_purity"]["test"] == pytest.approx(np.mean(purities))
    assert len(LABELS) == 2


def speaker_states(tiny: Tiny) -> None:
    """States that all but name the speaker."""
    corpus = tiny.open_corpus()
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((corpus.groups.max() + 2, 6)) * 10
    states = centres[corpus.groups] + rng.standard_normal((2, corpus.rows, 6))
    states[:, ~corpus.available[:, 0]] = np.nan
    tiny.write_states("audio", states)


def test_an_approximate_index_hands_its_recall_to_the_report(tiny: Tiny) -> None:
    run(tiny)
    assert "index_recall_at_5" not in read_json(tiny.neighbours("audio") / "diagnostics.json")["mean"]
    run(tiny, index={"kind": "ivf_flat", "nlist": 8, "nprobe": 1})
    stated = [read_json(tiny.indexes("audio") / f"fold0_seed{seed}.json")["recall_at_5"] for seed in (0, 1)]
    mean = read_json(tiny.neighbours("audio") / "diagnostics.json")["mean"]
    assert mean["index_recall_at_5"] == pytest.approx(sum(stated) / 2)


def test_the_same_speakers_share_is_measured_with_and_without_exclusion(tiny: Tiny) -> None:
    speaker_states(tiny)
    figures = read_json(run(tiny).path / "diagnostics.json")["mean"]["same_speaker"]
    assert figures["with_exclusion"] == 0.0
    assert figures["without_exclusion"] > 0.9
    assert 0.1 < figures["chance"] < 0.25  # six speakers and some unnamed rows
    kept = read_json(run(tiny, exclude="self").path / "diagnostics.json")["mean"]["same_speaker"]
    assert kept["with_exclusion"] == pytest.approx(figures["without_exclusion"])


def test_chance_is_the_share_of_other_rows_of_the_speaker(tiny: Tiny) -> None:
    table = run(tiny)
    corpus = tiny.open_corpus()
    for replicate in corpus.replicates:
        train = [r for r in corpus.rows_in(replicate, "train") if corpus.available[r, 0]]
        shares = [
            np.mean([corpus.groups[o] == corpus.groups[r] for o in train if o != r])
            for r in train
            if corpus.groups[r] >= 0
        ]
        figures = read_json(table.path / "diagnostics.json")["replicates"][replicate.name]
        assert figures["same_speaker"]["chance"] == pytest.approx(np.mean(shares))


def test_lists_of_another_encoder_are_refused(tiny: Tiny) -> None:
    table = run(tiny)
    states = StatesTable.open(tiny.states("audio"))
    assert NeighbourTable.open(table.path, states).width == 20
    table.info.model_copy(update={"encoder_digests": {"fold0_seed0": "other"}}).write(table.path / "neighbours.json")
    with pytest.raises(StaleError, match="encoder_digests: not those of"):
        NeighbourTable.open(table.path, states)


def test_a_folder_without_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StaleError, match="no neighbours here"):
        NeighbourTable.open(tmp_path)
