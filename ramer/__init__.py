"""Multimodal emotion recognition when modalities are missing."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ramer.serving.predictor import Predictor

__all__ = ["Predictor", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``ramer.Predictor`` without a second of imports for whoever does not use it."""
    if name == "Predictor":
        return importlib.import_module("ramer.serving.predictor").Predictor
    raise AttributeError(f"module 'ramer' has no attribute {name!r}")
