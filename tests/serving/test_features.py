"""Packed files and feature folders of clips to predict."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.data.clip_vectors import load_vector
from ramer.errors import RamerError
from ramer.serving.features import drop_modalities, read_features
from tests.support.damaged import DAMAGED, damaged_npz

AUDIO = np.arange(6, dtype=np.float64).reshape(2, 3) + 1


def packed(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def faults_of(source: Path, folders: dict[str, str | None] | None = None) -> list[str]:
    with pytest.raises(RamerError) as fault:
        read_features(source, folders or {})
    return [line.replace(str(source), "SOURCE") for line in fault.value.faults]


def test_a_packed_file_may_lack_modalities_and_rows(tmp_path: Path) -> None:
    text = np.array([[0.0, 0.0], [3.0, 4.0]])
    ids, features = read_features(packed(tmp_path / "x.npz", ids=np.array([7, 8]), A=AUDIO, L=text), {})
    assert ids == ["7", "8"]
    assert features["video"] is None
    np.testing.assert_array_equal(features["audio"], AUDIO)
    np.testing.assert_array_equal(features["text"], [[np.nan, np.nan], [3, 4]])


SIGNALLING = {
    "f2": np.full((1, 2), 0x7D00, np.uint16).view(np.float16),
    "f4": np.full((1, 2), 0x7FA00000, np.uint32).view(np.float32),
    "f8": np.full((1, 2), 0x7FF4000000000000, np.uint64).view(np.float64),
}


@pytest.mark.parametrize("audio", SIGNALLING.values(), ids=SIGNALLING)
def test_a_nan_that_signals_is_missing_without_a_warning(tmp_path: Path, audio: np.ndarray) -> None:
    """As a flipped bit makes one; the campaign met it."""
    _, features = read_features(packed(tmp_path / "x.npz", ids=np.array(["a"]), A=audio), {})
    assert features["audio"] is not None
    assert np.isnan(features["audio"]).all()
    np.save(tmp_path / "clip.npy", audio)
    assert load_vector(tmp_path / "clip.npy") is None


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"A": AUDIO}, "SOURCE: expected the key ids and at least one of A, V, L, got ['A']"),
        ({"ids": ["x", "y"]}, "SOURCE: expected the key ids and at least one of A, V, L, got ['ids']"),
        ({"ids": ["x"], "A": AUDIO}, "SOURCE: A: expected a numeric matrix of 1 rows, got float64 (2, 3)"),
        ({"ids": ["x", "y"], "A": AUDIO[0]}, "SOURCE: A: expected a numeric matrix of 2 rows, got float64 (3,)"),
        ({"ids": ["x"], "A": [["loud"]]}, "SOURCE: A: expected a numeric matrix of 1 rows, got <U4 (1, 1)"),
        ({"ids": np.array(["x", None]), "A": AUDIO}, "SOURCE: ids: row 1: empty, expected a name"),
        ({"ids": [["x"]], "A": AUDIO[:1]}, "SOURCE: ids: expected a vector of names, got shape (1, 1)"),
    ],
)
def test_a_packed_file_of_another_shape_is_refused(tmp_path: Path, arrays: dict[str, Any], line: str) -> None:
    assert faults_of(packed(tmp_path / "x.npz", **arrays)) == [line]


@pytest.mark.parametrize("content", [b"", b"not an npz", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    (line,) = faults_of(tmp_path / "x.npz")
    assert line.startswith("SOURCE: not a readable npz: ")


def test_pickles_and_single_arrays_are_refused(tmp_path: Path) -> None:
    (line,) = faults_of(packed(tmp_path / "x.npz", ids=np.array([{}], dtype=object), A=AUDIO))
    assert line.startswith("SOURCE: not a readable npz: ids: holds pickled objects")
    np.save(tmp_path / "y.npy", AUDIO)
    assert faults_of(tmp_path / "y.npy") == ["SOURCE: not a readable npz: not a zip archive of arrays"]
    assert faults_of(tmp_path / "z") == ["SOURCE: no such file or folder, expected an npz or a folder of features"]


def folder(root: Path, name: str, **vectors: Any) -> None:
    (root / name).mkdir()
    for clip, vector in vectors.items():
        np.save(root / name / f"{clip}.npy", np.asarray(vector))


def test_folders_are_joined_by_clip_and_frames_averaged(tmp_path: Path) -> None:
    folder(tmp_path, "hubert-UTT", **{"a.1": [1.0, 2.0], "b": np.zeros((0, 2))})
    folder(tmp_path, "clip-FRA", c=[[1.0, 5.0], [3.0, 7.0]])
    ids, features = read_features(tmp_path, {"audio": "hubert-UTT", "video": "clip-FRA", "text": None})
    assert ids == ["a.1", "b", "c"]
    np.testing.assert_array_equal(features["audio"], [[1, 2], [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_array_equal(features["video"], [[np.nan] * 2, [np.nan] * 2, [2, 6]])
    assert features["text"] is None


def test_clips_in_sub_folders_are_found_by_their_path(tmp_path: Path) -> None:
    folder(tmp_path, "audio", x=[1.0], y=[2.0])
    folder(tmp_path / "audio", "s1", **{"y": [3.0], "z.1": [4.0]})
    folder(tmp_path / "audio", ".ipynb_checkpoints", x=[5.0])
    folder(tmp_path, "text", **{"x": [6.0]})
    folder(tmp_path / "text", "s1", **{"y": [7.0]})
    ids, features = read_features(tmp_path, {"audio": "audio", "text": "text"})
    assert ids == ["s1/y", "s1/z.1", "x", "y"]
    np.testing.assert_array_equal(features["audio"], [[3], [4], [1], [2]])
    np.testing.assert_array_equal(features["text"], [[7], [np.nan], [6], [np.nan]])


def test_folders_of_frames_are_read_as_a_corpus_reads_them(tmp_path: Path) -> None:
    folder(tmp_path, "audio", **{"x.1": [1.0], "s1": [2.0]})
    folder(tmp_path, "video")
    folder(tmp_path / "video", "x.1", **{"0": [1.0, 3.0], "1": [3.0, 5.0], "2": [0.0, 0.0]})  # x.1 is a clip's file
    folder(tmp_path / "video", "y", frame_det_00_000001=[2.0, 2.0], frame_det_00_000002=[4.0, 6.0])
    folder(tmp_path / "video", "s2", **{"0001": [7.0, 7.0]})  # clips, as far as can be told
    ids, features = read_features(tmp_path, {"audio": "audio", "video": "video"})
    assert ids == ["s1", "s2/0001", "x.1", "y"]
    np.testing.assert_array_equal(features["video"], [[np.nan] * 2, [7, 7], [2, 4], [3, 4]])
    ids, features = read_features(tmp_path, {"audio": "audio", "video": "video"}, frames=True)
    assert ids == ["s1", "s2", "x.1", "y"]
    np.testing.assert_array_equal(features["video"], [[np.nan] * 2, [7, 7], [2, 4], [3, 4]])
    np.save(tmp_path / "video" / "y" / "frame_det_00_000003.npy", np.ones(3))
    (line,) = faults_of(tmp_path, {"video": "video"})
    assert line == "SOURCE/video/y: frame_det_00_000003.npy: expected one frame like those before it, got shape [3]"


def test_bad_folders_are_refused_line_by_line(tmp_path: Path) -> None:
    assert "name at least one feature folder" in faults_of(tmp_path)[0]
    folder(tmp_path, "audio", a=[1.0], b=[1.0, 2.0], c=[np.nan, 1.0], d=["x"])
    assert faults_of(tmp_path, {"audio": "audio", "text": "txt"}) == [
        "SOURCE/txt: no such folder, expected one .npy file per clip"
    ]
    assert faults_of(tmp_path, {"audio": "audio"}) == [
        "SOURCE/audio/c.npy: infinite or partly NaN, expected finite numbers",
        "SOURCE/audio/d.npy: expected an array of numbers",
        "SOURCE/audio/b.npy: expected 1 numbers as most files, got 2",
    ]
    folder(tmp_path, "empty")
    assert faults_of(tmp_path, {"video": "empty"}) == ["SOURCE/empty: no .npy files there, expected one per clip"]


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_every_damaged_file_is_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    folder(tmp_path, "audio", a=[1.0], c=[2.0])
    (tmp_path / "audio" / "b.npy").write_bytes(content)
    (line,) = faults_of(tmp_path, {"audio": "audio"})
    assert line.startswith("SOURCE/audio/b.npy: not a whole .npy file: ")
    (line,) = faults_of(damaged_npz(tmp_path / "x.npz", "A", content))
    assert line.startswith("SOURCE: not a readable npz: A: ")


def test_dropping_makes_missing_and_keeps_the_rows() -> None:
    features: dict[str, np.ndarray | None] = {"audio": AUDIO, "video": None, "text": AUDIO}
    kept = drop_modalities(features, "av")
    np.testing.assert_array_equal(kept["audio"], np.full_like(AUDIO, np.nan))
    assert kept["video"] is None
    np.testing.assert_array_equal(kept["text"], AUDIO)
    with pytest.raises(RamerError, match="--drop: 'x' names no modality, expected letters of a, v, t"):
        drop_modalities(features, "ax")


def test_ids_of_pandas_are_taken_and_a_key_that_looks_meant_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = packed(tmp_path / "x.npz", ids=np.array(["a", "b"], dtype=object), A=AUDIO, T=AUDIO)
    ids, features = read_features(source, {})
    assert ids == ["a", "b"]
    assert features["text"] is None
    assert f"{source}: the key T is not read: L is the key of the text's matrix" in caplog.text


def test_linked_folders_are_read_and_system_files_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "f" / "audio").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for path in ("f/audio/a.npy", "elsewhere/b.npy"):
        np.save(tmp_path / path, np.ones(3, np.float32))
    (tmp_path / "f" / "audio" / "s1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "f" / "audio" / "._a.npy").write_bytes(b"of another system")
    ids, features = read_features(tmp_path / "f", {"audio": "audio", "video": None, "text": None})
    assert ids == ["a", "s1/b"]
    assert features["audio"] is not None
    assert np.isfinite(features["audio"]).all()
    assert "1 hidden or system file passed over" in caplog.text


def test_a_file_of_an_unknown_kind_is_told_what_is_read(tmp_path: Path) -> None:
    (tmp_path / "clip.xyz").write_bytes(b"x")
    with pytest.raises(RamerError, match=r"clip.xyz: unknown kind of file, expected a clip \(mp4, .*\) or an npz"):
        read_features(tmp_path / "clip.xyz", {})


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({"a": AUDIO, "L": AUDIO}, ["the key a is not read: A is the key of the audio's matrix"]),
        (
            {"A": AUDIO, "T": AUDIO, "audio": AUDIO, "Text": AUDIO},
            [
                "the key audio is not read: A is the key of the audio's matrix",
                "the key T is not read: L is the key of the text's matrix",
                "the key Text is not read: L is the key of the text's matrix",
            ],
        ),
    ],
)
def test_every_key_that_looks_like_a_modality_and_is_not_read_is_told(
    held: dict[str, Any], told: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = packed(tmp_path / "x.npz", ids=["x", "y"], **held)
    read_features(path, {})
    assert caplog.messages == [f"{path}: {line}" for line in told]


def test_a_key_that_is_held_twice_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.npz", ids=["x", "y"], A=AUDIO)
    buffer = io.BytesIO()
    np.save(buffer, AUDIO + 1)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("A.npy", buffer.getvalue())
    assert faults_of(path) == ["SOURCE: not a readable npz: 'A.npy': held twice, expected each name once"]


def test_an_id_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "x.npz", ids=np.array(["x", "\ud800"]), A=AUDIO)
    assert faults_of(path) == ["SOURCE: row 1: ids: not valid text: '\\ud800'"]
