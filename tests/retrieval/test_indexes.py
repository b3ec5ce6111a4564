from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ramer.config import Index
from ramer.errors import ConfigError, RetrievalError, StaleError
from ramer.files import digest_file, read_json, read_table, write_json, write_table
from ramer.retrieval import index_kinds as kinds_module
from ramer.retrieval import recall as recall_module
from ramer.retrieval.index_kinds import choose_kind
from ramer.retrieval.indexed_rows import IndexedRows
from ramer.retrieval.indexes import load_index
from ramer.retrieval.states import l2_normalise
from tests.support.tiny_states import Tiny, build, run, tiny_config, write_tiny


def test_keys_are_unit_states_of_the_database_rows(tiny: Tiny) -> None:
    build(tiny)
    corpus = tiny.open_corpus()
    for replicate in corpus.replicates:
        loaded = load_index(tiny.indexes("audio") / f"{replicate.name}.faiss", ids=corpus.ids)
        keys = loaded.faiss_index.reconstruct_n(0, loaded.faiss_index.ntotal)
        states = tiny.read_states("audio")[replicate.index][loaded.rows]
        assert np.array_equal(keys, l2_normalise(states))
        train = corpus.rows_in(replicate, "train")
        assert np.array_equal(loaded.rows, train[corpus.available[train, 0]])
        assert loaded.named.ids.to_pylist() == list(corpus.ids[loaded.rows])
        assert loaded.exact


def test_the_same_input_gives_the_same_bytes(tiny: Tiny) -> None:
    for kind in ("flat", "ivf_flat", "ivf_pq", "hnsw"):
        digests = []
        for _ in range(2):
            build(tiny, index={"kind": kind, "nlist": 4 if kind.startswith("ivf") else None})
            digests.append([digest_file(f) for f in sorted(tiny.indexes("audio").iterdir())])
        assert digests[0] == digests[1], kind


