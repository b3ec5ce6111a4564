"""``ramer init``: a project from what is installed, alone in its repository."""

from __future__ import annotations

import filecmp
import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

from ramer.files import read_json
from ramer.pipeline.new_project import COPIED, make_project
from ramer.project import Project
from tests.support.clone import Clone
from tests.support.closure import ROOT
from tests.support.commands import call, refused


def committed(folder: str) -> set[str]:
    """Files of the repository that git knows or would take."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    return set(subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split())


def files_of(folder: Path) -> set[str]:
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return {p.as_posix() for p in found if p.parts[0] != ".git"}


def test_a_project_holds_the_pipeline_and_its_code_and_nothing_else(tmp_path: Path) -> None:
    code, out, err = call("init", tmp_path / "mine")
    assert (code, err) == (0, "")
    assert "dvc repro" in out
    expected = set().union(*(committed(name) for name in (*COPIED, "ramer")))
    assert files_of(tmp_path / "mine") == expected
    assert not {name for name in expected if Path(name).name == "dvc.lock"}
    _, different, missing = filecmp.cmpfiles(ROOT, tmp_path / "mine", expected, shallow=False)
    assert (different, missing) == ([], [])
    assert (tmp_path / "mine" / ".git").is_dir()


def test_what_init_says_next_can_be_pasted(tmp_path: Path) -> None:
    folder = tmp_path / "my project; it's mine"
    code, out, _ = call("init", folder)
    assert code == 0
    change = next(line for line in out.splitlines() if "cd " in line).split(" && ")[0].strip()
    told = subprocess.run(["sh", "-c", f"{change} && pwd"], capture_output=True, text=True, check=True).stdout
    assert told == f"{folder}\n"


def test_an_empty_git_repository_is_kept(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "trunk", str(tmp_path)], check=True)
    make_project(tmp_path)
    head = (tmp_path / ".git" / "HEAD").read_text("utf-8")
    assert head == "ref: refs/heads/trunk\n"
    assert Project(tmp_path).pipeline.is_file()


def test_where_git_fails_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\necho no more >&2\nexit 1\n", "utf-8")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert refused("init", tmp_path / "mine").endswith("mine: git init failed: no more")
    assert not (tmp_path / "mine").exists() or files_of(tmp_path / "mine") == set()


@pytest.mark.parametrize(
    ("held", "said"), [(["notes.txt"], "holds notes.txt,"), (["a", "b", "c"], "holds a and 2 more,")]
)
def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path, held: list[str], said: str) -> None:
    for name in held:
        (tmp_path / name).write_text("mine", "utf-8")
    line = refused("init", tmp_path)
    assert line == f"{tmp_path}: {said} expected an empty folder or an empty git repository"
    assert files_of(tmp_path) == set(held)


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("", "utf-8")
    assert "a file, expected a folder" in refused("init", tmp_path / "mine")


def test_what_a_killed_init_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".ramer-init" / "ramer").mkdir(parents=True)
    make_project(tmp_path)
    assert not (tmp_path / ".ramer-init").exists()
    assert Project(tmp_path).pipeline.is_file()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The binaries of an environment that has the built wheel; all else comes from the environment of the tests."""
    source, wheels = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    for name in committed("."):
        if name.split("/")[0] not in ("tests", "docs", "benchmarks") and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    quiet = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    built = ["wheel", *quiet, "--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *built], check=True, capture_output=True)
    (wheel,) = wheels.glob("ramer-*.whl")
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", *quiet, str(wheel)], check=True)
    (own,) = environment.glob("lib/python*/site-packages")
    # After the wheel's own folder; the editable install of this repository is no path, so it is not seen.
    (own / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n", "utf-8")
    (environment / "bin" / "dvc").write_text(
        f"#!{python}\nfrom dvc.cli import main\nraise SystemExit(main())\n", "utf-8"
    )
    (environment / "bin" / "dvc").chmod(0o755)
    return environment / "bin"


@pytest.fixture
def elsewhere(installed: Path, tmp_path: Path) -> Clone:
    """Commands of that environment in a folder of their own, with an empty home."""
    clone = Clone(tmp_path / "mine", tmp_path)
    clone.environment |= {"PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"}
    clone.environment.pop("PYTHONPATH", None)
    return clone


@pytest.mark.slow
def test_a_project_of_the_wheel_runs_the_pipeline(installed: Path, elsewhere: Clone, tmp_path: Path) -> None:
    ramer = [str(installed / "ramer"), "init", str(tmp_path / "mine")]
    subprocess.run(ramer, cwd=tmp_path, env=elsewhere.environment, check=True, capture_output=True)
    where = elsewhere.run("python", "-c", "import ramer; print(ramer.__file__)").output.strip()
    assert Path(where) == tmp_path / "mine" / "ramer" / "__init__.py"
    assert str(installed.parent) in elsewhere.run("python", "-P", "-c", "import ramer; print(ramer.__file__)").output
    elsewhere.change_params()
    elsewhere.run("git", "config", "user.name", "Somebody")
    elsewhere.run("git", "config", "user.email", "somebody@example.org")
    elsewhere.commit("Start")
    assert set(elsewhere.run("git", "ls-files").output.split()) == files_of(tmp_path / "mine")
    ran = elsewhere.run("dvc", "repro", "report")
    assert {"check", "prepare", "train@ramer", "evaluate@prior", "report"} <= ran.stages
    printed = elsewhere.run("ramer", "report").output
    assert {"ramer", "prior"} <= set(printed.split())
    code = elsewhere.project.code
    digests = read_json(elsewhere.project.code_of("train")) | read_json(code / "methods" / "ramer.json")
    assert all((ROOT / name).is_file() for name in digests)
    assert "ramer/training/loop.py" in digests
