"""Where to compute: a GPU that is there and works, else the processor.

A GPU that a library sees need not work: its code may have none for that card, the driver may be too old, its memory
taken, at once or in the middle of the work. Asked for by name that is a fault, one line; under ``auto`` the processor
does the work, after one warning.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeVar, runtime_checkable

from ramer.config import DEVICE_NAMES
from ramer.errors import ConfigError, GpuError

Result = TypeVar("Result")

_log = logging.getLogger(__name__)
SETTING = "params.yaml: runtime.device"
_FAULTS = (RuntimeError, AssertionError, MemoryError)  # what torch and FAISS raise
# What they say where a GPU is the cause, and not code that works on one.
_GPU = re.compile(r"CUDA (driver )?error|CUDA out of memory|cuDNN error|CUBLAS_STATUS_|No CUDA GPUs|NVIDIA driver")
_CODE = re.compile(r"device-side assert|_INVALID_VALUE|_BAD_PARAM")  # what a GPU says of wrong numbers or sizes
_MEMORY = re.compile(r"out of memory|_ALLOC_FAILED")


@runtime_checkable
class Cuda(Protocol):
    """What is asked of a library that computes on GPUs."""

    def count(self) -> int:
        """How many it sees; no context is made. ``RuntimeError`` where something keeps it from looking."""
        ...

    def compute(self, device: str) -> None:
        """Compute something on one and wait for it. ``RuntimeError`` where that does not work."""
        ...


class TorchCuda:
    """GPUs as torch sees them."""

    def count(self) -> int:
        import torch

        with warnings.catch_warnings(record=True) as said:  # a driver that is too old is told in a warning
            warnings.simplefilter("always")
            number = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not number and said:
            raise RuntimeError(str(said[0].message))
        return number

    def compute(self, device: str) -> None:
        import torch

        ones = torch.ones(8, 8, device=device)
        float((ones @ ones).sum())  # waits for it


def choose_device(device: str, cuda: Cuda | None = None, setting: str = SETTING) -> str:
    """Resolve ``auto`` to ``cuda`` where a GPU is there and works, else to ``cpu``.

    Args:
        device: auto, cpu, cuda or cuda:N.
        cuda: what computes on GPUs; torch, asked once in a process.
        setting: that names the device, for messages.

    Raises:
        ConfigError: there is no such name, or a GPU was asked for and there is none, or it does not work.

    Example:
        >>> choose_device("cpu")
        'cpu'
    """
    check_name(device, setting)
    if device == "cpu":
        return device
    return _torch_device(device, setting) if cuda is None else _device_that_works(device, cuda, setting)


def check_name(device: str, setting: str = SETTING) -> None:
    """Refuse what names no device; none is looked for.

    Raises:
        ConfigError: it is not auto, cpu, cuda or cuda:N.
    """
    if not re.fullmatch(DEVICE_NAMES, device):
        raise ConfigError(f"{setting}: unknown name {device!r}, expected auto, cpu, cuda or cuda:N")


@cache
def _torch_device(device: str, setting: str) -> str:
    return _device_that_works(device, TorchCuda(), setting)


def _device_that_works(device: str, cuda: Cuda, setting: str) -> str:
    name = "cuda" if device == "auto" else device
    try:
        if device == "auto" and not cuda.count():
            return "cpu"
        check_device(name, cuda, setting)
        cuda.compute(name)
    except _FAULTS as error:
        give_up(device, error, setting)
        return "cpu"
    return name


def check_device(device: str, cuda: Cuda | None = None, setting: str = SETTING) -> None:
    """Refuse a GPU that is not there; nothing is computed on it, so that it holds nothing for this process.

    Raises:
        ConfigError: it was asked for by name, ``cuda`` or ``cuda:N``, and is not seen.
    """
    if not device.startswith("cuda"):
        return
    try:
        count = (cuda or TorchCuda()).count()
    except _FAULTS as error:
        raise ConfigError(_refusal(device, error, setting)) from None
    if not count:
        raise ConfigError(f"{setting}: {device} was asked for but torch sees no CUDA device")
    if int(device.partition(":")[2] or 0) >= count:
        raise ConfigError(f"{setting}: {device} was asked for but torch sees {count} CUDA devices")


def give_up(device: str, error: BaseException, setting: str = SETTING) -> None:
    """Say that the processor goes on in place of a GPU.

    Args:
        device: as it was asked for. error: of the library that could not use it. setting: that names the device.

    Raises:
        ConfigError: the GPU was asked for by name.
    """
    if device.startswith("cuda"):
        raise ConfigError(_refusal(device, error, setting)) from None
    _log.warning("a GPU is there and cannot be used (%s): the processor does the work", _reason(error))


def _refusal(device: str, error: BaseException, setting: str) -> str:
    return f"{setting}: {device} cannot be used ({_reason(error)}); cpu or auto does without{_less(error)}"


def _less(error: BaseException) -> str:
    return ", and a smaller batch size needs less memory" if _MEMORY.search(str(error)) else ""


def fails_at_gpu(error: BaseException) -> bool:
    """Whether a library raised this because a GPU failed it: its memory, its driver, code for another card."""
    said = _reason(error)  # further on, somebody else's traceback may stand
    return isinstance(error, RuntimeError) and _GPU.search(said) is not None and _CODE.search(said) is None


def refusal_of_gpu(error: BaseException, setting: str = SETTING) -> str | None:
    """One line where a GPU failed in the middle of work; None where something else did.

    Example:
        >>> refusal_of_gpu(RuntimeError("CUDA error: no kernel image is available"), "device")
        'device: the GPU cannot be used (CUDA error: no kernel image is available); cpu does without'
        >>> refusal_of_gpu(RuntimeError("expected all tensors on cuda:0"))
    """
    if not fails_at_gpu(error):
        return None
    return f"{setting}: the GPU cannot be used ({_reason(error)}); cpu does without{_less(error)}"


def raise_if_gpu_failed(error: BaseException, setting: str, *, but_for_memory: bool = False) -> None:
    """For whoever takes any error for a fault of one input: a GPU that failed will fail all that follow.

    Args:
        but_for_memory: of which a smaller input may need less.

    Raises:
        GpuError: a GPU failed, by ``refusal_of_gpu``.
    """
    refusal = refusal_of_gpu(error, setting)
    if refusal is not None and not (but_for_memory and _MEMORY.search(str(error))):
        raise GpuError(refusal) from error


def else_on_cpu(device: str, work: Callable[[str], Result]) -> Result:
    """What work gives on a device; begun anew on the processor where a GPU fails it under ``auto``.

    Args:
        device: ``runtime.device``.
        work: is given the device, and leaves nothing half done where it fails.

    Raises:
        ConfigError: a GPU that was asked for by name failed.
    """
    try:
        return work(device)
    except GpuError as error:
        if device != "auto":
            raise
        give_up(device, error.__cause__ or error)
    except RuntimeError as error:
        if not fails_at_gpu(error):
            raise
        give_up(device, error)
    return work("cpu")


def _reason(error: BaseException) -> str:
    """The first line of what a library said; they go on about how to debug it."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


@dataclass
class Attempts:
    """Work that a GPU does as long as it can, then the processor.

    Attributes:
        device: ``runtime.device``.
        over: whether the GPU has failed; it is not asked again.
    """

    device: str
    over: bool = False

    def run(self, on_gpu: Callable[[], Result], here: Callable[[], Result]) -> Result:
        """What the GPU gives; what the processor gives where that fails.

        Raises:
            ConfigError: it failed and was asked for by name.
        """
        if not self.over:
            try:
                return on_gpu()
            except _FAULTS as error:
                give_up(self.device, error)
                self.over = True
        return here()
