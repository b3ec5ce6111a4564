from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
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
    missing = corpus.info.naturally_missing["fold0_seed0"]["train"]
    assert missing == {"audio": 3, "video": 70, "text": 1, "all": 1}


def test_a_modality_that_is_nan_throughout_is_absent_with_a_note(packed: Arrays, prepared: Prepare) -> None:
    packed["V"][:] = np.nan
    corpus = prepared(packed)
    assert corpus.dims["video"] == 0
    assert any("video" in note and "absent" in note for note in corpus.info.notes)


def test_a_modality_that_is_the_same_in_every_training_row_has_a_note(
    packed: Arrays, prepared: Prepare, caplog: pytest.LogCaptureFixture
) -> None:
    assert not any("constant" in note for note in prepared(packed).info.notes)
    packed["V"][:] = 0.3
    corpus = prepared(packed)
    told = "video: constant: all training rows hold the same features, which tell nothing"
    assert [note for note in corpus.info.notes if "constant" in note] == [told]
    assert any(told in record.getMessage() for record in caplog.records)
    assert corpus.available[:, 1].all()
    packed["V"][0] = 0.4
    assert not any("constant" in note for note in prepared(packed).info.notes)


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
    assert "1 test rows have no label: they are pool rows" in corpus.info.notes


def test_a_split_may_be_absent_where_speakers_are_named(packed: Arrays, prepared: Prepare) -> None:
    del packed["split"]
    corpus = prepared(packed)
    replicate = corpus.replicates[0]
    held = [set(corpus.groups[corpus.rows_in(replicate, s)].tolist()) for s in ("train", "val", "test")]
    assert all(held)
    assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]
    assert any("no split" in note for note in corpus.info.notes)


def test_shared_speakers_are_counted_and_kept(packed: Arrays, prepared: Prepare) -> None:
    packed["speaker"][-1] = "s00"
    corpus = prepared(packed)
    assert corpus.info.split_overlaps["fold0"]["train-test"] == 1
    assert len(corpus.rows_in(corpus.replicates[0], "test")) == 20
    assert any("train and test share 1" in note for note in corpus.info.notes)


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


