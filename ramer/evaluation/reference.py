"""The method that others are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from ramer.errors import RamerError


@runtime_checkable
class Comparable(Protocol):
    """What is known of a method that others may be compared with: its ``method.json`` says it."""

    @property
    def deployable(self) -> bool: ...

    @property
    def retrieval(self) -> bool: ...

    @property
    def validation_selection(self) -> float: ...

    @property
    def numbers(self) -> int: ...


def choose_reference(methods: Mapping[str, Comparable]) -> str:
    """The best deployable method without retrieval on validation.

    Without such a method the best deployable one stands in, then the best of all.
    """
    if not methods:
        raise RamerError("methods: expected at least one method to choose a reference from, got none")
    baselines = [n for n, m in methods.items() if m.deployable and not m.retrieval]
    deployable = [n for n, m in methods.items() if m.deployable]
    return best_on_validation(methods, baselines or deployable or list(methods))


def best_on_validation(methods: Mapping[str, Comparable], names: Sequence[str]) -> str:
    """The method of ``names`` with the highest validation score.

    Of those within a hundredth of a point the cheaper one, which has learnt fewer numbers, then the first listed.
    """
    return max(names, key=lambda n: (round(methods[n].validation_selection, 4), -methods[n].numbers))
