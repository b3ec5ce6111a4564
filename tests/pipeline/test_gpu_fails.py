"""A GPU that fails in the middle of a stage: the processor's bytes after one warning under ``auto``, else one line."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from ramer.config import Config
from ramer.errors import ConfigError
from ramer.pipeline.dump import dump
from ramer.pipeline.evaluate import evaluate
from ramer.pipeline.pretrain import pretrain
from ramer.pipeline.train import train
from ramer.project import Project
from stages._harness import plain_errors
from tests.support.contents import contents
from tests.support.full_gpu import NO_MEMORY, without_room
from tests.support.tiny_workspace import tiny_config

OneStage = tuple[Callable[[Config, Project, str], None], str, Callable[[Project, str], Path]]
STAGES: list[OneStage] = [
    (pretrain, "audio", Project.encoders),
    (dump, "audio", Project.states),
    (train, "zero_fill", Project.method),
    (evaluate, "zero_fill", Project.method_results),
]

each_stage = pytest.mark.parametrize("stage", STAGES, ids=[stage.__name__ for stage, _, _ in STAGES])


@pytest.fixture
def full_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The work itself finds no room."""
    with without_room(monkeypatch):
        yield


def _config(device: str) -> Config:
    return tiny_config({"zero_fill": {"type": "zero_fill"}}, runtime={"device": device})


@pytest.fixture(scope="module")
def on_cpu(workspace_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cpu") / "project"
    shutil.copytree(workspace_root, root)
    for stage, item, _ in STAGES:
        stage(_config("cpu"), Project(root), item)
    return root


@each_stage
@pytest.mark.usefixtures("full_gpu")
def test_auto_gives_the_bytes_of_the_processor_after_one_warning(
    stage: OneStage, on_cpu: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, item, written = stage
    root = shutil.copytree(on_cpu, tmp_path / "project")
    run(_config("auto"), Project(root), item)
    (said,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert said == f"a GPU is there and cannot be used ({NO_MEMORY}): the processor does the work"
    assert contents(written(Project(root), item), ".")
    assert contents(written(Project(root), item), ".") == contents(written(Project(on_cpu), item), ".")


@each_stage
@pytest.mark.usefixtures("full_gpu")
def test_a_gpu_that_was_named_is_one_line_and_what_to_set(stage: OneStage, on_cpu: Path, tmp_path: Path) -> None:
    run, item, written = stage
    root = shutil.copytree(on_cpu, tmp_path / "project")
    with pytest.raises(ConfigError) as refused:
        run(_config("cuda"), Project(root), item)
    (line,) = refused.value.faults
    assert line == (
        f"params.yaml: runtime.device: cuda cannot be used ({NO_MEMORY}); cpu or auto does without, and a smaller "
        "batch size needs less memory"
    )
    assert contents(written(Project(root), item), ".") == contents(written(Project(on_cpu), item), ".")


@pytest.mark.parametrize("raised", [torch.OutOfMemoryError(NO_MEMORY), RuntimeError("CUDA error: an illegal access")])
def test_what_no_stage_catches_is_one_line(
    raised: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, plain_errors(Project(tmp_path)):
        raise raised
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: params.yaml: runtime.device: the GPU cannot be used (CUDA ")
    assert "cpu does without" in line


@pytest.mark.parametrize(
    "said",
    [
        "Expected all tensors to be on the same device, but found cuda:0 and cpu",
        "CUDA error: device-side assert triggered",
        "CUDA error: CUBLAS_STATUS_INVALID_VALUE when calling `cublasSgemm`",
        "what a worker returned cannot be sent: [...]\nRuntimeError: CUDA error: unknown",
    ],
)
def test_a_fault_of_the_code_keeps_its_traceback(said: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), plain_errors(Project(tmp_path)):
        raise RuntimeError(said)
