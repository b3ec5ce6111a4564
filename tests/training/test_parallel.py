"""Replicates in several processes give what one process gives, and their faults arrive."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ramer.errors import ConfigError, CorpusError, RamerError
from ramer.progress import in_worker
from ramer.training.parallel import map_replicates


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As every stage has it before it forks."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_from_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMER_WORKERS", "2")
    data = np.arange(10)  # a closure: nothing is pickled on the way there
    found = map_replicates(
        lambda i: (int(data[i]), os.getpid(), in_worker()), [3, 1, 2], "test", threads=1, device="cpu"
    )
    assert [value for value, _, _ in found] == [3, 1, 2]
    assert os.getpid() not in {pid for _, pid, _ in found}
    assert all(inside for _, _, inside in found)
    assert not in_worker()


@pytest.mark.parametrize(
    ("workers", "threads", "device"), [("1", 1, "cpu"), ("2", 2, "cpu"), ("2", 1, "cuda"), ("2", 1, "cuda:1")]
)
def test_one_worker_threads_and_gpus_stay_in_this_process(
    monkeypatch: pytest.MonkeyPatch, workers: str, threads: int, device: str
) -> None:
    monkeypatch.setenv("RAMER_WORKERS", workers)
    assert set(map_replicates(lambda _: os.getpid(), [1, 2], "test", threads=threads, device=device)) == {os.getpid()}


def test_a_process_with_a_pool_of_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMER_WORKERS", "2")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        found = map_replicates(lambda _: os.getpid(), [1, 2], "test", threads=1, device="cpu")
    finally:
        torch.set_num_threads(before)
    assert set(found) == {os.getpid()}


def test_a_fault_keeps_its_type_and_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMER_WORKERS", "2")

    def refuse(name: str) -> None:
        raise CorpusError([f"{name}: one", f"{name}: two"])

    with pytest.raises(CorpusError) as caught:
        map_replicates(refuse, ["first", "second"], "test", threads=1, device="cpu")
    assert caught.value.faults == ["first: one", "first: two"]


def test_a_killed_worker_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMER_WORKERS", "2")
    with pytest.raises(RamerError, match="set RAMER_WORKERS below 2"):
        map_replicates(lambda _: os.kill(os.getpid(), 9), [1, 2], "test", threads=1, device="cpu")


def test_a_bad_number_of_workers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMER_WORKERS", "many")
    with pytest.raises(ConfigError, match="expected a whole number of at least 1, got 'many'"):
        map_replicates(abs, [1, 2], "test", threads=1, device="cpu")


def test_a_worker_ends_nothing_that_its_parent_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ending a decoder of pictures in a forked process waits for threads that are not there, for ever."""
    monkeypatch.setenv("RAMER_WORKERS", "2")

    class Left:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            (tmp_path / str(os.getpid())).touch()

    Left()
    pids = map_replicates(lambda _: gc.collect() * 0 + os.getpid(), [0, 1], "test", threads=1, device="cpu")
    assert os.getpid() not in pids
    assert not any((tmp_path / str(pid)).exists() for pid in pids)
    assert gc.get_freeze_count() == 0
