"""A GPU that answers and has no room: torch asks CUDA for the first time as something is moved there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from ramer import devices

NO_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB"


class _Answers:
    """A GPU that is there and computes what it is tried with."""

    def count(self) -> int:
        return 1

    def compute(self, device: str) -> None:
        pass


@contextmanager
def without_room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While it lasts the machine has such a GPU."""

    def refuse() -> None:
        raise torch.OutOfMemoryError(f"{NO_MEMORY}\nSee documentation for Memory Management")

    with monkeypatch.context() as patched:
        patched.setattr(devices, "TorchCuda", _Answers)
        patched.setattr(torch.cuda, "_lazy_init", refuse)
        devices._torch_device.cache_clear()
        try:
            yield
        finally:
            devices._torch_device.cache_clear()
