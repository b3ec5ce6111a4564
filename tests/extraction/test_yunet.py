"""A YuNet model is taken by its path; the tests' own network takes every red square for a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ramer.extraction.detectors import build_detector
from ramer.extraction.extractor import Extractor
from ramer.extraction.settings import ExtractionSettings, VideoSettings
from tests.support.commands import call
from tests.support.media_files import write_media
from tests.support.onnx_file import FACE_SIDE, write_yunet


def scene(height: int, width: int, *squares: tuple[int, int]) -> np.ndarray:
    """Red squares of 128 pixels at left and top, and a blue one in the corner."""
    image = np.full((height, width, 3), 60, dtype=np.uint8)
    for left, top in squares:
        image[top : top + 128, left : left + 128] = (255, 0, 0)
    image[-128:, -128:] = (0, 0, 255)
    return image


@pytest.mark.parametrize("shape", [(360, 640), (640, 360), (640, 640), (300, 640)])
def test_faces_are_found_where_they_are(shape: tuple[int, int], tmp_path: Path) -> None:
    detector = build_detector(str(write_yunet(tmp_path / "red.onnx")))
    for _ in range(2):
        for height, width in (shape, (480, 640)):
            faces = detector.detect(scene(height, width, (64, 128)))
            assert len(faces) >= 1
            best = max(faces, key=lambda face: face.confidence or 0)
            assert best.side == pytest.approx(2 * FACE_SIDE, rel=0.01)
            assert best[:2] == pytest.approx((128, 192), abs=40)
    assert detector.detect(scene(*shape)) == []


def test_the_command_takes_its_path_and_the_manifest_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_media(tmp_path / "clips" / "a.mp4", [scene(360, 640, (64, 128))] * 10)
    write_yunet(tmp_path / "red.onnx")
    monkeypatch.chdir(tmp_path)
    options = ("--audio", "none", "--text", "none", "--detector", "red.onnx", "--face", "central")
    code, _, err = call("extract", "clips", "out", *options)
    assert code == 0, err
    monkeypatch.chdir("/")
    followed = Extractor.from_manifest(tmp_path / "out", device="cpu")
    assert followed.settings.video == VideoSettings(detector=str(tmp_path / "red.onnx"), face="central")
    assert followed.records["video"]["face_detector"]["name"] == "red"
    made = followed.extract_clip(tmp_path / "clips" / "a.mp4")
    np.testing.assert_array_equal(made.vectors["video"], np.load(tmp_path / "out/features/face_hog_lbp-UTT/a.npy"))
    other = Extractor(ExtractionSettings(audio=None, text=None), device="cpu")
    assert other.extract_clip(tmp_path / "clips" / "a.mp4").reasons == {"video": "no face in 5 frames"}
