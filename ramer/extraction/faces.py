"""Cut one face out of a picture: the largest or the most central of those that a detector finds."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ramer.extraction.pictures import Image

Choice = Literal["largest", "central"]


class Face(NamedTuple):
    """A face in a picture.

    Attributes:
        x: of its centre, in pixels from the left.
        y: of its centre, in pixels from the top.
        side: of a square as large as its box, in pixels.
        confidence: of the detector, 0 to 1; None where it gives none.
    """

    x: float
    y: float
    side: float
    confidence: float | None = None


@runtime_checkable
class FaceDetector(Protocol):
    """Finds every face of a picture, in any order."""

    def detect(self, image: Image) -> list[Face]: ...


class Crop(NamedTuple):
    """A face and the square picture of it."""

    image: Image
    face: Face


class FaceCropper:
    """Cut out one face of a picture, square, with a margin. May be called from several threads.

    Args:
        detector: finds the faces.
        margin: share of the face's side that is added on each side.
        choice: which face of several is taken.
    """

    def __init__(self, detector: FaceDetector, margin: float, choice: Choice = "largest") -> None:
        self.detector = detector
        self.margin = margin
        self.choice = choice
        self._lock = threading.Lock()  # OpenCV's detectors keep the picture they work on

    def find(self, image: Image) -> Face | None:
        """The face that is taken, None where there is none."""
        with self._lock:
            faces = self.detector.detect(image)
        return chosen(faces, image.shape[1], image.shape[0], self.choice) if faces else None

    def crop(self, image: Image) -> Crop | None:
        """The face with its margin, edge pixels repeated beyond the picture; None where there is no face."""
        face = self.find(image)
        if face is None:
            return None
        side = max(1, round(face.side * (1.0 + 2.0 * self.margin)))
        left, top = round(face.x - side / 2), round(face.y - side / 2)
        height, width = image.shape[:2]
        beyond = (max(0, -top), max(0, top + side - height)), (max(0, -left), max(0, left + side - width))
        inside = image[max(0, top) : min(height, top + side), max(0, left) : min(width, left + side)]
        if not inside.size:  # its centre lies outside the picture
            return None
        return Crop(np.ascontiguousarray(np.pad(inside, (*beyond, (0, 0)), mode="edge")), face)


def chosen(faces: Sequence[Face], width: int, height: int, choice: Choice) -> Face:
    """The largest face, or the one whose centre is nearest to the centre of a picture; ties by position."""
    if choice == "largest":
        return max(faces, key=lambda face: (face.side, -face.x, -face.y))
    return min(faces, key=lambda face: (np.hypot(face.x - width / 2, face.y - height / 2), -face.side, face.x))
