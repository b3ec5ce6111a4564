"""Faces that were cut out before: a file of frames a clip, as MER2025 and MER2026 ship, or OpenFace's pictures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from ramer.data.folders import FolderWalk
from ramer.data.names import is_of_the_system
from ramer.data.npy import UNREADABLE, damage, entries
from ramer.errors import CorpusError
from ramer.extraction.media_files import told_kinds
from ramer.extraction.outcomes import Missing
from ramer.extraction.pictures import MOST_PIXELS, FrameSampler, Image
from ramer.files import digest_file, digest_strings

PICTURE_SUFFIXES = (".bmp", ".jpg", ".jpeg", ".png")
EXPECTED = "CLIP/CLIP.npy (frames as uint8 [T, H, W, 3] in the order BGR), or pictures in CLIP or CLIP_aligned"
_ALIGNED = "_aligned"  # OpenFace's ending of the folder that it writes pictures to
_TRACKED = re.compile(r"_det_(\d+)_")  # in the name of such a picture: which of several faces it shows


@dataclass
class ReadyFaces:
    """What a folder of ready crops holds.

    Attributes:
        paths: clip to its file of frames or its folder of pictures.
        passed_over: one line per kind of thing that is not looked at, with a count, or that cannot be read.
    """

    paths: dict[str, Path] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)


def find_ready_faces(folder: Path, clips: Collection[str]) -> ReadyFaces:
    """Ready crops below a folder, by clip. A file of frames goes before pictures.

    Args:
        clips: names that are known: a file ``s1/s1.npy`` is one clip's of that name where there is one, else ``s1``'s.

    Raises:
        CorpusError: no such folder.
    """
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder, expected one with faces: {EXPECTED}")
    known = set(clips)
    frames: dict[str, Path] = {}
    pictures: dict[str, Path] = {}
    others: Counter[str] = Counter()
    walk = FolderWalk(folder)
    for name in walk:
        path = PurePosixPath(name)
        above = path.parent.as_posix()
        suffix = path.suffix.lower()
        if suffix == ".npy":
            frames.setdefault(_clip_of(name[: -len(suffix)], known), folder / name)
        elif suffix in PICTURE_SUFFIXES and above != ".":
            pictures.setdefault(_clip_of(above, known), folder / above)
        else:
            others[suffix or "without an ending"] += 1
    told = [*walk.faults, *walk.told, *told_kinds(others)]
    return ReadyFaces(pictures | frames, [f"{folder}: {line}" for line in told])


def _clip_of(name: str, known: set[str]) -> str:
    """The clip that a file of frames or a folder of pictures belongs to."""
    short = name if name in known else name.removesuffix(_ALIGNED)
    above, _, last = short.rpartition("/")
    return above if short not in known and above.rpartition("/")[2] == last else short


def digest_faces(path: Path) -> str:
    """Digest of a clip's file of frames, or of its pictures and their names; raises ``OSError``."""
    if not path.is_dir():
        return digest_file(path)
    return digest_strings(part for file in _pictures_of(path) for part in (file.name, digest_file(file)))


class ReadyFaceFrames:
    """One clip's ready crops, one picture at a time; None stands for one that is black, where no face was found.

    Iterating raises ``Missing`` where there is none, or (failed) where it cannot be read.

    Attributes:
        notes: complete once the iteration has ended.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Image | None]:
        if self.path.is_dir():
            images = self._from_pictures()
        elif self.path.suffix.lower() == ".npy":
            images = self._from_array()
        else:
            raise Missing("no ready crops of a face, which the corpus' pictures are made from")
        number = 0
        for number, image in enumerate(images, start=1):  # noqa: B007 - how many there were
            yield image if image.any() else None
        if not number:
            raise Missing("holds no crops")

    def _from_array(self) -> Iterator[Image]:
        try:
            for image in entries(self.path):
                shape = image.shape
                if image.dtype != np.uint8 or image.ndim != 3 or shape[2] != 3 or not 0 < image.size <= 3 * MOST_PIXELS:
                    raise ValueError(f"expected frames as uint8 [T, H, W, 3], got {image.dtype} [T, {_told(shape)}]")
                yield np.ascontiguousarray(image[..., ::-1])
        except UNREADABLE as error:
            raise Missing(f"{self.path.name}: {damage(error)}", failed=True) from None

    def _from_pictures(self) -> Iterator[Image]:
        for path in self._of_one_face(_pictures_of(self.path)):
            try:
                yield from FrameSampler(path, 1.0)
            except Missing as missing:
                raise Missing(f"{path.name}: {missing.reason}", failed=True) from None

    def _of_one_face(self, files: list[Path]) -> list[Path]:
        shown = {path: found[1] for path in files if (found := _TRACKED.search(path.name))}
        counts = Counter(shown.values())
        if len(counts) < 2:
            return files
        most = max(sorted(counts), key=lambda face: counts[face])
        self.notes = (f"crops of {len(counts)} faces; those of face {most}, which most show",)
        return [path for path in files if shown.get(path) == most]


def _pictures_of(folder: Path) -> list[Path]:
    """Pictures of a folder in the order of the numbers in their names."""
    found = (path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    held = [path for path in found if not is_of_the_system(path.name)]
    return sorted(held, key=lambda path: ([int(part) for part in re.findall(r"\d+", path.name)], path.name))


def _told(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
