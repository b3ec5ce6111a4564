"""A stage loads what it works with, and nothing that takes a second for nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ramer.files import write_json
from ramer.methods import available_types, method_class
from ramer.project import Project
from tests.support.closure import ROOT
from tests.support.tiny_workspace import tiny_config

WITHOUT = {
    "prepare": ("torch", "faiss", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "index": ("torch", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "retrieve": ("torch", "pandas", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "report": ("torch", "faiss", "sklearn", "mlflow"),
    "track": ("torch", "faiss", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "pretrain": ("pandas", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "dump": ("pandas", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "train": ("torch", "pandas", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "evaluate": ("torch", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
}
NUMPY_ALONE = ("label_knn", "late_product", "prior", "unimodal_ensemble")


@pytest.mark.slow
@pytest.mark.parametrize("stage", WITHOUT)
def test_a_stage_loads_no_library_that_it_does_not_work_with(stage: str) -> None:
    asked = f"print(*(m for m in {WITHOUT[stage]} if m in sys.modules))"
    code = f"import sys; from stages.{stage} import stage; stage(); {asked}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def run_in(folder: Path, code: str) -> str:
    """What some code printed in a folder, where no GPU is to be seen."""
    environment = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "RAMER_WORKERS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def after(folder: Path, stage: str, item: str, *libraries: str) -> str:
    """Those of some libraries that a stage has loaded when it is done."""
    started = f"import runpy, sys; sys.argv[1:] = ['{item}']; runpy.run_module('stages.{stage}', run_name='__main__')"
    return run_in(folder, f"{started}; print(*(m for m in {libraries} if m in sys.modules))")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "item", "libraries"),
    [
        ("dump", "audio", ("pandas", "sklearn", "scipy")),
        ("retrieve", "audio", ("torch", "pandas", "sklearn", "scipy")),
        ("train", "prior", ("torch", "pandas", "sklearn", "scipy")),
        ("train", "zero_fill", ("pandas", "sklearn", "scipy")),
    ],
)
def test_a_stage_does_without_a_library_to_the_end(
    stage: str, item: str, libraries: tuple[str, ...], workspace_root: Path, tmp_path: Path
) -> None:
    project = Project(shutil.copytree(workspace_root, tmp_path / "project"))
    entries = {name: {"type": name} for name in ("prior", "zero_fill")}
    write_json(project.params, tiny_config(entries).model_dump())
    assert after(project.root, stage, item, *libraries) == ""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["blend", "ramer", "ramer_plus"])
def test_a_method_loads_scipy_only_where_it_is_fitted(method: str) -> None:
    libraries = ("scipy", "sklearn", "matplotlib", "mlflow")
    code = f"import sys, ramer.methods.{method}; print(*(m for m in {libraries} if m in sys.modules))"
    assert run_in(ROOT, code) == ""


def test_methods_that_compute_with_numpy_alone_say_so() -> None:
    assert tuple(kind for kind in available_types() if not method_class(kind).uses_device) == NUMPY_ALONE


@pytest.mark.slow
@pytest.mark.parametrize("method", NUMPY_ALONE)
def test_a_method_of_numpy_alone_loads_no_torch_and_looks_for_no_gpu(
    method: str, workspace_root: Path, tmp_path: Path
) -> None:
    project = Project(shutil.copytree(workspace_root, tmp_path / "project"))
    entry = {"type": method} | ({"k": 8} if method == "label_knn" else {})
    write_json(project.params, tiny_config({"mine": entry}, runtime={"device": "cuda"}).model_dump())
    for code in ("train", f"methods/{method}"):
        write_json(project.code_of(code), {})
    for stage in ("train", "evaluate"):
        assert after(project.root, stage, "mine", "torch") == ""
    assert project.method_results("mine").is_dir()
