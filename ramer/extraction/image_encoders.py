"""Encoders of single pictures: gradients and textures, or a vision model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Float32

from ramer.errors import ModelError
from ramer.extraction.batching import Sharing, checked_sharing, tried
from ramer.extraction.huggingface import Source, inference
from ramer.extraction.pictures import Image
from ramer.extraction.settings import VideoSettings

_SIDE = 96  # pixels; six HOG cells, four LBP cells
_HOG_CELL = 16
_LBP_CELL = 24
_LBP_POINTS = 8
_TRIED_SIZES = ((48, 64), (48, 64), (96, 80))  # of the pictures that a model is tried with
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
