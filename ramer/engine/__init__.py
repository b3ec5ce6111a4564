"""One seam for work that may be shared out: ``map`` runs a function on items here, in other processes or on a cluster.

``RAMER_ENGINE`` chooses who works: ``serial`` (this process), ``local`` (this process and others of this machine, the
default) or ``ray`` (a cluster, at ``RAY_ADDRESS``). Each item has its own seed and device, so who works changes no bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from ramer.devices import SETTING, check_name, choose_device
from ramer.engine.calls import Done, call_here, in_call
from ramer.errors import ConfigError
from ramer.progress import in_worker, track
from ramer.seeding import machine

Item = TypeVar("Item")
Result = TypeVar("Result")

ENGINES = ("serial", "local", "ray")
VARIABLE = "RAMER_ENGINE"
WORKERS = "RAMER_WORKERS"


@dataclass(frozen=True)
class Resources:
    """What one call needs of the machine that it runs on.

    Attributes:
        threads: that it computes with, ``runtime.threads``: as many cores.
        gpus: share of a GPU; 0 for a call that computes on the processor.
        one_gpu: whether all calls compute on one GPU, which was named, however many there are.
    """

    threads: int = 1
    gpus: float = 0.0
    one_gpu: bool = False

    @classmethod
    def on(cls, device: str, threads: int) -> Resources:
        """Of a call on a device, ``cpu`` or one of CUDA's, with so many threads."""
        return cls(threads, 1.0 if device.startswith("cuda") else 0.0, one_gpu=":" in device)


def map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    resources: Resources = Resources(),  # frozen
    description: str,
) -> list[Result]:
    """``[function(item) for item in items]``, by the engine that the environment names.

    A call within a call runs where it is. Where one fails nothing more is begun, and what still runs is ended.

    Args:
        function: of a module, or ``functools.partial`` of one: it is pickled, as are its arguments and what it
            returns. It says what it returns by its arguments alone; the folders that it reads and writes are the
            caller's, so the machines of a cluster share a file system.
        items: each with its own seed, device and output: order and place of the calls are not fixed.
        resources: of one call.
        description: of the progress bar, which counts items where there are several.

    Raises:
        ConfigError: ``RAMER_ENGINE`` or ``RAMER_WORKERS`` is none of what they may be, or there is no such cluster.
        RamerError: what the function raised for the first item that failed, or a worker that was killed (memory).
    """
    given, engine = list(items), chosen_engine()
    if in_worker() or in_call():
        engine = "serial"
    done = _done(engine, function, given, resources)
    found: dict[int, Done[Result]] = {}
    with closing(done):
        for number, one in track(done, description, len(given)) if len(given) > 1 else done:
            found[number] = one
            failed = min((n for n, each in found.items() if each.error is not None), default=len(given))
            if failed < len(given) and all(n in found for n in range(failed)):
                break
    # In order, so that the fault that is told does not depend on who was faster.
    return [found[number].result() for number in sorted(found)]


def chosen_engine() -> str:
    """The engine that ``RAMER_ENGINE`` names.

    Raises:
        ConfigError: there is no such engine.
    """
    engine = os.environ.get(VARIABLE) or "local"
    if engine not in ENGINES:
        raise ConfigError(f"{VARIABLE}: expected one of {', '.join(ENGINES)}, got {engine!r}")
    return engine


def spans_machines() -> bool:
    """Whether calls run on several machines, which see the same files but not the same pages of memory."""
    return chosen_engine() == "ray"


def check_environment() -> None:
    """Refuse what the environment says of engines and cannot be, whether or not anything is shared out.

    Raises:
        ConfigError: ``RAMER_ENGINE`` or ``RAMER_WORKERS`` is none of what they may be.
    """
    chosen_engine()
    wanted_workers()


def device_for(device: str, setting: str = SETTING) -> str:
    """Where calls compute: as ``choose_device`` says of this machine; on a cluster, where the cluster has it.

    For a cluster nothing is looked for on this machine, which need not have a GPU: ``auto`` is the processor where no
    node has one, and whether a GPU works shows in the task that gets it.

    Args:
        device: auto, cpu, cuda or cuda:N.
        setting: that names the device, for messages.

    Raises:
        ConfigError: there is no such name, GPU or cluster.
    """
    if not spans_machines() or in_worker() or in_call():
        return choose_device(device, setting=setting)
    check_name(device, setting)
    if device != "auto":
        return device.partition(":")[0]
    from ramer.engine.cluster import gpu_kinds

    return "cuda" if gpu_kinds() else "cpu"


def machine_for(threads: int, device: str) -> str:
    """``ramer.seeding.machine`` of the calls: GPUs of a cluster are known by their kinds.

    Args:
        threads: of a call. device: as ``device_for`` gave it.
    """
    if device == "cpu" or not spans_machines():
        return machine(threads, device)
    from ramer.engine.cluster import gpu_kinds

    return machine(threads, device, " and ".join(gpu_kinds()) or "none")


def device_of_calls(device: str) -> str:
    """What every call computes on. Of several GPUs each worker sees one, which so is the first to it.

    Args:
        device: as chosen, ``cpu``, ``cuda`` or ``cuda:N``; on a cluster a call sees the GPU that it was given.
    """
    return device.partition(":")[0] if spans_machines() else device


def workers_for(resources: Resources, items: int, cores: int | None, gpus: int) -> int:
    """How many calls run at a time on one machine.

    Args:
        cores: that may be used; None where GPUs alone are counted. gpus: that are there.
    """
    if resources.one_gpu:
        gpus = min(gpus, 1)
    room = items
    if cores is not None:
        room = cores // resources.threads
    if resources.gpus:
        room = min(room, int(gpus / resources.gpus))
    return max(1, min(room, items))


def _done(
    engine: str, function: Callable[[Item], Result], items: list[Item], resources: Resources
) -> Generator[tuple[int, Done[Result]], None, None]:
    if engine == "ray":
        from ramer.engine.cluster import run_on_cluster

        return run_on_cluster(function, items, resources.threads, resources.gpus)
    cores, gpus = wanted_workers(), _gpus() if resources.gpus else 0
    bound = None if resources.gpus and not os.environ.get(WORKERS) else cores  # a GPU has work for a core that waits
    workers = 1 if engine == "serial" else workers_for(resources, len(items), bound, gpus)
    if workers == 1:
        return ((number, call_here(function, item)) for number, item in enumerate(items))
    from ramer.engine.processes import run_in_processes

    return run_in_processes(function, items, workers, resources.threads, gpus=0 if resources.one_gpu else gpus)


def wanted_workers() -> int:
    """Cores that calls may use at a time, ``RAMER_WORKERS`` or all that this process has.

    Raises:
        ConfigError: ``RAMER_WORKERS`` is no such number.
    """
    asked = os.environ.get(WORKERS, "")
    if not asked:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not asked.isdecimal() or int(asked) < 1:
        raise ConfigError(f"{WORKERS}: expected a whole number of at least 1, got {asked!r}")
    return int(asked)


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()
