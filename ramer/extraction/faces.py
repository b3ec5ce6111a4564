"""The largest face of a frame, found with OpenCV's Haar cascade (its weights are part of the package)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ramer.extraction.media import Image
from ramer.files import digest_file

_CASCADE = "haarcascade_frontalface_alt2.xml"
_DETECTION_SIDE = 640  # pixels of the longer side on which faces are sought
_MIN_FACE_SHARE = 0.06  # of the longer side: smaller hits are mostly texture
_SCALE_STEP = 1.1
_MIN_NEIGHBOURS = 6


class FaceCropper:
    """Cut out the largest face of a frame, square, with a margin.

    Follows Viola and Jones, "Rapid object detection using a boosted cascade of simple features", CVPR 2001.

    Args:
        margin: share of the face's side that is added on each side.
    """

    def __init__(self, margin: float) -> None:
        self.margin = margin
        self._cascade = cv2.CascadeClassifier(str(_cascade_file()))

    def largest(self, image: Image) -> tuple[float, float, float] | None:
        """Centre x, centre y and side of the largest face in pixels, None where there is none."""
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        scale = min(1.0, _DETECTION_SIDE / max(gray.shape))
        if scale < 1.0:
            gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        smallest = max(24, round(_MIN_FACE_SHARE * max(gray.shape)))
        boxes = self._cascade.detectMultiScale(gray, _SCALE_STEP, _MIN_NEIGHBOURS, minSize=(smallest, smallest))
        if not len(boxes):
            return None
        # Ties by position: the detector's threads may report boxes in any order.
        x, y, width, height = max(np.asarray(boxes).tolist(), key=lambda box: (box[2] * box[3], -box[0], -box[1]))
        return (x + width / 2) / scale, (y + height / 2) / scale, max(width, height) / scale

    def crop(self, image: Image) -> Image | None:
        """The largest face with its margin, edge pixels repeated beyond the frame; None where there is no face."""
        face = self.largest(image)
        if face is None:
            return None
        x, y, side = face
        side = max(1, round(side * (1.0 + 2.0 * self.margin)))
        left, top = round(x - side / 2), round(y - side / 2)
        height, width = image.shape[:2]
        beyond = (max(0, -top), max(0, top + side - height)), (max(0, -left), max(0, left + side - width))
        inside = image[max(0, top) : min(height, top + side), max(0, left) : min(width, left + side)]
        return np.ascontiguousarray(np.pad(inside, (*beyond, (0, 0)), mode="edge"))


def detector_record() -> dict[str, str]:
    """What the manifest says of the detector."""
    return {"name": _CASCADE.removesuffix(".xml"), "sha256": digest_file(_cascade_file())}


def _cascade_file() -> Path:
    from cv2 import data

    return Path(data.haarcascades) / _CASCADE
