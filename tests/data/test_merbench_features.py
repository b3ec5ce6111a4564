"""What the benchmark's own reader accepts is read the same, and names that do not pair are said."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.data.clip_vectors import load_vector
from ramer.data.merbench_features import FolderSource
from ramer.errors import CorpusError

D, T = 5, 7
SHAPES = [(D,), (1, D), (D, 1), (T, D), (1, T, D), (T, 1, D), (1, 1, D), (1, 1, T, D)]
DTYPES = ["<f2", "<f4", "<f8", ">f2", ">f4", ">f8", "<i2", "|u1"]


def _benchmark(path: Path) -> np.ndarray:
    """The rules of ``func_read_one_feat`` and ``align_to_utt`` of the benchmark's toolkit, in their own order."""
    if path.with_suffix(".npy").is_file():
        features = [np.load(path.with_suffix(".npy")).squeeze()]
    else:
        features = [np.load(path / name) for name in sorted(os.listdir(path))]
    sequence = np.array(features).squeeze()
    if sequence.ndim == 1:
        sequence = sequence[np.newaxis, :]
    return np.mean(sequence.astype(np.float64), axis=0)


def _values(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return (np.random.default_rng(0).normal(size=shape) * 20 + 100).astype(dtype)


@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_file_is_read_as_the_benchmark_reads_it(
    shape: tuple[int, ...], dtype: str, fortran: bool, tmp_path: Path
) -> None:
    values = _values(shape, dtype)
    np.save(tmp_path / "x.npy", np.asfortranarray(values) if fortran else values)
    vector = load_vector(tmp_path / "x.npy")
    assert vector is not None
    assert vector.dtype == np.dtype("=f4")
    np.testing.assert_allclose(vector, _benchmark(tmp_path / "x"), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(D,), (1, D), (D, 1)], ids=str)
def test_a_folder_of_frames_is_read_as_the_benchmark_reads_it(
    shape: tuple[int, ...], dtype: str, tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    for frame, values in enumerate(_values((T, *shape), dtype)):
        np.save(tmp_path / "x" / f"{frame:03}.npy", values)
    expected = _benchmark(tmp_path / "x")
    for hidden in (".DS_Store", "._000.npy", "Thumbs.db"):
        (tmp_path / "x" / hidden).write_bytes(b"not a frame")
    vector = load_vector(tmp_path / "x")
    assert vector is not None
    np.testing.assert_allclose(vector, expected, rtol=1e-6)


def test_frames_of_zeros_at_the_ends_are_no_part_of_the_mean(tmp_path: Path) -> None:
    frames = np.array([[2.0, -2.0], [0.0, 0.0], [4.0, -4.0]])  # the one between others is a frame
    for name, before, after in (("front", 17, 0), ("back", 0, 17), ("both", 5, 5), ("none", 0, 0)):
        np.save(tmp_path / f"{name}.npy", np.pad(frames, ((before, after), (0, 0)))[None])
        np.testing.assert_array_equal(load_vector(tmp_path / f"{name}.npy"), [2.0, -2.0])
    (tmp_path / "folder").mkdir()
    for number, frame in enumerate(np.pad(frames, ((2, 9), (0, 0)))):
        np.save(tmp_path / "folder" / f"{number:02}.npy", frame)
    np.testing.assert_array_equal(load_vector(tmp_path / "folder"), [2.0, -2.0])
    np.save(tmp_path / "silent.npy", np.zeros((20, 2)))
    np.testing.assert_array_equal(load_vector(tmp_path / "silent.npy"), [0.0, 0.0])  # which means missing


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (
            {"0.npy": np.ones(3), "1.npy": np.ones(4)},
            r"1\.npy: expected one frame like those before it, got shape \[4\]",
        ),
        ({"0.npy": np.ones((2, 3))}, r"0\.npy: expected one frame like those before it, got shape \[2, 3\]"),
        ({"0.npy": np.ones(3), "1.csv": b"1,2,3"}, r"holds '1\.csv', expected one \.npy file per frame"),
        ({"0.npy": b"\x93NUMPY broken"}, r"0\.npy: not a whole \.npy file"),
    ],
)
def test_a_frame_that_does_not_fit_is_named(files: dict[str, Any], line: str, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for name, content in files.items():
        if isinstance(content, bytes):
            (tmp_path / "x" / name).write_bytes(content)
        else:
            np.save(tmp_path / "x" / name, content)
    with pytest.raises(ValueError, match=line):
        load_vector(tmp_path / "x")


def _folder(root: Path, names: list[str]) -> Path:
    folder = root / "features"
    for number, name in enumerate(names):
        path = folder / f"{name}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full(2, number + 1.0))
    return folder


def _source(folder: Path, ids: list[str]) -> FolderSource:
    return FolderSource(folder, np.array(ids, dtype=object), folder.parent / "cache")


def test_folders_of_frames_stand_beside_files(tmp_path: Path) -> None:
    folder = _folder(tmp_path, ["a", "s1/b/0", "s1/b/1", "s1/c"])
    source = _source(folder, ["a", "s1/b", "s1/c", "d"])
    (block,) = source.blocks()
    np.testing.assert_array_equal(block, [[1, 1], [2.5, 2.5], [4, 4], [np.nan, np.nan]])
    np.save(folder / "s1" / "b" / "2.npy", np.full(2, 10.0))  # what was read is read again where a frame is new
    (block,) = source.blocks()
    np.testing.assert_array_equal(block[1], [5, 5])
    assert source.notes == (f"{folder}: 1 of 4 clips name none of the feature files, such as 'd'",)


def test_the_one_vector_of_another_length_is_named(tmp_path: Path) -> None:
    folder = _folder(tmp_path, ["a", "b", "c", "d"])
    np.save(folder / "a.npy", np.ones(3))
    source = _source(folder, ["a", "b", "c", "d"])
    with pytest.raises(CorpusError) as error:
        list(source.blocks())
    assert error.value.faults == [f"{folder}/a.npy: expected a vector of 2 numbers as most of the first files, got 3"]


def test_names_that_do_not_pair_are_refused_with_the_cause(tmp_path: Path) -> None:
    folder = _folder(tmp_path, ["0000", *(f"{n:04}" for n in range(101, 130))])
    with pytest.raises(CorpusError) as caught:
        _source(folder, ["0000", *(f"X{n}" for n in range(29))])  # one of thirty fits
    (line,) = caught.value.faults
    assert "29 of 30 clips name none of the feature files, such as 'X0', 'X1', 'X10'" in line
    assert "29 of 30 feature files have none of the clips, such as '0101'" in line
    with pytest.raises(CorpusError, match="likely cause: leading zeros"):
        _source(folder, [str(n) for n in range(101, 130)])


def test_features_of_a_part_are_read_and_said(tmp_path: Path) -> None:
    source = _source(_folder(tmp_path, ["a", "b", "later"]), ["a", "b", "c"])
    (note,) = source.notes
    assert "1 of 3 clips name none of the feature files, such as 'c'" in note
    assert "1 of 3 feature files have none of the clips, such as 'later'" in note
    assert _source(_folder(tmp_path, ["a", "b", "later"]), ["a", "b", "later"]).notes == ()


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    folder = _folder(tmp_path, ["a", "s1/b", "s2/c"])
    for place in ("s1", "s2"):
        (folder / place / "up").symlink_to(folder)
        (folder / place / "across").symlink_to(folder / "s1")
    source = _source(folder, ["a", "s1/b", "s2/c", "s2/across/b"])
    (block,) = source.blocks()
    np.testing.assert_array_equal(block[:, 0], [1, 2, 3, 2])
