"""Libraries are held to AVX2 before any of them loads, so that another processor gives the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ramer.errors import ConfigError
from ramer.instructions import PORTABLE, hold_instructions
from tests.support.closure import ROOT

LARGE = ("numpy", "pandas", "torch", "faiss", "pyarrow", "scipy", "sklearn")


def python(code: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in PORTABLE}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("portable", [True, False])
def test_what_is_loaded_afterwards_is_held_without_a_warning(portable: bool) -> None:
    flags = Path("/proc/cpuinfo").read_text("utf-8")
    if "avx512f" not in flags:
        pytest.skip("this processor has nothing newer than AVX2")
    found = python(
        f"from ramer.instructions import hold_instructions; hold_instructions({portable})\n"
        "import torch, numpy\n"
        "from numpy._core._multiarray_umath import __cpu_features__ as features\n"
        "print(torch.backends.cpu.get_cpu_capability(), features['X86_V4'], features['AVX2'])"
    )
    assert found == ("AVX2 False True" if portable else "AVX512 True True")


@pytest.mark.parametrize("module", ["stages._harness", "ramer.config", "ramer.cli", "ramer.instructions"])
def test_nothing_large_is_loaded_before(module: str) -> None:
    assert python(f"import sys, {module}; print([m for m in {LARGE} if m in sys.modules])") == "[]"


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is put back afterwards."""
    for name in PORTABLE:
        monkeypatch.setenv(name, "")


@pytest.mark.usefixtures("untouched")
def test_a_processor_without_avx2_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nflags\t\t: fpu sse sse2 avx\n", "utf-8")
    with pytest.raises(ConfigError, match=r"params\.yaml: runtime\.portable: this processor has no AVX2") as caught:
        hold_instructions(True, tmp_path / "cpuinfo")
    assert len(caught.value.faults) == 1
    hold_instructions(False, tmp_path / "cpuinfo")
    assert {os.environ[name] for name in PORTABLE} == {""}


@pytest.mark.usefixtures("untouched")
def test_where_the_system_does_not_tell_libraries_are_held(tmp_path: Path) -> None:
    hold_instructions(True, tmp_path / "absent")
    assert {name: os.environ[name] for name in PORTABLE} == PORTABLE


def test_a_processor_without_any_of_the_newer_instructions_has_a_name() -> None:
    script = "from ramer.seeding import machine; print(machine(1, 'cpu'))"
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL"}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "baseline, cpu, 1" in ran.stdout, ran.stderr