def _objects(values: list[Any]) -> np.ndarray:
    """An array of objects, as pandas hands out a column."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


FAULTS: list[tuple[str, Callable[[Arrays], None], str]] = [
    ("no ids", _drop("ids"), "ids: missing key"),
    ("no label", _drop("label"), "label: missing key"),
    ("no label_names", _drop("label_names"), "label_names: missing key"),
    ("no modality", _drop("A", "V", "L"), "no modality, expected at least one of the keys A, V, L"),
    ("no split, no speaker", _drop("split", "speaker"), "split: missing"),
    ("short matrix", _replace("A", np.ones((119, 5))), "A: expected shape [120, dim], got [119, 5]"),
    ("flat matrix", _replace("V", np.ones(120)), "V: expected shape [120, dim], got [120]"),
    ("empty matrix", _replace("L", np.ones((120, 0))), "L: expected shape [120, dim], got [120, 0]"),
    ("text as matrix", _replace("A", np.full((120, 2), "x")), "A: expected numbers, got <U1"),
    ("pickled matrix", _replace("A", np.full((120, 2), None)), "A: holds pickled objects"),
    ("lists as ids", _replace("ids", _objects([["a"]] * 120)), "ids: holds pickled objects, expected strings or"),
    ("half a character", _set("ids", 3, "\ud800"), "row 3: ids: not valid text: '\\ud800'"),
    ("half a speaker", _set("speaker", 4, "s\udfff"), "row 4: speaker: not valid text: 's\\udfff'"),
    ("half a class", _set("label_names", 1, "\udc00"), "label_names: not valid text: '\\udc00'"),
    (
        "a hole in the ids",
        _replace("ids", _objects([f"c{i}" if i != 7 else None for i in range(120)])),
        "row 7: ids: empty",
    ),
    ("short label", _replace("label", [0, 1]), "label: expected shape [120], one entry per row, got [2]"),
    ("float label", _replace("label", np.zeros(120)), "label: expected integers, got float64"),
    ("short speaker", _replace("speaker", ["a"]), "speaker: expected shape [120], one entry per row, got [1]"),
    ("short split", _replace("split", ["train"]), "split: expected shape [120], one entry per row, got [1]"),
    ("no rows", _replace("ids", np.array([], dtype="U1")), "ids: expected shape [rows], got [0]"),
    ("label too large", _set("label", 7, 3), "row 7 (id 'clip7'): label: expected -1 (none) to 2, got 3"),
    (
        "label beyond numbers",
        _replace("label", np.array([2**63, *([1] * 119)], dtype=np.uint64)),
        "row 0 (id 'clip0'): label: expected -1 (none) to 2, got 9223372036854775807",
    ),
    ("label too small", _set("label", 9, -2), "row 9 (id 'clip9'): label: expected -1 (none) to 2, got -2"),
    ("same id", _set("ids", 5, "clip2"), "row 5 (id 'clip2'): ids: same as row 2, expected unique ids"),
    ("empty id", _set("ids", 6, " "), "row 6: ids: empty"),
    (
        "unknown split",
        _set("split", 11, "dev"),
        "row 11 (id 'clip11'): split: expected train, val, test, pool, got 'dev'",
    ),
    ("an absent class", _replace("label_names", ["calm", "glad", "nan"]), "label: 'nan': an absent value, not a class"),
    ("spellings", _replace("label_names", ["Calm", "calm", "glad"]), "label: 'Calm', 'calm': one class in several"),
    ("a scale", _replace("label_names", ["-1.5", "0.0", "2.5"]), "numbers on a scale, not classes; cut them into"),
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
    from tests.support.sections import prepare

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
    from tests.support.sections import prepare

    path = Path(__file__).resolve().parents[2] / f"../shared/corpora/{name}.npz"
    if not path.exists():
        pytest.skip(f"no corpus {name} beside the project")
    prepare(configure({"kind": "npz", "path": str(path)}), tmp_path / "prepared")
    corpus = PreparedCorpus.open(tmp_path / "prepared")
    sizes = {"mosi": (1209, 238, 752), "ravdess_meld": (824, 208, 208)}[name]
    assert tuple(len(corpus.rows_in(corpus.replicates[0], s)) for s in ("train", "val", "test")) == sizes
    assert not any(corpus.info.split_overlaps["fold0"].values())


def test_columns_of_pandas_are_taken(packed: Arrays, prepared: Prepare) -> None:
    plain = prepared(packed)
    expected = plain.ids.tolist(), plain.speakers.tolist(), plain.labels(plain.replicates[0]).tolist()
    for key in ("ids", "speaker", "split", "label_names"):
        packed[key] = pd.Series(packed[key]).to_numpy(dtype=object)
    again = prepared(packed)
    assert (again.ids.tolist(), again.speakers.tolist(), again.labels(again.replicates[0]).tolist()) == expected
    packed["ids"] = np.array([str(i).encode() for i in packed["ids"]])  # h5py's strings
    assert prepared(packed).ids.tolist() == expected[0]


@pytest.mark.parametrize("as_objects", [False, True])
def test_labels_may_be_names(as_objects: bool, packed: Arrays, prepared: Prepare) -> None:
    numbers = prepared(packed).labels(prepared(packed).replicates[0]).tolist()
    names = packed["label_names"][packed["label"]]
    packed["label"] = names.astype(object) if as_objects else names
    corpus = prepared(packed)
    assert corpus.label_names == ("calm", "glad", "cross")  # the file's own order
    assert corpus.labels(corpus.replicates[0]).tolist() == numbers
    del packed["label_names"]
    packed["label"] = np.where(np.arange(120) == 119, "", packed["label"])
    corpus = prepared(packed)
    assert corpus.label_names == ("calm", "cross", "glad")
    assert corpus.labels(corpus.replicates[0])[119] == -1
    assert [corpus.label_names[n] for n in corpus.labels(corpus.replicates[0])[:70]] == names[:70].tolist()


def test_numbers_of_pandas_with_holes_are_labels(packed: Arrays, prepared: Prepare) -> None:
    packed["label"] = _objects([None if i == 119 else int(n) for i, n in enumerate(packed["label"])])
    corpus = prepared(packed)
    assert corpus.labels(corpus.replicates[0])[119] == -1
    packed["label"] = _objects([0.5] * 120)
    with pytest.raises(CorpusError, match="label: expected class numbers or names, got numbers with a fraction"):
        prepared(packed)


def test_a_name_that_label_names_lacks_is_refused(packed: Arrays, prepared: Prepare) -> None:
    packed["label"] = packed["label_names"][packed["label"]].astype("U9")
    packed["label"][5] = "furious"
    with pytest.raises(CorpusError, match="row 5: label: 'furious' is not in label_names: calm, glad, cross"):
        prepared(packed)
    packed["label"] = np.arange(120) % 3
    del packed["label_names"]
    with pytest.raises(CorpusError, match="label_names: missing key, expected the name of each class"):
        prepared(packed)


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("L", "T"),
        ("L", "text"),
        ("A", "audio"),
        ("V", "v"),
        ("V", "vision"),
        ("speaker", "speakers"),
        ("split", "Split"),
    ],
)
def test_a_key_that_looks_meant_is_named(key: str, written: str, packed: Arrays, prepared: Prepare) -> None:
    packed[written] = packed.pop(key)
    notes = prepared(packed).info.notes
    assert any(note.startswith(f"the key {written} is not read: {key} is the key of ") for note in notes), notes


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (("nan", "b"), "speaker: 'nan': taken as a speaker's name; leave it empty where none is known"),
        (("anna", "anna "), "speaker: 'anna', 'anna ': taken as 2 speakers; write one in one way"),
        (("7", "07"), "speaker: '07', '7': taken as 2 speakers; write one in one way"),
    ],
)
def test_a_speakers_name_that_is_none_or_another_is_said(
    names: tuple[str, str], note: str, packed: Arrays, prepared: Prepare
) -> None:
    packed["speaker"] = packed["speaker"].astype("U9")
    packed["speaker"][:20:2], packed["speaker"][1:20:2] = names
    assert note in prepared(packed).info.notes


def test_a_key_beside_the_one_that_is_read_is_not_named(packed: Arrays, prepared: Prepare) -> None:
    packed |= {"text": np.array(["what a day"] * 120), "audio": packed["A"], "labels": packed["label"]}
    assert prepared(packed).info.notes == ()


def test_missing_keys_name_what_looks_meant(packed: Arrays, save: Callable[[Arrays], Path]) -> None:
    packed["labels"], packed["names"] = packed.pop("label"), packed.pop("ids")
    with pytest.raises(CorpusError) as caught:
        read_npz(save(packed))
    told = "\n".join(caught.value.faults)
    assert "ids: missing key, expected it; the file holds names, not read" in told
    assert "label: missing key, expected it; the file holds labels, not read" in told


def test_other_names_for_every_matrix_are_named(packed: Arrays, prepared: Prepare) -> None:
    for key, written in zip("AVL", ("audio", "video", "text"), strict=True):
        packed[written] = packed.pop(key)
    with pytest.raises(CorpusError) as caught:
        prepared(packed)
    (line,) = caught.value.faults
    assert "expected at least one of the keys A, V, L; the file holds audio, video, text, not read" in line
