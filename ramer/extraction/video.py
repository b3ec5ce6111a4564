"""Pictures to vectors: gradients and textures of the face, or any Hugging Face vision model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from ramer.devices import raise_if_gpu_failed
from ramer.errors import raise_if_scarce
from ramer.extraction.detectors import build_detector, detector_record
from ramer.extraction.faces import Crop, Face, FaceCropper, whole
from ramer.extraction.huggingface import Source
from ramer.extraction.image_encoders import HogLbpEncoder, ImageEncoder, VisionModelEncoder
from ramer.extraction.outcomes import FacesSeen, Missing, Outcome, one_line, pooled
from ramer.extraction.pictures import FrameSampler, Image
from ramer.extraction.ready_faces import ReadyFaceFrames
from ramer.extraction.settings import VideoSettings

_MAX_FRAME_SIDE = 640  # a whole frame is shrunk to this before the encoder sees it


class _Shown(NamedTuple):
    """What one clip's frames turned out to hold.

    Attributes:
        faces: of the frames that show one, where faces are sought.
    """

    sampled: int
    faces: list[Face]
    notes: tuple[str, ...]


class VideoEncoder:
    """Sampled frames, cropped to one face, encoded in batches that run across clips.

    Args:
        batch_size: images per call of the encoder; changes speed and memory, not results.
    """

    def __init__(self, settings: VideoSettings, images: ImageEncoder, batch_size: int, keep_frames: bool) -> None:
        self.settings = settings
        self.images = images
        self.batch_size = batch_size
        self.keep_frames = keep_frames
        self.cropper = (
            FaceCropper(build_detector(settings.detector), settings.margin, settings.face)
            if settings.crop == "face"
            else None
        )

    def encode(self, paths: list[Path]) -> list[Outcome]:
        """One outcome per file; a file that breaks costs no other file its result."""
        shown: list[_Shown | Missing] = []
        vectors: dict[int, list[np.ndarray]] = {}
        faults: dict[int, Missing] = {}
        for batch in _batches(self._crops(paths, shown), self.batch_size):
            for (clip, _), made in zip(batch, self._encode_batch(batch), strict=True):
                if isinstance(made, Missing):
                    faults[clip] = made
                else:
                    vectors.setdefault(clip, []).append(made)
        return [faults.get(clip) or self._outcome(found, vectors.get(clip)) for clip, found in enumerate(shown)]

    def _encode_batch(self, batch: list[tuple[int, Image]]) -> list[np.ndarray | Missing]:
        try:
            return list(self.images.encode_images([image for _, image in batch]))
        # Whatever a model does with one odd image must not end the run: the others are encoded alone.
        except Exception as error:
            raise_if_scarce(error)
            raise_if_gpu_failed(error, "device", but_for_memory=True)
            if len(batch) == 1:
                return [Missing(f"the image encoder failed: {one_line(error)}", failed=True)]
            return [made for item in batch for made in self._encode_batch([item])]

    def _crops(self, paths: list[Path], shown: list[_Shown | Missing]) -> Iterator[tuple[int, Image]]:
        for clip, path in enumerate(paths):
            shown_by, crops = self._opened(path)
            sampled = 0
            faces: list[Face] = []
            try:
                for crop in crops:
                    sampled += 1
                    if crop is not None:
                        faces += [crop.face] if crop.face is not None else []
                        yield clip, crop.image
            except Missing as missing:
                shown.append(missing)
            except (cv2.error, MemoryError, ValueError) as error:
                shown.append(Missing(f"frames cannot be read: {one_line(error)}", failed=True))
            else:
                shown.append(_Shown(sampled, faces, shown_by.notes))

    def _opened(self, path: Path) -> tuple[FrameSampler | ReadyFaceFrames, Iterator[Crop | None]]:
        if self.settings.crop == "ready":
            faces = ReadyFaceFrames(path)
            return faces, (None if image is None else whole(image) for image in faces)
        sampler = FrameSampler(path, self.settings.frames_per_second)
        return sampler, self._cropped(sampler)

    def _cropped(self, images: Iterable[Image]) -> Iterator[Crop | None]:
        if self.cropper is None:
            return (Crop(_shrunk(image), None) for image in images)
        sought = self.settings.detections_per_second
        stride = 1 if sought is None else max(1, int(self.settings.frames_per_second / sought))
        return self.cropper.crops(images, stride)

    def _outcome(self, shown: _Shown | Missing, vectors: list[np.ndarray] | None) -> Outcome:
        if isinstance(shown, Missing):
            return shown
        if vectors is None:
            return Missing(f"no face in {shown.sampled} frames")
        if self.settings.crop == "frame":
            return pooled(np.stack(vectors), keep_frames=self.keep_frames, notes=shown.notes)
        told = f"{len(shown.faces)} of {shown.sampled} frames"
        if len(shown.faces) < self.settings.min_face_share * shown.sampled:
            return Missing(f"a face in only {told}")
        notes = shown.notes
        if len(shown.faces) < shown.sampled:
            notes += (f"a face in {told}",)
        return pooled(np.stack(vectors), keep_frames=self.keep_frames, notes=notes, faces=_seen(shown))


def _seen(shown: _Shown) -> FacesSeen:
    sure = [face.confidence for face in shown.faces if face.confidence is not None]
    return FacesSeen(
        frames=shown.sampled,
        share=round(len(shown.faces) / shown.sampled, 4),
        side=round(float(np.median([face.side for face in shown.faces])), 1),
        confidence=round(float(np.mean(sure)), 4) if sure else None,
    )


def _shrunk(image: Image) -> Image:
    scale = _MAX_FRAME_SIDE / max(image.shape[:2])
    return image if scale >= 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _batches(items: Iterable[tuple[int, Image]], size: int) -> Iterator[list[tuple[int, Image]]]:
    batch: list[tuple[int, Image]] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def describe(settings: VideoSettings) -> dict[str, Any]:
    """What the manifest says of the encoder and face detector that the settings name; no model is loaded."""
    if settings.model is not None:
        record = Source(settings.model, settings.revision).record
    else:
        record = {"name": "HOG+LBP", "package": "scikit-image", "version": version("scikit-image")}
    return record | ({"face_detector": detector_record(settings.detector)} if settings.crop == "face" else {})


def build(
    settings: VideoSettings, *, device: str, batch_size: int, keep_frames: bool, trust_remote_code: bool
) -> VideoEncoder:
    """The encoder that the settings name."""
    images: ImageEncoder
    if settings.model is None:
        images = HogLbpEncoder()
    else:
        images = VisionModelEncoder(settings, Source(settings.model, settings.revision, trust_remote_code), device)
    return VideoEncoder(settings, images, batch_size, keep_frames)
