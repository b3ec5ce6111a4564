"""A stage loads what it works with, and nothing that takes a second for nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.closure import ROOT

WITHOUT = {
    "prepare": ("torch", "faiss", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "index": ("torch", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "retrieve": ("torch", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "report": ("torch", "faiss", "sklearn", "mlflow"),
    "track": ("torch", "faiss", "sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "pretrain": ("sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "dump": ("sklearn", "scipy", "matplotlib", "mlflow", "rich"),
    "train": ("sklearn", "scipy", "matplotlib", "mlflow", "rich"),
}


@pytest.mark.slow
@pytest.mark.parametrize("stage", WITHOUT)
def test_a_stage_loads_no_library_that_it_does_not_work_with(stage: str) -> None:
    asked = f"print(*(m for m in {WITHOUT[stage]} if m in sys.modules))"
    code = f"import sys; from stages.{stage} import stage; stage(); {asked}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
