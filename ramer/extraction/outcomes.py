"""What extraction says of one clip and modality: a vector, or why there is none."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32


class Missing(Exception):  # noqa: N818 - mostly returned, a state of a clip rather than an error
    """A modality that a clip does not have, or that could not be made.

    ``failed`` tells a fault (an unreadable file, a model that broke) from a clip that has no such modality:
    a fault is tried again in the next run.
    """

    def __init__(self, reason: str, *, failed: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.failed = failed

    @property
    def vector(self) -> None:
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    def noted(self, notes: tuple[str, ...]) -> Missing:
        """What is missing says why, and nothing else."""
        return self


class FacesSeen(NamedTuple):
    """How well a clip shows the face that was taken.

    Attributes:
        frames: how many were looked at.
        share: of them showed a face.
        side: of the face in pixels, median over the frames that show one.
        confidence: of the detector, mean over these frames; None where it gives none.
    """

    frames: int
    share: float
    side: float
    confidence: float | None


class Encoded(NamedTuple):
    """A clip's vector in one modality.

    Attributes:
        vector: float32 [dim].
        frames: the sequence where asked for, float32 [steps, frame_dim].
        notes: what a reader should know of it.
        faces: for pictures cropped to a face.
    """

    vector: Float32[np.ndarray, " dim"]
    frames: Float32[np.ndarray, "steps frame_dim"] | None = None
    notes: tuple[str, ...] = ()
    faces: FacesSeen | None = None

    def noted(self, notes: tuple[str, ...]) -> Encoded:
        """With these notes before its own."""
        return self._replace(notes=notes + self.notes)


Outcome = Encoded | Missing


def finished(encoded: Encoded) -> Outcome:
    """Refuse a vector that later stages would take for a missing one, or choke on."""
    if not np.isfinite(encoded.vector).all():
        return Missing("the extractor returned values that are not finite", failed=True)
    if not encoded.vector.any():
        return Missing("the extractor returned zeros only", failed=True)
    return encoded


def pooled(
    frames: Float32[np.ndarray, "steps dim"],
    *,
    keep_frames: bool,
    notes: tuple[str, ...] = (),
    faces: FacesSeen | None = None,
) -> Outcome:
    """The mean over the steps of a sequence that holds no padding."""
    vector = frames.mean(axis=0, dtype=np.float64).astype(np.float32)
    return finished(Encoded(vector, frames if keep_frames else None, notes, faces))


def one_line(error: BaseException) -> str:
    """An exception as one short line, for a reason in the manifest."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
