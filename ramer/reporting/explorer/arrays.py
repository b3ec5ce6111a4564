"""Arrays as a page holds them: base64 of their bytes, a few times smaller than numbers as text."""

from __future__ import annotations

import base64
from typing import TypedDict

import numpy as np

KINDS = {"uint8": "<u1", "int8": "<i1", "uint16": "<u2", "int16": "<i2", "uint32": "<u4", "float32": "<f4"}


class Packed(TypedDict):
    """What the page's script makes a typed array of."""

    kind: str
    shape: list[int]
    data: str


def packed(values: np.ndarray) -> Packed:
    """An array as text, little-endian, the last axis first to vary.

    Raises:
        ValueError: a kind that the page cannot read.
    """
    if values.dtype.name not in KINDS:
        raise ValueError(f"packed: expected one of {', '.join(KINDS)}, got {values.dtype.name}")
    data = np.ascontiguousarray(values).astype(KINDS[values.dtype.name]).tobytes()
    return {"kind": values.dtype.name, "shape": list(values.shape), "data": base64.b64encode(data).decode("ascii")}


def numbers(values: np.ndarray) -> np.ndarray:
    """Whole numbers in the smallest kind that holds them, -1 for none included."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for kind in ("uint8", "int8", "uint16", "int16", "uint32"):
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return values.astype(kind)
    raise ValueError(f"numbers: expected values from 0 to 2^32, got {low} to {high}")