def test_blocks_do_not_change_an_index(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tiny.indexes("audio") / "fold0_seed0.faiss"
    build(tiny)
    whole = digest_file(file)
    monkeypatch.setattr(kinds_module, "BLOCK", 7)
    build(tiny)
    assert digest_file(file) == whole


@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_pq", "hnsw"])
def test_an_approximate_index_reports_its_recall(tiny: Tiny, kind: str) -> None:
    build(tiny, index={"kind": kind, "nlist": 2 if kind.startswith("ivf") else None, "nprobe": 2})
    sidecar = read_json(tiny.indexes("audio") / "fold0_seed0.json")
    assert sidecar["kind"] == kind
    assert 0.3 < sidecar["recall_at_5"] <= 1.0
    if kind != "ivf_pq":  # every list is visited, or the graph is small: nothing can be missed
        assert sidecar["recall_at_5"] > 0.99


def test_recall_is_that_of_a_plain_count(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_module, "BLOCK", 7)
    monkeypatch.setattr(recall_module, "QUERIES", 1000)
    index = {"kind": "ivf_flat", "nlist": 8, "nprobe": 2, "rerank": False}
    build(tiny, index=index, retrieval={"exclude": "self"})
    loaded = load_index(tiny.indexes("audio") / "fold0_seed0.faiss")
    keys = l2_normalise(tiny.read_states("audio")[0][loaded.rows])
    _, near = loaded.faiss_index.search(keys, 6)
    exact = np.argsort(-(keys @ keys.T), axis=1)[:, :6]
    hits = []
    for own, (found, wanted) in enumerate(zip(near.tolist(), exact.tolist(), strict=True)):
        others = [row for row in wanted if row != own][:5]
        hits.append(len(set(others) & set([row for row in found if row != own][:5])) / 5)
    assert loaded.about.recall_at_5 == pytest.approx(np.mean(hits))
    assert float(np.mean(hits)) < 1


def test_re_ranking_counts_what_is_among_the_candidates(tiny: Tiny) -> None:
    recalls = []
    for rerank in (False, True):
        build(tiny, index={"kind": "ivf_pq", "nlist": 2, "nprobe": 2, "m": 2, "rerank": rerank})
        recalls.append(read_json(tiny.indexes("audio") / "fold0_seed0.json")["recall_at_5"])
    assert recalls[0] < recalls[1]


def test_as_few_lists_are_visited_as_recall_allows(tiny: Tiny) -> None:
    asked = {"exclude": "self"}
    path = tiny.indexes("audio") / "fold0_seed0.json"
    build(tiny, index={"kind": "ivf_flat", "nlist": 8}, retrieval=asked)
    chosen = read_json(path)
    assert chosen["settings"]["nprobe"] < 8
    assert chosen["recall_at_5"] >= recall_module.WANTED
    build(tiny, index={"kind": "ivf_flat", "nlist": 8, "nprobe": chosen["settings"]["nprobe"] // 2}, retrieval=asked)
    assert read_json(path)["recall_at_5"] < recall_module.WANTED
    build(tiny, index={"kind": "ivf_flat", "nlist": 8, "nprobe": 3}, retrieval=asked)
    assert read_json(path)["settings"]["nprobe"] == 3


def test_auto_is_decided_by_size() -> None:
    auto = Index(kind="auto")
    assert choose_kind(auto, 115_595, 256) == "flat"
    assert choose_kind(auto, 1_000_000, 256) == "ivf_flat"
    assert choose_kind(auto, 50_000_000, 256) == "ivf_pq"
    assert choose_kind(Index(kind="hnsw"), 10, 4) == "hnsw"


def test_what_is_too_small_to_be_compressed_is_exact() -> None:
    assert choose_kind(Index(kind="ivf_pq"), kinds_module.LEAST_COMPRESSED, 4) == "ivf_pq"
    assert choose_kind(Index(kind="ivf_pq"), kinds_module.LEAST_COMPRESSED - 1, 4) == "flat"
    assert choose_kind(Index(kind="ivf_flat"), 1, 4) == "ivf_flat"
    assert {choose_kind(Index.model_validate({"kind": kind}), 0, 4) for kind in kinds_module.KINDS} == {"flat"}


@pytest.mark.parametrize("lists", ["memory", "disk"])
@pytest.mark.parametrize("kind", ["ivf_flat", "ivf_pq", "hnsw", "auto"])
@pytest.mark.parametrize("keys", [0, 1, 2, 5])
def test_a_database_of_a_few_rows_is_built_and_searched(tiny: Tiny, kind: str, lists: str, keys: int) -> None:
    table, splits = (read_table(tiny.prepared / f"{name}.parquet") for name in ("rows", "splits"))
    train = [np.flatnonzero(splits[column] == "train") for column in splits.columns[1:]]
    held = ~np.isin(np.arange(len(table)), np.concatenate(train))
    held[train[0][:keys]] = True
    states = np.ones((2, len(table), 6)) + np.random.default_rng(0).normal(size=(len(table), 6))
    states[:, ~held] = np.nan
    write_table(tiny.prepared / "rows.parquet", table.assign(available_audio=held))
    tiny.write_states("audio", states)
    found = run(tiny, index={"kind": kind} | ({} if kind == "hnsw" else {"lists": lists}), exclude="self")
    sidecar = read_json(tiny.indexes("audio") / "fold0_seed0.json")
    assert sidecar["kind"] == (kind if keys and kind in ("ivf_flat", "hnsw") else "flat")
    assert sidecar["count"] == keys
    asked = np.isin(found.queries, np.flatnonzero(held)) & ~np.isin(found.queries, train[0][:keys])
    assert ((np.asarray(found.rows[0, asked]) >= 0).sum(axis=1) == keys).all()


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"kind": "hnsw", "m": 1}, "index: m: expected 2 to 1024 links per key for hnsw (m: 1)"),
        ({"kind": "hnsw", "m": 20_000_000}, "index: m: expected 2 to 1024 links per key for hnsw (m: 20000000)"),
        ({"kind": "hnsw", "ef": 999_999_999}, "index.ef: input should be less than or equal to 1000000, got 9999"),
        ({"kind": "hnsw", "ef_construction": 99_999_999_999}, "index.ef_construction: input should be less than"),
        ({"kind": "ivf_flat", "nlist": 2**31}, "index.nlist: input should be less than or equal to 2147483647, got"),
        ({"kind": "ivf_flat", "nprobe": 2**31}, "index.nprobe: input should be less than or equal to 2147483647"),
        ({"kind": "ivf_pq", "m": 2**31}, "index.m: input should be less than or equal to 2147483647, got 2147483648"),
        ({"kind": "ivf_pq", "seed": 2**31}, "index.seed: input should be less than or equal to 2147483647, got"),
    ],
)
def test_a_size_that_faiss_cannot_take_is_one_fault(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        tiny_config(index=settings)
    (line,) = caught.value.faults
    assert line.startswith(f"params.yaml: {fault}")


def test_a_width_without_end_is_one_fault() -> None:
    with pytest.raises(ConfigError, match=r"retrieval\.width: input should be less than or equal to 1000000"):
        tiny_config(retrieval={"width": 10**12})


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "hnsw", "m": 2, "ef": 1, "ef_construction": 1},
        {"kind": "hnsw", "m": 1024, "ef": 1_000_000, "ef_construction": 1_000_000},
        {"kind": "ivf_flat", "nlist": 2**31 - 1, "nprobe": 2**31 - 1, "seed": 2**31 - 1},
        {"kind": "ivf_pq", "nlist": 2**31 - 1, "m": 6, "seed": 2**31 - 1},
    ],
    ids=str,
)
def test_the_largest_and_the_smallest_sizes_are_taken(tiny: Tiny, settings: dict[str, Any]) -> None:
    assert (np.asarray(run(tiny, index=settings).rows)[:, :, 0] >= 0).any()


