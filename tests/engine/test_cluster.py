"""A Ray cluster of two nodes gives the bytes of one process, also when one of them is lost."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ramer import engine
from ramer.digests import digest_files
from ramer.errors import ConfigError
from ramer.instructions import PORTABLE, THREADS
from ramer.project import Project
from tests.support.clone import Clone
from tests.support.closure import ROOT
from tests.support.ray_cluster import RayCluster, ray_cluster

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
ONE_THREAD = dict.fromkeys(THREADS, "1")


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as started:
        yield started


_FAILING = """
from pathlib import Path
from ramer import engine
from ramer.errors import CorpusError
from tests.engine.test_cluster import whereabouts, refuse
found = engine.map(whereabouts, [3, 1, 2], description="test")
print([value for value, _, _ in found], len({pid for _, pid, _ in found}) > 0, {folder for _, _, folder in found})
try:
    engine.map(refuse, ["first", "second"], description="test")
except CorpusError as error:
    print(error.faults)
"""


def whereabouts(number: int) -> tuple[int, int, str]:
    return 10 * number, os.getpid(), os.getcwd()


def refuse(name: str) -> None:
    from ramer.errors import CorpusError

    raise CorpusError([f"{name}: one", f"{name}: two"])


@needs_ray
@pytest.mark.slow
def test_results_come_in_order_and_faults_keep_their_type(cluster: RayCluster) -> None:
    environment = {**os.environ, "RAMER_ENGINE": "ray", "RAY_ADDRESS": cluster.address}
    command = [sys.executable, "-c", _FAILING]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"[30, 10, 20] True {{'{ROOT}'}}", "['first: one', 'first: two']"]


_STAGES = """
import sys
from pathlib import Path
from ramer.pipeline.evaluate import evaluate
from ramer.pipeline.train import train
from ramer.project import Project
from tests.support.tiny_workspace import ENCODER, build_workspace, tiny_config
encoder = {**ENCODER, "epochs": int(sys.argv[2]), "patience": int(sys.argv[2])}
config = tiny_config(
    {"ramer": {"type": "ramer", "k": 3}},
    prepare={"seeds": [0, 1]},
    pretrain=dict.fromkeys(("audio", "video", "text"), encoder),
    dump={"crossfit": 2},
)
build_workspace(config, Path(sys.argv[1]))
train(config, Project(Path(sys.argv[1])), "ramer")
evaluate(config, Project(Path(sys.argv[1])), "ramer")
"""


def _start(engine_name: str, address: str, root: Path, epochs: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "RAMER_ENGINE": engine_name, "RAY_ADDRESS": address, **PORTABLE, **ONE_THREAD}
    command = [sys.executable, "-c", _STAGES, str(root), str(epochs)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("lost", [False, True], ids=["two nodes", "both lost in the middle"])
def test_every_file_is_that_of_one_process(cluster: RayCluster, tmp_path: Path, lost: bool) -> None:
    epochs = 600 if lost else 3
    for name in ("serial", "ray"):
        stages = _start(name, cluster.address, tmp_path / name, epochs)
        if lost and name == "ray":
            _wait_for_training(tmp_path / name)
            for _ in range(2):
                cluster.kill_node()
        _, said = stages.communicate()
        assert stages.returncode == 0, said
    one, other = (  # how long it took is noted beside the outputs
        digest_files(root, [root / part for part in ("data", "models", "results")])
        for root in (tmp_path / "serial", tmp_path / "ray")
    )
    assert len(one) > 40
    assert one == other


def _wait_for_training(root: Path) -> None:
    """Until the folder of the first encoders is there, and their tasks have had a while to begin."""
    for _ in range(2400):
        if list(Project(root).encoders("audio").parent.glob(".audio.*")):
            break
        time.sleep(0.05)
    time.sleep(5)


@needs_ray
@pytest.mark.slow
def test_the_lock_is_that_of_the_local_run(cluster: RayCluster, tmp_path: Path) -> None:
    clones = [Clone.create(tmp_path / name, tmp_path) for name in ("local", "ray")]
    clones[1].environment |= {
        "RAMER_ENGINE": "ray",
        "RAY_ADDRESS": cluster.address,
        "PYTHONPATH": str(clones[1].path),
    }
    for clone in clones:
        clone.run("dvc", "repro")
    assert clones[0].text("dvc.lock") == clones[1].text("dvc.lock")


_ROOM = """
import operator, sys, threading
from ramer import engine
from ramer.engine import cluster
from ramer.errors import RamerError
cluster.JOIN_SECONDS = float(sys.argv[2])
if sys.argv[3:]:
    print(engine.device_for("auto"), engine.device_for("cuda:3"), engine.machine_for(1, "cuda").split()[-3], flush=True)
try:
    print(engine.map(operator.neg, [1, 2], resources=eval(sys.argv[1]), description="test"))
except RamerError as error:
    print(*error.faults, sep="\\n")
import torch
assert not torch.cuda.is_initialized()
"""


def _ask(cluster: RayCluster, resources: str, seconds: float, *more: str) -> subprocess.Popen[str]:
    """What an interpreter prints that asks for such resources, with so many seconds for a node that has them."""
    environment = {**os.environ, "RAMER_ENGINE": "ray", "RAY_ADDRESS": cluster.address}
    command = [sys.executable, "-c", _ROOM, f"engine.{resources}", str(seconds), *more]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize(
    ("resources", "asked"),
    [("Resources(threads=2)", "2 cores and 0 GPUs"), ("Resources.on('cuda', 1)", "1 core and 1 GPU")],
)
def test_what_no_node_has_is_refused(cluster: RayCluster, resources: str, asked: str) -> None:
    out, _ = _ask(cluster, resources, 1.0).communicate(timeout=60)
    assert out.splitlines() == [
        f"Ray: a task asks for {asked} (runtime.threads, runtime.device), the largest node has 1 core and 0 GPUs; none "
        "that has more joined in 1 s"
    ]


@needs_ray
@pytest.mark.slow
def test_gpus_are_those_of_the_cluster(
    cluster: RayCluster,
) -> None:
    """Ray counts a GPU that is not there: whether it works shows in the task that gets it."""
    before = _ask(cluster, "Resources()", 60.0, "device")
    assert before.communicate(timeout=60)[0].splitlines() == ["cpu cuda none,", "[-1, -2]"]
    waiting = _ask(cluster, "Resources.on('cuda', 1)", 60.0)
    cluster.add_gpu()
    assert waiting.communicate(timeout=90)[0].splitlines() == ["[-1, -2]"]
    after = _ask(cluster, "Resources()", 60.0, "device")
    assert after.communicate(timeout=60)[0].splitlines() == ["cuda cuda GPU,", "[-1, -2]"]


@needs_ray
@pytest.mark.parametrize(
    ("address", "said"),
    [("127.0.0.1:1", "no cluster at '127.0.0.1:1'"), ("127.0.0.1:99999", "no cluster at '127.0.0.1:99999'")],
)
def test_an_address_without_a_cluster_is_one_line(monkeypatch: pytest.MonkeyPatch, address: str, said: str) -> None:
    monkeypatch.setenv("RAMER_ENGINE", "ray")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match=f"RAY_ADDRESS: {said}") as caught:
        engine.map(abs, [1, 2], description="test")
    assert len(caught.value.faults) == 1


def test_without_ray_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAMER_ENGINE", "ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"RAMER_ENGINE: ray is not installed: pip install 'ramer\[ray\]'"):
        engine.map(abs, [1, 2], description="test")
