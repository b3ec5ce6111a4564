"""Loading libraries in half the time: half of what a short stage takes is Python loading torch and pandas.

Two things cost a third of it and give nothing: Python's garbage collector, which goes through hundreds of thousands of
new objects again and again while modules load and finds next to nothing, and torch's Python kernels for meta tensors
(shapes without numbers), which nothing here computes with.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

META_KERNELS = "torch._meta_registrations"
# These trace programs by meta tensors: who loads one of them (``torch.compile``) gets the kernels before it.
_TRACING = frozenset({"torch._decomp.decompositions", "torch._dynamo", "torch._inductor"})


@contextmanager
def loading() -> Iterator[None]:
    """For a block that imports: nothing is collected, and what was loaded is never gone through again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def defer_meta_kernels() -> None:
    """Let torch, if it loads from now on, load its kernels for meta tensors when somebody asks for them.

    Without them a few operations on ``device="meta"`` are missing until ``torch._meta_registrations`` is asked for
    anything, or what traces programs is imported. All else is the same to the bit: kernels for numbers are compiled.
    """
    if not any(isinstance(finder, _Deferring) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Deferring())


class _Deferring(importlib.abc.MetaPathFinder):
    """Finds the module of the kernels and has it loaded later; leaves all others to who comes next."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in _TRACING and META_KERNELS in sys.modules:
            vars(sys.modules[META_KERNELS]).get("load_now", _nothing)()
        if name != META_KERNELS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)
        return spec


def _nothing() -> None:
    """There is nothing that waits."""


class _Later(importlib.abc.Loader):
    """Runs a module's code when somebody asks the module for something.

    Args:
        loader: that would have run it at once.
    """

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader
        self._lock = threading.RLock()

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        names = vars(module)

        def load_now() -> None:
            with self._lock:
                if names.pop("load_now", None) is not None:
                    del names["__getattr__"]
                    self._loader.exec_module(module)

        names["load_now"], names["__getattr__"] = load_now, _asking(module, load_now)


def _asking(module: ModuleType, load: Callable[[], None]) -> Callable[[str], object]:
    """A module's ``__getattr__``: loads it, unless Python's own import machinery asked."""

    def ask(name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        load()
        try:
            return vars(module)[name]
        except KeyError:
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}") from None

    return ask
