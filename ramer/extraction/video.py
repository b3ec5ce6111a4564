"""Pictures to vectors: gradients and textures of the face, or any Hugging Face vision model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float32

from ramer.errors import ModelError
from ramer.extraction.batching import Sharing, checked_sharing, tried
from ramer.extraction.detectors import build_detector, detector_record
from ramer.extraction.faces import Crop, Face, FaceCropper, whole
from ramer.extraction.huggingface import Source, inference
from ramer.extraction.outcomes import Encoded, FacesSeen, Missing, Outcome, one_line, pooled
from ramer.extraction.pictures import FrameSampler, Image
from ramer.extraction.ready_faces import ReadyFaceFrames
from ramer.extraction.settings import VideoSettings

_SIDE = 96  # pixels; six HOG cells, four LBP cells
_HOG_CELL = 16
_LBP_CELL = 24
_LBP_POINTS = 8
_TRIED_SIZES = ((48, 64), (48, 64), (96, 80))  # of the pictures that a model is tried with
_MAX_FRAME_SIDE = 640  # a whole frame is shrunk to this before the encoder sees it

Vectors = Float32[np.ndarray, "images dim"]


@runtime_checkable
class ImageEncoder(Protocol):
    """Encodes images, one vector each."""

    def encode_images(self, images: list[Image]) -> Vectors: ...


class HogLbpEncoder:
    """Histograms of oriented gradients (900) and of uniform local binary patterns (160) of the equalised image.

    Follows Dalal and Triggs, CVPR 2005, and Ahonen et al., "Face description with local binary patterns", TPAMI 2006.
    """

    def encode_images(self, images: list[Image]) -> Vectors:
        return np.stack([self._encode(image) for image in images])

    def _encode(self, image: Image) -> np.ndarray:
        from skimage.feature import hog, local_binary_pattern

        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        gray = cv2.equalizeHist(cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))
        gradients = hog(gray, orientations=9, pixels_per_cell=(_HOG_CELL, _HOG_CELL), cells_per_block=(2, 2))
        codes = local_binary_pattern(gray, P=_LBP_POINTS, R=1, method="uniform").astype(np.int64)
        cells = _SIDE // _LBP_CELL
        blocks = codes.reshape(cells, _LBP_CELL, cells, _LBP_CELL).swapaxes(1, 2).reshape(cells * cells, -1)
        patterns = (blocks[..., None] == np.arange(_LBP_POINTS + 2)).mean(axis=1)
        return np.concatenate([gradients, patterns.ravel()]).astype(np.float32)


class VisionModelEncoder:
    """Image features of a CLIP-like model, or the mean over tokens of a vision model's last layer."""

    def __init__(self, settings: VideoSettings, source: Source, device: str) -> None:
        import transformers

        self.device = device
        # Pillow, also where torchvision is installed: the two resize differently, so would the features.
        self.processor = source.load(transformers.AutoImageProcessor.from_pretrained, backend="pil")
        self.model: Any = source.load_model(transformers.AutoModel, settings.dtype, device)
        self.projects = hasattr(self.model, "get_image_features")
        if not self.projects and getattr(self.model, "main_input_name", "") != "pixel_values":
            raise ModelError(f"{source.model}: not a vision model: it takes {self.model.main_input_name}")
        self.sharing = self._checked(source.model, settings)

    def _checked(self, name: str, settings: VideoSettings) -> Sharing:
        rng = np.random.default_rng(0)
        small, same, large = (rng.integers(0, 255, (*size, 3), dtype=np.uint8) for size in _TRIED_SIZES)
        alone = tried(self._encoded, small, name, "a model of single pictures")
        if alone.ndim != 1:
            raise ModelError(f"{name}: not a model of single pictures: it returns {alone.ndim} dimensions for one")
        return checked_sharing(self._encoded, alone, small, large, same if settings.dtype == "float32" else None, name)

    def encode_images(self, images: list[Image]) -> Vectors:
        sizes = {image.shape for image in images}
        if self.sharing is Sharing.NONE or (self.sharing is Sharing.EQUAL and len(sizes) > 1):
            return np.stack([self._encoded([image])[0] for image in images])
        return np.stack(self._encoded(images))

    def _encoded(self, images: Sequence[Image]) -> list[np.ndarray]:
        inputs = self.processor(images=list(images), return_tensors="pt")
        pixels = inputs["pixel_values"].to(self.device, self.model.dtype)
        with inference():
            if self.projects:
                features = self.model.get_image_features(pixel_values=pixels)
                features = getattr(features, "pooler_output", features)
            else:
                tokens = self.model(pixel_values=pixels).last_hidden_state
                # [n, tokens, dim], or [n, dim, height, width] of a convolutional model
                features = tokens.flatten(2).mean(dim=2) if tokens.ndim == 4 else tokens.float().mean(dim=1)
            return list(features.float().cpu().numpy())


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
        made = pooled(np.stack(vectors), keep_frames=self.keep_frames, notes=notes)
        return made._replace(faces=_seen(shown)) if isinstance(made, Encoded) else made


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
