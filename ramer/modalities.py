"""The three modalities and the seven availability conditions, in one order.

The condition names follow the field: ``a``, ``v`` and ``t`` name what is *available*
(MMIN's ``azz`` is our ``a``, ``zvl`` is our ``vt``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

MODALITIES: tuple[str, ...] = ("audio", "video", "text")
LETTERS: dict[str, str] = {"audio": "a", "video": "v", "text": "t"}
# Their matrices in an npz, by the field's letters: acoustic, visual, lexical.
PACKED_KEYS: dict[str, str] = {"audio": "A", "video": "V", "text": "L"}

CONDITIONS: dict[str, tuple[str, ...]] = {
    "a": ("audio",),
    "v": ("video",),
    "t": ("text",),
    "av": ("audio", "video"),
    "at": ("audio", "text"),
    "vt": ("video", "text"),
    "avt": ("audio", "video", "text"),
}
FULL_CONDITION = "avt"
MISSING_CONDITIONS: tuple[str, ...] = tuple(c for c in CONDITIONS if c != FULL_CONDITION)
AVERAGE = "avg6"


def condition_masks() -> np.ndarray:
    """Availability of each modality under each condition.

    Returns:
        Boolean array [7, 3]; rows in the order of ``CONDITIONS``, columns of ``MODALITIES``.

    Example:
        >>> dict(zip(CONDITIONS, condition_masks().tolist(), strict=True))["at"]
        [True, False, True]
    """
    return np.array([[m in held for m in MODALITIES] for held in CONDITIONS.values()], dtype=bool)


def condition_probabilities(rates: Sequence[float]) -> Float[np.ndarray, " conditions"]:
    """Probability of each condition when every modality is missing independently and at least one is kept.

    Args:
        rates: probability of being missing per modality, in the order of ``MODALITIES``. A draw in which all are
            missing is drawn again.

    Example:
        >>> dict(zip(CONDITIONS, condition_probabilities([0.5, 0.5, 0.5]).round(3).tolist(), strict=True))["avt"]
        0.143
    """
    missing = np.asarray(rates, dtype=np.float64)
    masks = condition_masks()
    chances = np.where(masks, 1.0 - missing, missing).prod(axis=1)
    return np.asarray(chances / chances.sum())
