from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.data.npz import read_npz
from ramer.data.prepared import PreparedCorpus
from ramer.errors import CorpusError
from ramer.modalities import MODALITIES
from tests.support.damaged import DAMAGED, damaged_npz

Arrays = dict[str, np.ndarray]
Prepare = Callable[..., PreparedCorpus]


def test_every_key_arrives(packed: Arrays, prepared: Prepare) -> None:
    corpus = prepared(packed)
    assert corpus.ids.tolist() == packed["ids"].tolist()
    assert corpus.speakers.tolist() == packed["speaker"].tolist()
    assert corpus.label_names == ("calm", "glad", "cross")
    assert corpus.dims == {"audio": 5, "video": 4, "text": 6}
    for modality, key in zip(MODALITIES, "AVL", strict=True):
        np.testing.assert_array_equal(corpus.features[modality], packed[key].astype(np.float32))
    replicate = corpus.replicates[0]
    for split in ("train", "val", "test", "pool"):
        assert corpus.rows_in(replicate, split).tolist() == np.flatnonzero(packed["split"] == split).tolist()
    held = packed["split"] != "pool"
    assert corpus.labels(replicate)[held].tolist() == packed["label"][held].tolist()


def test_a_missing_row_is_nan_or_zero_and_a_modality_may_be_absent(packed: Arrays, prepared: Prepare) -> None:
    packed["A"][3] = np.nan
    packed["A"][4] = 0
    for key in "AL":
        packed[key][5] = np.nan  # in no modality at all once V is gone
    del packed["V"]
    corpus = prepared(packed)
    assert corpus.dims == {"audio": 5, "video": 0, "text": 6}
    assert np.flatnonzero(~corpus.available[:, 0]).tolist() == [3, 4, 5]
    assert not corpus.available[:, 1].any()
    assert np.flatnonzero(~corpus.available[:, 2]).tolist() == [5]
    assert np.isnan(corpus.features["audio"][[3, 4, 5]]).all()
    assert corpus.features["video"].shape == (120, 0)
    assert corpus.standardised("video", corpus.replicates[0], np.arange(3)).shape == (3, 0)
    missing = corpus.info["naturally_missing"]["fold0_seed0"]["train"]
    assert missing == {"audio": 3, "video": 70, "text": 1, "all": 1}


def test_a_modality_that_is_nan_throughout_is_absent_with_a_note(packed: Arrays, prepared: Prepare) -> None:
    packed["V"][:] = np.nan
    corpus = prepared(packed)
    assert corpus.dims["video"] == 0
    assert any("video" in note and "absent" in note for note in corpus.info["notes"])


def test_matrix_order_and_compression_do_not_matter(packed: Arrays, prepared: Prepare) -> None:
    straight = np.array(prepared(packed).features["text"])
    packed["L"] = np.asfortranarray(packed["L"])
    np.testing.assert_array_equal(prepared(packed).features["text"], straight)


def test_other_keys_are_never_read(packed: Arrays, prepared: Prepare) -> None:
    packed["text"] = np.array([object()] * 120, dtype=object)
    packed["A_other"] = np.zeros((3, 3))
    assert prepared(packed).rows == 120


def test_a_pool_row_keeps_no_label_anywhere(
    packed: Arrays, prepared: Prepare, tmp_path: Path, save: Callable[[Arrays], Path]
) -> None:
    packed["label_names"] = np.array(["calm", "glad", "cross", "never-seen"])
    packed["label"] = np.where(packed["split"] == "pool", 3, packed["label"])
    assert (read_npz(save(packed)).labels[packed["split"] == "pool"] == -1).all()
    packed["label_names"] = packed["label_names"][:3]
    packed["label"] = np.where(packed["split"] == "pool", 2, packed["label"])
    corpus = prepared(packed)
    pool = corpus.rows_in(corpus.replicates[0], "pool")
    assert len(pool) == 10
    assert (corpus.labels(corpus.replicates[0])[pool] == -1).all()
    assert corpus._labels[pool].tolist() == [-1] * 10


