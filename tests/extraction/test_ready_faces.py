"""Faces that were cut out before: which clip they belong to, what is read of them, and what is said where not."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ramer.errors import ConfigError, CorpusError
from ramer.extraction.corpus_features import extract_corpus
from ramer.extraction.extractor import Extractor
from ramer.extraction.image_encoders import HogLbpEncoder
from ramer.extraction.ready_faces import find_ready_faces
from ramer.extraction.settings import ExtractionSettings, VideoSettings
from tests.support.commands import call

MakeWav = Callable[..., Path]
MakeTone = Callable[..., np.ndarray]
READY = ExtractionSettings(audio=None, text=None, video=VideoSettings(crop="ready"))


def crops(count: int, seed: int = 0, side: int = 40) -> np.ndarray:
    """Pictures of noise in BGR, uint8 [count, side, side, 3]."""
    return np.random.default_rng(seed).integers(1, 255, (count, side, side, 3), dtype=np.uint8)


def expected(frames: np.ndarray) -> np.ndarray:
    """The mean over frames that are not black, each turned to RGB and encoded."""
    made = HogLbpEncoder().encode_images([np.ascontiguousarray(f[..., ::-1]) for f in frames if f.any()])
    mean: np.ndarray = made.mean(axis=0)
    return mean


def write_pictures(folder: Path, frames: np.ndarray, pattern: str = "frame_det_00_{:06}.bmp", start: int = 1) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(frames, start):
        assert cv2.imwrite(str(folder / pattern.format(number)), image)


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


@pytest.fixture
def media(tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone) -> Path:
    for name in ("a", "b", "c.1", "s1/d", "e"):
        make_wav(tmp_path / "media" / f"{name}.wav", make_tone(0.2))
    return tmp_path / "media"


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Crops of every form, none for ``e``."""
    folder = tmp_path / "faces"
    save(folder / "a" / "a.npy", crops(7))
    write_pictures(folder / "b_aligned", crops(3, 1))
    write_pictures(folder / "c.1", crops(2, 2), "{}.png", 9)  # 9 and 10: in the order of numbers
    save(folder / "s1" / "d.npy", np.asfortranarray(crops(2, 3)))
    (folder / "b.csv").write_text("success\n1\n", "utf-8")
    return folder


def run(media: Path, faces: Path | None, out: Path, settings: ExtractionSettings = READY) -> dict[str, Any]:
    extract_corpus(Extractor(settings, device="cpu"), media, out, faces=faces)
    manifest: dict[str, Any] = json.loads((out / "features" / "manifest.json").read_text("utf-8"))
    return manifest


def test_every_form_is_read_and_the_manifest_says_it(
    media: Path, faces: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = run(media, faces, tmp_path / "out")
    features = tmp_path / "out" / "features" / "face_hog_lbp-UTT"
    for name, frames in {"a": crops(7), "b": crops(3, 1), "c.1": crops(2, 2), "s1/d": crops(2, 3)}.items():
        np.testing.assert_allclose(np.load(features / f"{name}.npy"), expected(frames), atol=1e-6)
    clips = {name: entry["video"] for name, entry in manifest["clips"].items()}
    assert manifest["settings"]["video"]["crop"] == "ready"
    assert "face_detector" not in manifest["modalities"]["video"]["extractor"]
    assert clips["a"]["source"] == "a/a.npy"
    assert clips["b"]["source"] == "b_aligned"
    assert clips["a"]["faces"] == {"frames": 7, "share": 1.0, "side": 40.0, "confidence": None}
    assert clips["e"] == {"status": "missing", "source": None, "sha256": None, "reason": "no ready crops of a face"}
    assert f"{faces}: 1 of 5 clips name none of the faces, such as 'e'" in caplog.text


def test_a_rerun_does_what_has_changed(media: Path, faces: Path, tmp_path: Path) -> None:
    run(media, faces, tmp_path / "out")
    write_pictures(faces / "b_aligned", crops(1, 9), start=4)
    extractor = Extractor(READY, device="cpu")
    assert extract_corpus(extractor, media, tmp_path / "out", faces=faces).done == 1
    made = np.load(tmp_path / "out" / "features" / "face_hog_lbp-UTT" / "b.npy")
    np.testing.assert_allclose(made, expected(np.concatenate([crops(3, 1), crops(1, 9)])), atol=1e-6)


def test_black_crops_show_no_face(media: Path, faces: Path, tmp_path: Path) -> None:
    """OpenFace writes them where it has lost the face."""
    frames = crops(4)
    frames[1:3] = 0
    save(faces / "a" / "a.npy", frames)
    save(faces / "e" / "e.npy", np.zeros((5, 8, 8, 3), np.uint8))
    clips = run(media, faces, tmp_path / "out")["clips"]
    made = np.load(tmp_path / "out" / "features" / "face_hog_lbp-UTT" / "a.npy")
    np.testing.assert_allclose(made, expected(frames), atol=1e-6)
    assert clips["a"]["video"]["notes"] == ["a face in 2 of 4 frames"]
    assert clips["e"]["video"]["reason"] == "no face in 5 frames"


def test_one_face_of_several_is_taken(media: Path, faces: Path, tmp_path: Path) -> None:
    write_pictures(faces / "b_aligned", crops(1, 8), "frame_det_01_{:06}.bmp")
    clips = run(media, faces, tmp_path / "out")["clips"]
    made = np.load(tmp_path / "out" / "features" / "face_hog_lbp-UTT" / "b.npy")
    np.testing.assert_allclose(made, expected(crops(3, 1)), atol=1e-6)
    assert clips["b"]["video"]["notes"] == ["crops of 2 faces; those of face 00, which most show"]


def _pickled(path: Path) -> None:
    np.save(path, np.array([{}], dtype=object))


def _cut_off(path: Path) -> None:
    path.write_bytes(save(path, crops(4)).read_bytes()[:-100])


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (_pickled, "e.npy: holds pickled objects, expected plain numbers or strings"),
        (_cut_off, "e.npy: ends after 19,100 of 19,200 bytes"),
        (lambda path: path.write_bytes(b"no array"), "e.npy: the magic string is not correct"),
        (lambda path: save(path, np.zeros((0, 8, 8, 3), np.uint8)), "holds no crops"),
        (lambda path: save(path, np.ones((2, 8, 8, 3))), "e.npy: expected frames as uint8 [T, H, W, 3], got float64"),
        (lambda path: save(path, np.ones((2, 8, 8), np.uint8)), "e.npy: expected frames as uint8 [T, H, W, 3], got"),
        (lambda path: save(path, np.ones((2, 8, 0, 3), np.uint8)), "e.npy: its entries hold nothing"),
        (lambda path: save(path, np.array(1, np.uint8)), "e.npy: holds one number, expected an array"),
    ],
)
def test_what_is_no_file_of_frames_is_one_line(
    write: Callable[[Path], object], reason: str, media: Path, faces: Path, tmp_path: Path
) -> None:
    (faces / "e").mkdir()
    write(faces / "e" / "e.npy")
    entry = run(media, faces, tmp_path / "out")["clips"]["e"]["video"]
    assert entry["reason"].startswith(reason)
    assert "\n" not in entry["reason"]
    assert not (tmp_path / "out" / "features" / "face_hog_lbp-UTT" / "e.npy").exists()


