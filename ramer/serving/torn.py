"""Damaged parts of a model as errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ramer.errors import ModelError, StaleError, raise_if_scarce


@contextlib.contextmanager
def refuse_torn(path: Path) -> Iterator[None]:
    """Whatever reading a damaged part of a model raises, as one line."""
    try:
        yield
    except StaleError as error:
        reason = error.faults[0].removeprefix(f"{path}: ")
        raise ModelError(f"{path}: torn, or no part of a model ({reason}); make it again") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError) as error:
        raise_if_scarce(error)
        raise ModelError(f"{path}: torn, or no part of a model ({type(error).__name__}); make it again") from None


def check_finite(numbers: np.ndarray, what: str) -> None:
    """Refuse what a model computed where it is no number: such an answer is no answer.

    Args:
        numbers: [..., n, width], of n clips. what: they are, for the message.

    Raises:
        ModelError: one is NaN or infinite.
    """
    finite = np.isfinite(numbers)
    if not finite.all():
        clips = np.unique(np.nonzero(~finite)[-2])
        raise ModelError(
            f"{what}: not finite for {len(clips)} of {numbers.shape[-2]} clips; the model's files are damaged, or the "
            "clips are far outside of what it was trained on"
        )