def test_a_row_without_a_label_goes_to_the_pool_with_a_note(packed: Arrays, prepared: Prepare) -> None:
    packed["label"] = np.where(np.arange(120) == 119, -1, packed["label"])
    corpus = prepared(packed)
    assert corpus.rows_in(corpus.replicates[0], "pool").tolist() == [*range(70, 80), 119]
    assert "1 test rows have no label: they are pool rows" in corpus.info["notes"]


def test_a_split_may_be_absent_where_speakers_are_named(packed: Arrays, prepared: Prepare) -> None:
    del packed["split"]
    corpus = prepared(packed)
    replicate = corpus.replicates[0]
    held = [set(corpus.groups[corpus.rows_in(replicate, s)].tolist()) for s in ("train", "val", "test")]
    assert all(held)
    assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]
    assert any("no split" in note for note in corpus.info["notes"])


def test_shared_speakers_are_counted_and_kept(packed: Arrays, prepared: Prepare) -> None:
    packed["speaker"][-1] = "s00"
    corpus = prepared(packed)
    assert corpus.info["split_overlaps"]["fold0"]["train-test"] == 1
    assert len(corpus.rows_in(corpus.replicates[0], "test")) == 20
    assert any("train and test share 1" in note for note in corpus.info["notes"])


def _set(key: str, index: Any, value: Any) -> Callable[[Arrays], None]:
    def spoil(arrays: Arrays) -> None:
        arrays[key] = arrays[key].copy()
        arrays[key][index] = value

    return spoil


def _replace(key: str, value: Any) -> Callable[[Arrays], None]:
    return lambda arrays: arrays.__setitem__(key, np.asarray(value))


def _drop(*keys: str) -> Callable[[Arrays], None]:
    def spoil(arrays: Arrays) -> None:
        for key in keys:
            del arrays[key]

    return spoil


FAULTS: list[tuple[str, Callable[[Arrays], None], str]] = [
    ("no ids", _drop("ids"), "ids: missing key"),
    ("no label", _drop("label"), "label: missing key"),
    ("no label_names", _drop("label_names"), "label_names: missing key"),
    ("no modality", _drop("A", "V", "L"), "no modality, expected at least one of audio, video, text"),
    ("no split, no speaker", _drop("split", "speaker"), "split: missing"),
    ("short matrix", _replace("A", np.ones((119, 5))), "A: expected shape [120, dim], got [119, 5]"),
    ("flat matrix", _replace("V", np.ones(120)), "V: expected shape [120, dim], got [120]"),
    ("empty matrix", _replace("L", np.ones((120, 0))), "L: expected shape [120, dim], got [120, 0]"),
    ("text as matrix", _replace("A", np.full((120, 2), "x")), "A: expected numbers, got <U1"),
    ("pickled matrix", _replace("A", np.full((120, 2), None)), "A: holds pickled objects"),
    ("pickled ids", _replace("ids", np.array(["a", None] * 60)), "ids: holds pickled objects"),
    ("short label", _replace("label", [0, 1]), "label: expected shape [120], one entry per row, got [2]"),
    ("float label", _replace("label", np.zeros(120)), "label: expected integers, got float64"),
    ("short speaker", _replace("speaker", ["a"]), "speaker: expected shape [120], one entry per row, got [1]"),
    ("short split", _replace("split", ["train"]), "split: expected shape [120], one entry per row, got [1]"),
    ("no rows", _replace("ids", np.array([], dtype="U1")), "ids: expected shape [rows], got [0]"),
    ("label too large", _set("label", 7, 3), "row 7 (id 'clip7'): label: expected -1 (none) to 2, got 3"),
    ("label too small", _set("label", 9, -2), "row 9 (id 'clip9'): label: expected -1 (none) to 2, got -2"),
    ("same id", _set("ids", 5, "clip2"), "row 5 (id 'clip2'): ids: same as row 2, expected unique ids"),
    ("empty id", _set("ids", 6, " "), "row 6: ids: empty"),
    (
        "unknown split",
        _set("split", 11, "dev"),
        "row 11 (id 'clip11'): split: expected train, val, test, pool, got 'dev'",
    ),
    ("same class name", _replace("label_names", ["a", "a", "b"]), "label_names: expected distinct, non-empty names"),
    (
        "one class",
        _replace("label", np.zeros(120, int)),
        "label: expected at least two classes with labelled rows, found calm",
    ),
    (
        "no label at all",
        _replace("label", np.full(120, -1)),
        "label: expected at least two classes with labelled rows, found none",
    ),
    ("no train rows", _set("split", slice(0, 80), "val"), "split: no labelled training rows"),
    ("class not in train", _set("label", slice(0, 80), 0), "fold0_seed0: label: no training row of class 'glad'"),
    ("infinite", _set("A", (8, 2), np.inf), "A: row 8 (id 'clip8'): infinite value"),
    ("beyond float32", _set("L", (8, 2), 1e300), "L: row 8 (id 'clip8'): infinite value"),
    ("partly NaN", _set("V", (9, 1), np.nan), "V: row 9 (id 'clip9'): partly NaN"),
]


