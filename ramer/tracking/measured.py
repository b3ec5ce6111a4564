"""How long the pipeline took, as the runs of MLflow show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Measured:
    """Seconds of the stages whose results are logged.

    Attributes:
        seconds: of those that were measured on this machine, together.
        stages: how many those are. of: how many there are; the others came from a cache.
        methods: of each method's training and evaluation.
    """

    seconds: float = 0.0
    stages: int = 0
    of: int = 0
    methods: Mapping[str, float] = field(default_factory=dict)

    def milliseconds(self, method: str | None = None) -> int:
        """Of a method, or of all."""
        return round(1000 * (self.seconds if method is None else self.methods.get(method, 0.0)))

    def __str__(self) -> str:
        if self.of and self.stages == self.of:
            return f"{self.seconds:.0f} s, the sum of all {self.of} stages"
        return f"{self.seconds:.0f} s, the sum of the {self.stages} of {self.of} stages that were measured here"
