"""Cut one face out of a picture: the largest or the most central of those that a detector finds."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ramer.extraction.pictures import Image

_SAME_PLACE = 0.5  # overlap of two faces that are taken for one

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
    """What is taken of a picture.

    Attributes:
        image: a square around the face, or the whole picture.
        face: None where none was sought.
    """

    image: Image
    face: Face | None


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

    def crops(self, images: Iterable[Image], stride: int = 1) -> Iterator[Crop | None]:
        """The face of every picture of a clip, None where there is none.

        Args:
            images: in the order of time.
            stride: faces are sought on every so manieth picture. On those between, the face is taken to move evenly
                where both of these show it in about one place, and to be away where neither shows one; else they are
                searched too.
        """
        before: Face | None = None
        between: list[Image] = []
        for number, image in enumerate(images):
            if number % stride:
                between.append(image)
                continue
            face = self.find(image)
            yield from self._between(before, face, between)
            yield cut(image, face, self.margin)
            before, between = face, []
        for image in between:
            yield cut(image, self.find(image), self.margin)

    def _between(self, before: Face | None, after: Face | None, images: list[Image]) -> Iterator[Crop | None]:
        for number, image in enumerate(images, start=1):
            if before is not None and after is not None and _overlap(before, after) >= _SAME_PLACE:
                yield cut(image, _moved(before, after, number / (len(images) + 1)), self.margin)
            elif before is None and after is None:
                yield None
            else:
                yield cut(image, self.find(image), self.margin)


def cut(image: Image, face: Face | None, margin: float) -> Crop | None:
    """A face with its margin, edge pixels repeated beyond the picture; None where there is no face."""
    if face is None:
        return None
    side = max(1, round(face.side * (1.0 + 2.0 * margin)))
    left, top = round(face.x - side / 2), round(face.y - side / 2)
    height, width = image.shape[:2]
    beyond = (max(0, -top), max(0, top + side - height)), (max(0, -left), max(0, left + side - width))
    inside = image[max(0, top) : min(height, top + side), max(0, left) : min(width, left + side)]
    if not inside.size:  # its centre lies outside the picture
        return None
    return Crop(np.ascontiguousarray(np.pad(inside, (*beyond, (0, 0)), mode="edge")), face)


def whole(image: Image) -> Crop:
    """A picture that is a face already."""
    height, width = image.shape[:2]
    return Crop(image, Face(width / 2, height / 2, float(np.sqrt(height * width))))


def _moved(before: Face, after: Face, share: float) -> Face:
    def mean(a: float, b: float) -> float:
        return (1.0 - share) * a + share * b

    sure = None if before.confidence is None or after.confidence is None else mean(before.confidence, after.confidence)
    return Face(mean(before.x, after.x), mean(before.y, after.y), mean(before.side, after.side), sure)


def _overlap(one: Face, other: Face) -> float:
    """Intersection over union of two faces' squares."""
    reach = (one.side + other.side) / 2
    wide, tall = (min(one.side, other.side, reach - abs(a - b)) for a, b in ((one.x, other.x), (one.y, other.y)))
    shared = max(0.0, wide) * max(0.0, tall)
    return shared / (one.side**2 + other.side**2 - shared)


def chosen(faces: Sequence[Face], width: int, height: int, choice: Choice) -> Face:
    """The largest face, or the one whose centre is nearest to the centre of a picture; ties by position."""
    if choice == "largest":
        return max(faces, key=lambda face: (face.side, -face.x, -face.y))
    return min(faces, key=lambda face: (np.hypot(face.x - width / 2, face.y - height / 2), -face.side, face.x))
