"""On how many pictures each face detector finds a face, and how long a picture takes it on one thread.

Prints the table of docs/extraction.md. The frames are those of a clip that shows one frontal face on each (five a
second), then changed; the pictures without a face come with scikit-image.

    python -m benchmarks.faces CLIP [--detector PATH_OF_A_YUNET_MODEL]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ramer.extraction.detectors import build_detector
from ramer.extraction.faces import Face
from ramer.extraction.pictures import FrameSampler, Image
from ramer.extraction.settings import CENTERFACE, HAAR

# Without anybody's face; those of 64 kB and less are drawings and microscopy of a few pixels.
FACELESS = (
    *("brick", "cell", "chelsea", "clock_motion", "coffee", "coins", "color", "grass", "gravel", "horse"),
    *("hubble_deep_field", "ihc", "moon", "motorcycle_left", "page", "retina", "rocket", "text"),
)

Change = Callable[[Image], Image]


def turned(degrees: float) -> Change:
    def change(image: Image) -> Image:
        height, width = image.shape[:2]
        return cv2.warpAffine(image, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), (width, height))

    return change


def shrunk(factor: int) -> Change:
    """The picture in the middle of a gray one of the same size."""

    def change(image: Image) -> Image:
        height, width = image.shape[0] // factor, image.shape[1] // factor
        out = np.full_like(image, 128)
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        out[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return out

    return change


def masked(face: Face) -> Change:
    """A cloth over mouth and nose of the face that the plain frames show."""
    left, right = round(face.x - face.side / 2), round(face.x + face.side / 2)
    top, bottom = round(face.y), round(face.y + face.side / 2)

    def change(image: Image) -> Image:
        out = image.copy()
        out[top:bottom, max(0, left) : right] = (200, 220, 240)
        return out

    return change


def changes(face: Face) -> dict[str, Change]:
    return {
        "plain": lambda image: image,
        "turned by 25 degrees": turned(25),
        "turned by 90 degrees": lambda image: np.ascontiguousarray(np.rot90(image)),
        "upside down": lambda image: np.ascontiguousarray(image[::-1, ::-1]),
        "masked": masked(face),
        "dark (an eighth of the light)": lambda image: image // 8,
        "blurred (8 pixels)": lambda image: cv2.GaussianBlur(image, (0, 0), 8),
        "shrunk to a third": shrunk(3),
        "shrunk to a sixth": shrunk(6),
        "shrunk to a twelfth": shrunk(12),
    }


def faceless() -> list[Image]:
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    files = [next(folder.glob(f"{name}.*")) for name in FACELESS]
    pictures = [cv2.imread(str(file)) for file in files]
    return [cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) for picture in pictures if picture is not None]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("clip", type=Path)
    arguments.add_argument("--detector", action="append", default=[], help="a YuNet model to measure beside the others")
    options = arguments.parse_args()
    cv2.setNumThreads(1)
    frames = list(FrameSampler(options.clip, 5.0))
    found = build_detector(CENTERFACE).detect(frames[0])
    sets = {name: [change(frame) for frame in frames] for name, change in changes(found[0]).items()}
    sets["scikit-image's pictures without a face"] = faceless()
    names = [CENTERFACE, HAAR, *options.detector]
    print(f"| pictures | {' | '.join(Path(name).stem for name in names)} |")
    print(f"| --- |{' ---: |' * len(names)}")
    spent = dict.fromkeys(names, 0.0)
    for title, images in sets.items():
        cells = []
        for name in names:
            detector = build_detector(name)
            detector.detect(images[0])  # networks are loaded
            start = time.process_time()
            hits = sum(bool(detector.detect(image)) for image in images)
            if title == "plain":
                spent[name] = time.process_time() - start
            cells.append(f"{hits} of {len(images)}")
        print(f"| {title} | {' | '.join(cells)} |")
    print(f"| ms a plain frame, one thread | {' | '.join(f'{1000 * s / len(frames):.0f}' for s in spent.values())} |")


if __name__ == "__main__":
    main()
