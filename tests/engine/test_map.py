"""Items shared out to several processes give what one process gives, and their faults arrive."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ramer import engine
from ramer.engine import processes
from ramer.errors import ConfigError, CorpusError, RamerError
from ramer.progress import in_worker


@pytest.fixture(autouse=True)
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMER_WORKERS", "2")
    monkeypatch.delenv("RAMER_ENGINE", raising=False)
    monkeypatch.setattr(processes, "START_SECONDS", 0.0)


def _whereabouts(folder: Path, number: int) -> tuple[int, int, bool, str]:
    """Waits until two processes are at it, so that both have a share."""
    (folder / str(os.getpid())).touch()
    for _ in range(600):
        if len(list(folder.iterdir())) > 1:
            break
        time.sleep(0.05)
    logging.getLogger("mapped").warning("number %d", number)
    return 10 * number, os.getpid(), in_worker(), os.environ["OMP_NUM_THREADS"]


def test_results_come_in_order_from_this_process_and_another(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = engine.map(partial(_whereabouts, tmp_path), [3, 1, 2], description="test")
    assert [value for value, *_ in found] == [30, 10, 20]
    assert len({pid for _, pid, *_ in found}) == 2
    assert {inside for _, pid, inside, _ in found if pid != os.getpid()} == {True}
    assert {threads for *_, threads in found} == {"1"}
    assert sorted(record.getMessage() for record in caplog.records) == ["number 1", "number 2", "number 3"]
    assert not in_worker()


def _process(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize(
    ("name", "workers", "resources"),
    [
        ("serial", "2", engine.Resources()),
        ("local", "1", engine.Resources()),
        ("local", "2", engine.Resources(threads=2)),
        ("local", "8", engine.Resources.on("cuda", 1)),
    ],
)
def test_one_worker_or_one_gpu_stays_in_this_process(
    monkeypatch: pytest.MonkeyPatch, name: str, workers: str, resources: engine.Resources
) -> None:
    monkeypatch.setenv("RAMER_ENGINE", name)
    monkeypatch.setenv("RAMER_WORKERS", workers)
    assert set(engine.map(_process, [1, 2, 3], resources=resources, description="test")) == {os.getpid()}


def test_work_that_is_over_at_once_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "START_SECONDS", 30.0)
    begun = time.monotonic()
    assert set(engine.map(_process, range(5), description="test")) == {os.getpid()}
    assert time.monotonic() - begun < 10


def _nested(_: int) -> list[int]:
    return engine.map(_process, [1, 2, 3], description="inner")


def test_a_call_within_a_call_runs_where_it_is() -> None:
    assert all(len(set(inner)) == 1 for inner in engine.map(_nested, [1, 2], description="test"))


def _refuse(name: str) -> None:
    raise CorpusError([f"{name}: one", f"{name}: two"])


def test_a_fault_keeps_its_type_and_lines_and_is_the_first_items() -> None:
    with pytest.raises(CorpusError) as caught:
        engine.map(_refuse, ["first", "second"], description="test")
    assert caught.value.faults == ["first: one", "first: two"]


def test_a_killed_worker_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(RamerError, match="set RAMER_WORKERS below 2") as caught:
        engine.map(partial(_killed_after_both_began, tmp_path, os.getpid()), [1, 2], description="test")
    assert len(caught.value.faults) == 1


def test_a_killed_worker_tells_a_number_that_gives_fewer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAMER_WORKERS", "5")
    two = engine.Resources(threads=2)
    with pytest.raises(RamerError) as caught:
        engine.map(partial(_killed_after_both_began, tmp_path, os.getpid()), [1, 2], resources=two, description="test")
    told = int(caught.value.faults[0].rpartition(" ")[2])
    assert engine.workers_for(two, 2, told, 0) == 2
    assert engine.workers_for(two, 2, told - 1, 0) == 1


def _killed_after_both_began(folder: Path, parent: int, number: int) -> None:
    _whereabouts(folder, number)
    if os.getpid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _divide_elsewhere(folder: Path, parent: int, number: int) -> None:
    _whereabouts(folder, number)
    if os.getpid() != parent:
        _ = number // 0


def test_a_fault_of_the_code_tells_where_in_the_worker_it_was(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        engine.map(partial(_divide_elsewhere, tmp_path, os.getpid()), [1, 2], description="test")
    assert "_divide_elsewhere" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("workers", ["many", "0", "-1"])
def test_a_bad_number_of_workers_is_refused(monkeypatch: pytest.MonkeyPatch, workers: str) -> None:
    monkeypatch.setenv("RAMER_WORKERS", workers)
    with pytest.raises(ConfigError, match=f"expected a whole number of at least 1, got '{workers}'"):
        engine.map(abs, [1, 2], description="test")


def test_an_unknown_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMER_ENGINE", "spark")
    with pytest.raises(ConfigError, match="RAMER_ENGINE: expected one of serial, local, ray, got 'spark'"):
        engine.map(abs, [1, 2], description="test")


def _seen_gpu(folder: Path, number: int) -> tuple[int, str]:
    _, pid, *_ = _whereabouts(folder, number)
    return pid, os.environ.get("CUDA_VISIBLE_DEVICES", "")


@pytest.mark.parametrize(("named", "second"), [("", "1"), ("3, 5", "5")])
def test_each_worker_has_a_gpu_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str, second: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    asked = [1, 2, 3, 4, 5]
    ended = processes.run_in_processes(partial(_seen_gpu, tmp_path), asked, workers=2, threads=1, gpus=2)
    seen = {done.result() for _, done in ended}
    assert {gpu for pid, gpu in seen if pid == os.getpid()} == {named}  # all: what it computes on is the first
    assert {gpu for pid, gpu in seen if pid != os.getpid()} == {second}


def test_of_several_gpus_no_call_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_gpus", lambda: 2)
    assert engine.device_of_calls("cuda") == "cuda"


def test_gpus_have_no_more_workers_than_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_gpus", lambda: 4)
    monkeypatch.setenv("RAMER_WORKERS", "1")
    resources = engine.Resources.on("cuda", 1)
    assert set(engine.map(_process, [1, 2, 3], resources=resources, description="test")) == {os.getpid()}


def test_a_gpu_that_was_named_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine.device_of_calls("cuda:1") == "cuda:1"
    assert engine.device_of_calls("cpu") == "cpu"
    monkeypatch.setenv(engine.VARIABLE, "ray")  # there a call sees the one that it was given, as the first
    assert engine.device_of_calls("cuda:1") == "cuda"


@pytest.mark.parametrize(
    ("resources", "cores", "gpus", "workers"),
    [
        (engine.Resources(), 4, 0, 4),
        (engine.Resources(), 16, 0, 5),
        (engine.Resources(threads=3), 7, 0, 2),
        (engine.Resources(threads=3), 2, 0, 1),
        (engine.Resources(1, 1.0), 16, 2, 2),
        (engine.Resources(1, 1.0), None, 2, 2),
        (engine.Resources(1, 1.0), 1, 2, 1),
        (engine.Resources(1, 0.5), 16, 2, 4),
        (engine.Resources(1, 1.0), 16, 0, 1),
        (engine.Resources.on("cuda", 1), 16, 3, 3),
        (engine.Resources.on("cuda:1", 1), 16, 3, 1),
    ],
)
def test_workers_fill_what_there_is(resources: engine.Resources, cores: int | None, gpus: int, workers: int) -> None:
    assert engine.workers_for(resources, 5, cores, gpus) == workers


def _note_and_wait(folder: Path, number: int) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(60)


_INTERRUPTED = """
import os, sys
from functools import partial
from pathlib import Path
from ramer import engine
from ramer.engine import processes
from tests.engine.test_map import _note_and_wait
processes.START_SECONDS = 0.0
engine.map(partial(_note_and_wait, Path(sys.argv[1])), [1, 2, 3], description="test")
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _INTERRUPTED, str(tmp_path)], stderr=subprocess.DEVNULL) as parent:
        _wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
        workers = [int(path.name) for path in tmp_path.iterdir() if int(path.name) != parent.pid]
        parent.send_signal(how)
        parent.wait(30)
    _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))


def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("waited for half a minute")


@pytest.mark.slow
def test_a_script_without_a_guard_is_not_run_again_by_its_workers(tmp_path: Path) -> None:
    """And nothing forks a process that has threads: a newer Python warns of it, here as everywhere an error."""
    script = tmp_path / "script.py"
    script.write_text(_INTERRUPTED.replace("_note_and_wait", "_whereabouts") + "print('once')\n", "utf-8")
    command = [sys.executable, "-W", "error::DeprecationWarning:os", "-W", "error", str(script), str(tmp_path / "seen")]
    (tmp_path / "seen").mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout) == (0, "once\n"), done.stderr
    assert len(list((tmp_path / "seen").iterdir())) == 2
