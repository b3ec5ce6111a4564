"""Seeded generators and thread count: with the device, what decides the bits of a result."""

from __future__ import annotations

import sys
import zlib

import numpy as np

from ramer.instructions import hold_threads


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that depends on a seed and on the names of what it is for.

    Two parts of the program with different names never share a stream, and adding a
    part does not shift the stream of another.

    Example:
        >>> masks, again, folds = (generator(0, name).random() for name in ("masks", "masks", "folds"))
        >>> masks == again, masks == folds
        (True, False)
    """
    keys = [n if isinstance(n, int) else zlib.crc32(n.encode()) for n in names]
    return np.random.default_rng([seed, *keys])


def set_threads(threads: int) -> None:
    """Fix the thread count of BLAS, torch and FAISS: weights depend on it.

    Libraries that are loaded already are told so; one that is loaded later reads the environment. Nothing is
    imported for this alone, because torch costs a second that a stage without it need not pay.
    """
    from threadpoolctl import threadpool_limits

    hold_threads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "faiss" in sys.modules:
        sys.modules["faiss"].omp_set_num_threads(threads)
    threadpool_limits(threads)


def seed_torch(seed: int, *names: str | int) -> None:
    """Seed torch's global generators (initialisation, dropout) from a named stream."""
    import torch

    torch.manual_seed(int(generator(seed, *names).integers(2**31 - 1)))


def machine(threads: int, device: str, kind: str = "") -> str:
    """All that decides the bits of a result besides code, settings and inputs, in one line.

    Args:
        threads: ``runtime.threads``. device: as chosen.
        kind: of the device where it is on another machine; this one is asked else.
    """
    import platform
    from importlib.metadata import version

    versions = [f"{package} {version(package)}" for package in ("numpy", "scikit-learn", "scipy", "torch")]
    known = f"{platform.machine()} {kind or _kind(device)}"
    return f"{platform.python_version()} {', '.join(versions)}, {known}, {device}, {threads}"


def _kind(device: str) -> str:
    """Of a GPU its name; of the processor the instructions that torch uses, or NumPy where torch is not loaded."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    if "torch" in sys.modules:
        return str(sys.modules["torch"].backends.cpu.get_cpu_capability())
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])  # what is empty is left out
    return " ".join(found) or "baseline"
