"""What may share a batch of a model, found out when it is loaded: a clip's vector never depends on the other clips."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from enum import Enum
from typing import TypeVar

import numpy as np

from ramer.devices import raise_if_gpu_failed
from ramer.errors import ModelError, RamerError, raise_if_scarce
from ramer.extraction.outcomes import Missing, Outcome, one_line

log = logging.getLogger(__name__)

_TOLERANCE = 1e-5  # of the size of what a model returns, and no less than of 1

Input = TypeVar("Input")
Encode = Callable[[Sequence[Input]], list[np.ndarray]]  # an array per input


class Sharing(Enum):
    """Which inputs may share a batch."""

    ANY = "any"
    EQUAL = "of equal length"
    NONE = "none"


def tried(encode: Encode[Input], sample: Input, model: str, kind: str) -> np.ndarray:
    """What a model makes of one input.

    Args:
        encode: gives an array per input.
        kind: what the model should be, for the message.

    Raises:
        ModelError: the model cannot take such an input, or returns no numbers.
        GpuError: a GPU failed.
    """
    try:
        made = encode([sample])[0]
    except RamerError:
        raise
    # Models of another kind raise whatever comes first in their code; the user needs one line that names the model.
    except Exception as error:
        raise_if_scarce(error)
        raise_if_gpu_failed(error, "device")
        raise ModelError(f"{model}: not {kind}: it fails on the first input: {one_line(error)}") from None
    if not made.size:
        raise ModelError(f"{model}: not {kind}: it returns nothing for the first input")
    return made


def checked_sharing(
    encode: Encode[Input],
    alone: np.ndarray,
    sample: Input,
    longer: Input,
    equal: Input | None,
    model: str,
) -> Sharing:
    """Compare what a model makes of an input alone with what it makes of it beside others.

    Args:
        encode: gives an array per input; inputs that are shorter than others of their batch are padded.
        alone: what it makes of ``sample`` alone.
        longer: an input that ``sample`` is padded beside.
        equal: an input of the length of ``sample``; None where numbers of low precision depend on the shape of a
            batch by rounding alone.
    """
    if _same(encode, alone, [sample, longer]):
        return Sharing.ANY
    if equal is None or _same(encode, alone, [sample, equal]):
        log.info("%s: padding changes what it returns; only inputs of one length share a batch", model)
        return Sharing.EQUAL
    log.info("%s: what it returns depends on what shares a batch; inputs go through it one by one", model)
    return Sharing.NONE


def batches(lengths: Sequence[int], sharing: Sharing, size: int) -> list[list[int]]:
    """Numbers of the inputs that go through a model together.

    Args:
        lengths: of the inputs; neighbours in length share a batch, for little padding.
        size: of a batch at most.
    """
    if sharing is Sharing.NONE:
        return [[number] for number in range(len(lengths))]
    groups: dict[int, list[int]] = {}
    for number in sorted(range(len(lengths)), key=lambda n: lengths[n]):
        groups.setdefault(0 if sharing is Sharing.ANY else lengths[number], []).append(number)
    return [group[start : start + size] for group in groups.values() for start in range(0, len(group), size)]


def _same(encode: Encode[Input], alone: np.ndarray, batch: list[Input]) -> bool:
    try:
        beside = encode(batch)[0]
    except RamerError:
        raise
    except Exception:  # it cannot take them together: the same answer
        return False
    if beside.shape != alone.shape:
        return False
    scale = max(1.0, float(np.sqrt(np.square(alone, dtype=np.float64).mean())))
    return bool(np.abs(beside - alone).max() <= _TOLERANCE * scale)


def isolated(encode: Callable[[list[Input]], list[Outcome]], items: list[Input]) -> list[Outcome]:
    """Encode together; where that breaks encode one by one, so that only what is broken is lost."""
    if not items:
        return []
    try:
        return encode(items)
    except RamerError:
        raise
    except Exception as error:
        raise_if_scarce(error)
        raise_if_gpu_failed(error, "device", but_for_memory=True)
        if len(items) == 1:
            return [Missing(f"the encoder failed: {one_line(error)}", failed=True)]
        return [outcome for item in items for outcome in isolated(encode, [item])]
