"""Multimodal emotion recognition when modalities are missing."""

__version__ = "0.1.0"
