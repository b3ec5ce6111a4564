"""Calls as plain tasks of a Ray cluster, whose machines see the project's folder under the same path.

A task whose machine or process is gone is given to another one: its output is written anew, and is the same.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import sys
import time
from collections.abc import Callable, Generator, Sequence
from types import ModuleType
from typing import Any, TypeVar

from ramer.config import RAY_ADDRESS, RAY_ADDRESS_SETTING
from ramer.engine.calls import Done, Job, work_on
from ramer.errors import ConfigError, RamerError

Item = TypeVar("Item")
Result = TypeVar("Result")

ANSWER_SECONDS = 10.0  # that an address has to take a connection
JOIN_SECONDS = 15.0  # that a node which has what a task asks for may take to join, before work is begun
LOST_SECONDS = 300.0  # the same where one had it and is gone
_LOOK_SECONDS = 2.0  # between two looks at the nodes
RETRIES = 3  # of a task whose machine or process is gone
_CPU, _GPU, _KIND = "CPU", "GPU", "accelerator_type:"  # Ray's names of what a node has
# What a task takes over from here: everything else of the environment belongs to the machine that it runs on.
_TAKEN_OVER = ("RAMER_", "OMP_", "MKL_", "OPENBLAS_", "ATEN_", "ONEDNN_", "NPY_", "FAISS_", "CUBLAS_", "PYTHONHASHSEED")


def run_on_cluster(
    function: Callable[[Item], Result], items: Sequence[Item], threads: int, gpus: float
) -> Generator[tuple[int, Done[Result]], None, None]:
    """Numbers of items and what their calls gave, as they end; tasks that are left are cancelled at the end.

    Args:
        threads: cores of a task. gpus: its share of a GPU.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at ``RAY_ADDRESS``, by the setting that named it.
        RamerError: no node has what a task asks for, and none that has it joined in ``JOIN_SECONDS``; or such nodes are
            gone for ``LOST_SECONDS``.
    """
    ray = _connected()
    _await_node(ray, threads, gpus, JOIN_SECONDS)
    told, folder = ray.put(Job.packed(function, items)), os.getcwd()
    remote = ray.remote(_task).options(
        num_cpus=threads, num_gpus=gpus, max_retries=RETRIES, runtime_env={"env_vars": _environment(threads)}
    )
    left = {remote.remote(told, folder, threads, number): number for number in range(len(items))}
    try:
        while left:
            ended, _ = ray.wait(list(left), num_returns=1, timeout=_LOOK_SECONDS)
            if not ended:  # Ray itself would wait for ever
                _await_node(ray, threads, gpus, LOST_SECONDS)
            for reference in ended:
                yield left.pop(reference), _done(ray, reference)
    finally:
        for reference in left:
            ray.cancel(reference, force=True)


def gpu_kinds() -> list[str]:
    """Kinds of the GPUs that the cluster's nodes have now; empty where none has one.

    Raises:
        ConfigError: as ``run_on_cluster``.
    """
    nodes = [node for node in _nodes(_connected()) if node.get(_GPU, 0.0) > 0]
    kinds = (name.removeprefix(_KIND) for node in nodes for name in node if name.startswith(_KIND))
    return sorted(set(kinds)) or ["GPU"] * bool(nodes)


def _nodes(ray: ModuleType) -> list[dict[str, float]]:
    """What each node that is there has, whoever uses it now."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _await_node(ray: ModuleType, threads: int, gpus: float, seconds: float) -> None:
    """Return once a node has what a task asks for.

    Raises:
        RamerError: none came in these seconds.
    """
    until = time.monotonic() + seconds
    while True:
        nodes = _nodes(ray)
        if any(node.get(_CPU, 0.0) >= threads and node.get(_GPU, 0.0) >= gpus for node in nodes):
            return
        if time.monotonic() >= until:
            break
        time.sleep(min(_LOOK_SECONDS, seconds))
    largest = max(nodes, key=lambda node: (bool(gpus) * node.get(_GPU, 0.0), node.get(_CPU, 0.0)), default={})
    asked, had = _told(threads, gpus), _told(largest.get(_CPU, 0.0), largest.get(_GPU, 0.0))
    raise RamerError(
        f"Ray: a task asks for {asked} (runtime.threads, runtime.device), the largest node has {had}; none that has "
        f"more joined in {seconds:.0f} s"
    )


def _told(cores: float, gpus: float) -> str:
    return f"{cores:g} core{'s' * (cores != 1)} and {gpus:g} GPU{'s' * (gpus != 1)}"


def _done(ray: ModuleType, reference: Any) -> Done[Any]:
    try:
        return pickle.loads(ray.get(reference))  # noqa: S301  # from our own task
    except ray.exceptions.RayError as error:
        why = str(error).strip().splitlines()
        said = why[0] if why else type(error).__name__
        return Done(error=RamerError(f"Ray: a task was lost, tried {RETRIES + 1} times: {said}"))


def _task(told: bytes, folder: str, threads: int, number: int) -> bytes:
    from ramer.progress import become_worker
    from ramer.seeding import set_threads

    become_worker()
    os.chdir(folder)
    set_threads(threads)
    return next(iter(work_on(told, [number])))


def _environment(threads: int) -> dict[str, str]:
    """Of a task's process, before it loads any library."""
    taken = {name: value for name, value in os.environ.items() if name.startswith(_TAKEN_OVER)}
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    return taken | counts | {"PYTHONPATH": path}


def _check_answers(address: str) -> None:
    """Ray itself waits a minute for a machine that is not there."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(f"no cluster at {address!r}", error) from None


def _no_cluster(where: str, error: Exception) -> ConfigError:
    said = " ".join(str(error).split())[:150]
    setting = os.environ.get(RAY_ADDRESS_SETTING, RAY_ADDRESS)
    return ConfigError(f"{setting}: {where} (`ray start --head` starts one): {said}")


def _connected() -> ModuleType:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ConfigError("RAMER_ENGINE: ray is not installed: pip install 'ramer[ray]'") from None
    if ray.is_initialized():
        return ray
    address = os.environ.get(RAY_ADDRESS) or "auto"
    _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = f"no cluster at {address!r}" if address != "auto" else "not set, and no cluster runs on this machine"
        raise _no_cluster(where, error) from None
    return ray