def test_a_picture_that_cannot_be_read_is_named(media: Path, faces: Path, tmp_path: Path) -> None:
    (faces / "b_aligned" / "frame_det_00_000002.bmp").write_bytes(b"BM no picture")
    entry = run(media, faces, tmp_path / "out")["clips"]["b"]["video"]
    assert entry["status"] == "failed"
    assert entry["reason"].startswith("frame_det_00_000002.bmp: ")


def test_names_of_other_clips_are_refused(media: Path, tmp_path: Path) -> None:
    for name in ("A", "B", "x", "y"):
        save(tmp_path / "faces" / name / f"{name}.npy", crops(1))
    with pytest.raises(CorpusError, match=r"faces: 5 of 5 clips name none of the faces.*likely cause: upper and lower"):
        run(media, tmp_path / "faces", tmp_path / "out")
    (tmp_path / "none").mkdir()
    with pytest.raises(CorpusError, match=r"none: no faces found, expected CLIP/CLIP.npy"):
        run(media, tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_the_name_of_its_clip(tmp_path: Path) -> None:
    save(tmp_path / "s1" / "s1.npy", crops(1))
    save(tmp_path / "s2" / "s2.npy", crops(1))
    write_pictures(tmp_path / "x" / "x_aligned", crops(1))
    found = find_ready_faces(tmp_path, ["s1/s1", "s2", "x"])
    assert sorted(found.paths) == ["s1/s1", "s2", "x"]


def test_the_command_and_a_new_clip(
    media: Path, faces: Path, speech_clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    options = ("--audio", "none", "--text", "none")
    code, out, _ = call("extract", media, tmp_path / "out", "--faces", faces, *options)
    assert code == 0
    assert "video: 4 extracted, 1 missing, 0 failed; 1060 values" in out.splitlines()
    assert f"{faces}: 1 file of other kinds passed over: 1 .csv" in out.splitlines()
    code, _, err = call("extract", media, tmp_path / "two", "--like", tmp_path / "out")
    assert (code, err.splitlines()[-1]) == (
        2,
        "error: extract: the manifest's pictures are ready crops of faces, expected their folder as --faces",
    )
    code, _, err = call("extract", media, tmp_path / "two", "--faces", faces, "--whole-frame", *options)
    assert (code, err.splitlines()[-1]) == (2, "error: extract: --whole-frame and --faces exclude one another")
    assert call("extract", media, tmp_path / "two", "--faces", faces, "--like", tmp_path / "out")[0] == 0
    made = Extractor.from_manifest(tmp_path / "out", device="cpu").extract_clip(speech_clip)
    assert made.reasons == {"video": "no ready crops of a face, which the corpus' pictures are made from"}
    with pytest.raises(ConfigError, match=r"faces: a folder of ready crops is given where"):
        extract_corpus(Extractor.preset("light", device="cpu"), media, tmp_path / "three", faces=faces)


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """A file of 600 MB is read a frame at a time."""
    path = tmp_path / "long.npy"
    long = np.lib.format.open_memmap(path, "w+", np.uint8, (800, 500, 500, 3))
    long[:, 0, 0] = 1
    long.flush()
    os.sync()
    code = """
        import resource, sys
        from pathlib import Path
        from ramer.extraction.ready_faces import ReadyFaceFrames
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert sum(image is not None for image in ReadyFaceFrames(Path(sys.argv[1]))) == 800
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50_000  # KiB
