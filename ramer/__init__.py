"""Multimodal emotion recognition when modalities are missing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ramer.pipeline.compare import compare
    from ramer.serving.predictor import Predictor

__all__ = ["Predictor", "__version__", "compare"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``ramer.Predictor`` and ``ramer.compare`` without seconds of imports for whoever does not use them."""
    if name == "Predictor":
        return importlib.import_module("ramer.serving.predictor").Predictor
    if name == "compare":
        return importlib.import_module("ramer.pipeline.compare").compare
    raise AttributeError(f"module 'ramer' has no attribute {name!r}")