def test_an_unknown_kind_is_refused_with_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"index.kind.*'flat', 'ivf_flat', 'ivf_pq', 'hnsw' or 'auto'"):
        tiny_config(index={"kind": "flaat"})


def test_a_code_size_that_does_not_divide_the_state_is_refused(tiny: Tiny) -> None:
    with pytest.raises(RetrievalError, match=r"index.m: expected a divisor of the hidden size 6, got 4"):
        build(tiny, index={"kind": "ivf_pq", "m": 4})


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_bad_key_is_refused_by_its_id_and_nothing_is_left(tiny: Tiny, value: float) -> None:
    corpus = tiny.open_corpus()
    train = corpus.rows_in(corpus.replicates[0], "train")
    row = train[corpus.available[train, 0]][3]
    states = tiny.read_states("audio")
    states[0, row] = value
    tiny.write_states("audio", states)
    with pytest.raises(RetrievalError, match=f"key of row {corpus.ids[row]}"):
        build(tiny)
    assert not tiny.indexes("audio").exists()
    assert list(tiny.indexes("audio").parent.iterdir()) == []


def test_a_modality_that_the_corpus_lacks_has_an_empty_index(tiny: Tiny) -> None:
    bare = write_tiny(tiny.root.parent / "bare", absent="text")
    build(bare, "text")
    loaded = load_index(bare.index("text", "fold0_seed0"), expected_encoder_digest="encoder0")
    assert len(loaded.rows) == loaded.faiss_index.ntotal == loaded.about.count == 0


def test_a_scope_without_rows_is_refused(tiny: Tiny) -> None:
    bare = write_tiny(tiny.root.parent / "bare", pool=0)
    with pytest.raises(RetrievalError, match=r"retrieval\.scope: pool: replicate fold0_seed0 of tiny has no such row"):
        build(bare, retrieval={"scope": "pool"})


def tamper(tiny: Tiny, **changes: Any) -> None:
    file = tiny.indexes("audio") / "fold0_seed0.json"
    write_json(file, read_json(file) | changes)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"encoder_digest": "other"}, "encoder_digest: expected encoder0, got other"),
        ({"ids_digest": "other"}, "ids_digest: expected"),
        ({"dimension": 9}, "dimension: expected 9 as in fold0_seed0.json, got 6"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tiny: Tiny, changes: dict[str, Any], fault: str) -> None:
    build(tiny)
    digest = tiny.open_corpus().ids_digest
    file = tiny.indexes("audio") / "fold0_seed0.faiss"
    load_index(file, expected_encoder_digest="encoder0", expected_ids_digest=digest, ids=tiny.open_corpus().ids)
    tamper(tiny, **changes)
    with pytest.raises(StaleError, match=fault):
        load_index(file, expected_encoder_digest="encoder0", expected_ids_digest=digest)


