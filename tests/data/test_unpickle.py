from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.data.pickled_objects import read_objects
from ramer.errors import CorpusError
from tests.support.damaged import DAMAGED, damaged_npz

LABELS = {
    "a": {"emo": "happy", "val": -10},
    "b": {"emo": np.str_("sad"), "val": np.float64(-0.8)},
    "c": {"emo": np.int64(3), "val": np.float32(0.5)},
    "d": {"emo": np.array(2), "val": np.array(-1.5)},
    "e": {"emo": 1, "val": None, "note": [True, (1, 2)]},
}


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data_comes_back_at_every_protocol(protocol: int, save_labels: Callable[..., Path]) -> None:
    read: Any = read_objects(save_labels({"train_corpus": LABELS}, protocol), lambda _: True)["train_corpus"]
    assert read["a"] == {"emo": "happy", "val": -10}
    assert read["b"] == {"emo": "sad", "val": -0.8}
    assert read["c"] == {"emo": 3, "val": 0.5}
    assert read["d"] == {"emo": 2, "val": -1.5}
    assert read["e"]["emo"] == 1


def test_both_module_paths_of_numpy_are_read(save_labels: Callable[..., Path]) -> None:
    new = pickle.dumps(np.array({"a": {"val": np.float64(2.0)}}, dtype=object), 2)
    old = new.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != new
    read = read_objects(save_labels({"new": new, "old": old}), lambda _: True)
    assert read["new"] == read["old"] == {"a": {"val": 2.0}}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", ["key", "top", "entry"])
def test_a_payload_is_refused_and_does_not_run(
    protocol: int, place: str, tmp_path: Path, save_labels: Callable[..., Path]
) -> None:
    trace = tmp_path / "it-ran"
    payload = Payload(os.mkdir, str(trace))
    value: Any = {"key": {"a": payload}, "top": payload, "entry": {"a": {"emo": payload}}}[place]
    path = save_labels({"train_corpus": pickle.dumps(np.array(value, dtype=object), protocol)})
    with pytest.raises(CorpusError) as caught:
        read_objects(path, lambda _: True)
    assert not trace.exists()
    assert len(caught.value.faults) == 1
    assert str(path) in str(caught.value)
    assert "train_corpus" in str(caught.value)
    if protocol >= 2:
        assert "mkdir" in str(caught.value)


def test_nothing_of_a_file_with_a_payload_is_built(tmp_path: Path, save_labels: Callable[..., Path]) -> None:
    """The refusal comes from reading the instructions: even what precedes the payload is not executed."""
    data = pickle.dumps([Payload(os.mkdir, str(tmp_path / "one")), OrderedDict(a=1)], 4)
    with pytest.raises(CorpusError, match="mkdir"):
        read_objects(save_labels({"train_corpus": data}), lambda _: True)
    assert not (tmp_path / "one").exists()


def _global(module: bytes, name: bytes) -> bytes:
    return b"\x80\x02c" + module + b"\n" + name + b"\n."


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (_global(b"builtins", b"eval"), "builtins.eval"),
        (_global(b"numpy", b"load"), "numpy.load"),
        (_global(b"numpy.core.multiarray", b"fromfile"), "numpy.core.multiarray.fromfile"),
        (_global(b"numpy", b"ndarray.tofile"), "numpy.ndarray.tofile"),
        (_global(b"ramer.data.unpickle", b"os"), "ramer.data.unpickle.os"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system"),
        # the name is memoised, overwritten and fetched again
        (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940h\x00h\x01\x93.", "POP"),
        (b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93.", "os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x86\x93.", "computed"),
        (b"\x80\x02(cos\nsystem\n.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "STRING"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02K\x01Q.", "BINPERSID"),
    ],
)
def test_other_ways_to_a_global_are_refused(data: bytes, expected: str, save_labels: Callable[..., Path]) -> None:
    with pytest.raises(CorpusError, match="refused") as caught:
        read_objects(save_labels({"train_corpus": data}), lambda _: True)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        pickle.dumps({"a": 1})[:-1],
        b"\x80\x02cnumpy\nndarray\n(K\x05tR.",  # the listed type is not a constructor here
        pickle.dumps(np.array({"a": 1}, dtype=object), 2)[:40],
    ],
)
def test_a_damaged_pickle_is_one_line(data: bytes, save_labels: Callable[..., Path]) -> None:
    with pytest.raises(CorpusError) as caught:
        read_objects(save_labels({"train_corpus": data}), lambda _: True)
    (line,) = caught.value.faults
    assert "train_corpus" in line
    assert "\n" not in line


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_member_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = damaged_npz(tmp_path / "labels.npz", "train_corpus", content)
    with pytest.raises(CorpusError, match=r"labels\.npz: train_corpus: (not an array|expected one pickled dict)"):
        read_objects(path, lambda _: True)


def test_a_members_name_stays_on_one_line(tmp_path: Path) -> None:
    path = damaged_npz(tmp_path / "labels.npz", "train\n_corpus", b"")
    with pytest.raises(CorpusError) as caught:
        read_objects(path, lambda _: True)
    assert caught.value.faults[0].startswith(f"{path}: 'train\\n_corpus': not an array")


def test_a_file_that_is_no_npz_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "label.npz"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(CorpusError, match=r"label\.npz: not a whole \.npz file"):
        read_objects(path, lambda _: True)
    with pytest.raises(CorpusError, match="no such file"):
        read_objects(tmp_path / "absent.npz", lambda _: True)


# sha256 of each file, and of what it holds as sorted JSON. The second was taken where this reader and numpy's unpickler
# returned equal objects for the first; numpy's runs what a pickle says, so it has no place in a test.
GENUINE = {
    "cmumosi_label.npz": (
        "09baab4d3004872de622d1b3879ef084d0f8e0bf1ef8d8807e954ae541a42d99",
        "f5c6ec4de06de180dbc09b0da7559f42490a32a7d4722ce5d4508f527a324036",
    ),
    "iemocap_label_4way.npz": (
        "0271d837a406f62cd9839bc823391ada6232975e9c3202ba9e078233bc06d86d",
        "ddcbe0f44a84b6359174a7a004bb17aec329178f521eab9816f2fef9771c1564",
    ),
    "meld_label.npz": (
        "f7c752e2fbeed33015ca8a34b4f3a70b0f7430356593a049c930c555b3ba5765",
        "61ae68714a33f5c386cb19bb076cb8a1482de001057929d5166eb21e7aa30f26",
    ),
}


def test_genuine_label_files_are_read_as_numpy_reads_them() -> None:
    folder = Path(__file__).resolve().parents[2] / "../shared/merbench-labels"
    if not folder.is_dir():
        pytest.skip("no genuine label files beside the project")
    assert {path.name for path in folder.glob("*.npz")} == set(GENUINE)
    for name, (file, held) in GENUINE.items():
        assert sha256((folder / name).read_bytes()) == file, f"{name}: not the file whose content is known"
        read = read_objects(folder / name, lambda _: True)
        assert sha256(json.dumps(read, sort_keys=True, ensure_ascii=False).encode()) == held, name


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