@pytest.mark.parametrize(("spoil", "line"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_fault_is_one_line_that_names_file_row_and_field(
    spoil: Callable[[Arrays], None], line: str, packed: Arrays, prepared: Prepare, tmp_path: Path
) -> None:
    spoil(packed)
    with pytest.raises(CorpusError) as caught:
        prepared(packed)
    faults = caught.value.faults
    assert all("corpus.npz" in fault and "\n" not in fault for fault in faults)
    assert any(line in fault for fault in faults), faults
    assert not list((tmp_path / "data").glob("*") if (tmp_path / "data").exists() else [])


def test_all_faults_are_reported_at_once_and_cut_at_twenty(packed: Arrays, prepared: Prepare) -> None:
    _set("label", slice(0, 30), 7)(packed)
    _set("split", 40, "dev")(packed)
    with pytest.raises(CorpusError) as caught:
        prepared(packed)
    assert len(caught.value.faults) == 21
    assert caught.value.faults[-1] == "... and 11 faults more"


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_truncated_file_is_refused(
    keep: float, packed: Arrays, prepared: Prepare, save: Callable[[Arrays], Path]
) -> None:
    path = save(packed)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(CorpusError, match=r"corpus\.npz: not a whole \.npz file"):
        read_npz(path)


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_key_is_one_line(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as caught:
        read_npz(damaged_npz(tmp_path / "corpus.npz", "ids", content))
    assert all(line.startswith(f"{tmp_path / 'corpus.npz'}: ") for line in caught.value.faults)


def test_a_flipped_byte_in_a_matrix_is_refused(
    packed: Arrays, configure: Callable[..., Any], save: Callable[[Arrays], Path], tmp_path: Path
) -> None:
    from ramer.data.prepare import prepare

    packed["V"] = np.random.default_rng(0).normal(size=(120, 2000))
    np.savez(path := tmp_path / "corpus.npz", **packed)  # type: ignore[arg-type]
    data = bytearray(path.read_bytes())
    place = data.index(packed["V"][-1].tobytes())
    data[place + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorpusError, match=r"corpus\.npz: V: cannot be read to its end"):
        prepare(configure({"kind": "npz", "path": str(path)}), tmp_path / "out" / "prepared")
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("name", ["mosi", "ravdess_meld"])
def test_real_packed_corpora_are_read(name: str, configure: Callable[..., Any], tmp_path: Path) -> None:
    from ramer.data.prepare import prepare

    path = Path(__file__).resolve().parents[2] / f"../shared/corpora/{name}.npz"
    if not path.exists():
        pytest.skip(f"no corpus {name} beside the project")
    prepare(configure({"kind": "npz", "path": str(path)}), tmp_path / "prepared")
    corpus = PreparedCorpus.open(tmp_path / "prepared")
    sizes = {"mosi": (1209, 238, 752), "ravdess_meld": (824, 208, 208)}[name]
    assert tuple(len(corpus.rows_in(corpus.replicates[0], s)) for s in ("train", "val", "test")) == sizes
    assert not any(corpus.info["split_overlaps"]["fold0"].values())
