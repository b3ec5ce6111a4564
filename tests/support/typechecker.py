"""The run-time type checker of the tests: beartype, which also tells whether jaxtyping's shapes hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception

Checked = TypeVar("Checked", bound=Callable[..., Any])
_CONFIGURED = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is a float, as in mypy


def typechecked(function: Checked) -> Checked:
    """Check arguments and result at every call; methods that name ``Self`` are left to mypy.

    jaxtyping decorates functions one by one, and beartype knows ``Self`` in a decorated class only.
    """
    try:
        return _CONFIGURED(function)
    except BeartypeDecorHintPep673Exception:
        return function
