"""How a process begins and ends: Ctrl+C, a closed or full standard output, a locale, a folder that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served_project import rows_of, run_report, save_npz

ROOT = Path(__file__).resolve().parents[1]


def run(
    command: str, *, cwd: Path = ROOT, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A line of the shell, in which $ramer is the command."""
    there = {**os.environ, "PYTHONPATH": str(ROOT), "ramer": f"{sys.executable} -m ramer", **(environment or {})}
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, env=there, capture_output=True, encoding="utf-8", timeout=300, check=False
    )


def interrupted_at(library: str, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A module as a program to which Ctrl+C comes as it imports a library."""
    code = f"""
import importlib.abc, os, runpy, signal, sys
class Interrupts(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {library!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
sys.argv[1:] = {list(arguments)!r}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""
    there = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=there, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(
    ("library", "module", "arguments"),
    [
        ("pydantic", "stages.check", ()),
        ("numpy", "stages.train", ("prior",)),
        ("typer", "ramer", ("--help",)),
        ("pydantic", "ramer", ("report",)),
        ("numpy", "ramer", ("predict", "absent.npz")),
    ],
)
def test_ctrl_c_during_imports_is_a_line_at_most(library: str, module: str, arguments: tuple[str, ...]) -> None:
    ended = interrupted_at(library, module, *arguments)
    assert (ended.returncode, ended.stdout) == (128 + signal.SIGINT, "")
    assert ended.stderr in ("", "interrupted\n")  # nothing where it is the parser of options that imports


@pytest.mark.parametrize("command", ["predict x.npz", "report", "report --csv", "neighbours x"])
def test_a_result_that_cannot_be_printed_is_refused(command: str) -> None:
    ended = run(f"$ramer {command} >&-")
    assert ended.returncode == 2
    assert ended.stderr == "error: standard output is closed, expected it open: the result is printed there\n"


def test_a_fault_is_no_result_where_standard_error_is_closed(tmp_path: Path) -> None:
    ended = run(f"$ramer predict /absent.npz --model {tmp_path} 2>&-")
    assert (ended.returncode, ended.stdout) == (2, "")


def test_a_full_disk_under_the_help_is_one_line() -> None:
    ended = run("$ramer --help >/dev/full")
    assert ended.returncode == 2
    assert ended.stderr == "error: standard output: No space left on device; free some space and run it again\n"


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    ended = run("rmdir ../gone; $ramer predict /absent.npz", cwd=tmp_path / "gone")
    assert ended.returncode == 2
    assert ended.stderr == "error: the current folder is gone; change to one that is there\n"


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_what_a_locale_cannot_write_is_escaped(environment: dict[str, str], served: Path, tmp_path: Path) -> None:
    clips = save_npz(tmp_path / "x.npz", served, rows_of(served)[:1], ids=["笑"])
    ended = run(f"$ramer predict {clips} --model {served}", environment=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[1].startswith("\\u7b11,")
    run_report(served, tmp_path / "project")
    ended = run(f"$ramer report --project {tmp_path / 'project'}", environment=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