def test_a_table_of_other_rows_is_refused(tiny: Tiny) -> None:
    build(tiny)
    file = tiny.indexes("audio") / "fold0_seed0.faiss"
    few = IndexedRows.of(np.arange(3), ["a", "b", "c"])
    digest = few.write(file)
    with pytest.raises(StaleError, match=r"fold0_seed0\.parquet: not the rows that the index was written with"):
        load_index(file)
    tamper(tiny, rows_digest=digest)
    with pytest.raises(StaleError, match=r"expected 3 keys as in fold0_seed0\.parquet"):
        load_index(file)
    file.with_suffix(".parquet").unlink()
    with pytest.raises(StaleError, match=r"fold0_seed0\.parquet: no such file"):
        load_index(file)


def test_a_sidecar_that_names_the_rows_itself_is_still_read(tiny: Tiny) -> None:
    build(tiny)
    file = tiny.indexes("audio") / "fold0_seed0.faiss"
    now, side = load_index(file), file.with_suffix(".json")
    before = {key: value for key, value in read_json(side).items() if key != "rows_digest"}
    write_json(side, before | {"ids": now.named.ids.to_pylist(), "rows": now.rows.tolist()})
    file.with_suffix(".parquet").unlink()
    older = load_index(file, ids=tiny.open_corpus().ids)
    assert (older.named.ids, older.rows.tolist()) == (now.named.ids, now.rows.tolist())


@pytest.mark.parametrize("shift", [1, 1000, -1000])
def test_rows_that_are_not_the_ids_rows_are_refused(tiny: Tiny, shift: int) -> None:
    build(tiny)
    file = tiny.indexes("audio") / "fold0_seed0.faiss"
    named = load_index(file).named
    tamper(tiny, rows_digest=named.numbered(named.rows + shift).write(file))
    with pytest.raises(StaleError, match=r"is not 'clip\d+' in the corpus"):
        load_index(file, ids=tiny.open_corpus().ids)


def test_a_missing_file_is_named(tiny: Tiny) -> None:
    build(tiny)
    for missing in ("fold0_seed0.faiss", "fold0_seed1.json"):
        (tiny.indexes("audio") / missing).unlink()
        with pytest.raises(StaleError, match=f"{missing}: no such file"):
            load_index((tiny.indexes("audio") / missing).with_suffix(".faiss"))


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("suffix", [".faiss", ".json"])
@pytest.mark.parametrize("left", [0, 20, -100])
def test_a_torn_file_is_named(tiny: Tiny, suffix: str, left: int, mapped: bool) -> None:
    build(tiny)
    path = tiny.indexes("audio") / "fold0_seed0.faiss"
    torn = path.with_suffix(suffix)
    torn.write_bytes(torn.read_bytes()[:left])
    with pytest.raises(StaleError, match=f"^{torn}: "):
        load_index(path, mapped=mapped)


@pytest.mark.parametrize("kind", ["flat", "ivf_flat", "ivf_pq", "hnsw"])
def test_keys_left_on_disk_are_found_like_keys_in_memory(tiny: Tiny, kind: str) -> None:
    build(tiny, index={"kind": kind, "nlist": 4 if kind.startswith("ivf") else None})
    path = tiny.indexes("audio") / "fold0_seed0.faiss"
    mapped = load_index(path)
    assert str(path) in Path("/proc/self/maps").read_text("utf-8")
    read = load_index(path, mapped=False)
    queries = l2_normalise(tiny.read_states("audio")[0][read.rows])
    found, wanted = np.stack(mapped.faiss_index.search(queries, 5)), np.stack(read.faiss_index.search(queries, 5))
    assert np.array_equal(found, wanted)


def test_building_keeps_the_thread_count(tiny: Tiny) -> None:
    threads = 2
    faiss.omp_set_num_threads(threads)
    build(tiny, index={"kind": "hnsw"})
    assert faiss.omp_get_max_threads() == threads
    faiss.omp_set_num_threads(1)
