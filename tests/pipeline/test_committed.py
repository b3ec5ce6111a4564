"""A refused value and a cut lock file are said with the command that puts them right."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ramer.errors import ConfigError
from ramer.files import atomic_directory
from ramer.pipeline.committed import check_lock, with_way_back
from ramer.project import Project
from tests.support.closure import ROOT
from tests.support.tree import git

PARAMS = "methods: {ramer: {type: ramer, k: 5}}\nretrieval: {width: 50}\n"
LOCK = """schema: '2.0'
stages:
  check:
    cmd: python -m stages.check
    outs:
    - path: data/code
      hash: md5
      md5: 0123456789abcdef0123456789abcdef.dir
      size: 12
      nfiles: 3
  prepare:
    cmd: python -m stages.prepare
    deps:
    - path: data/params.checked
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 3
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A repository whose parameters and lock file are committed."""
    found = Project(tmp_path)
    found.params.write_text(PARAMS, "utf-8")
    found.lock.write_text(LOCK, "utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "Start")
    return found


def stage(project: Project, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project.root,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_refused_value_is_said_with_the_one_before(project: Project) -> None:
    project.params.write_text(PARAMS.replace("k: 5", "k: many").replace("width: 50", "width: 0"), "utf-8")
    faults = [f"{project.params}: methods.ramer.k: a number, got 'many'", f"{project.params}: retrieval.width: got 0"]
    whole = f"`git checkout {project.params}` takes back what is not committed"
    assert with_way_back(faults, project, {}) == [
        f"{faults[0]}; set it back to 5, the committed value, or {whole}",
        f"{faults[1]}; set it back to 50, the committed value, or {whole}",
    ]


def test_what_was_added_is_taken_out_and_what_follows_from_another_key_names_the_file(project: Project) -> None:
    project.params.write_text(PARAMS + "serve: {method: nobody}\n", "utf-8")
    added, other = f"{project.params}: serve.method: unknown", f"{project.params}: methods.ramer.k: needs more"
    lines = with_way_back([added, other, "text: no such modality"], project, {})
    assert lines[0].startswith(f"{added}; take it out, or `git checkout")
    assert lines[1] == f"{other}; `git checkout {project.params}` takes back what is not committed"
    assert lines[2] == "text: no such modality"


def test_parameters_that_are_no_yaml_are_got_back_whole(project: Project) -> None:
    project.params.write_text("methods: [", "utf-8")
    (line,) = with_way_back([f"{project.params}: not valid YAML"], project, {})
    assert line.endswith(f"; `git checkout {project.params}` takes back what is not committed")


def test_nothing_is_added_for_committed_values_in_a_copy_and_outside_a_repository(
    project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    fault = [f"{project.params}: methods.ramer.k: too much"]
    assert with_way_back(fault, project, {}) == fault
    project.params.write_text(PARAMS.replace("k: 5", "k: 6"), "utf-8")
    assert with_way_back(fault, project, {"DVC_ROOT": "/elsewhere"}) == fault
    assert with_way_back(fault, project, {"DVC_ROOT": str(project.root)}) != fault
    alone = Project(tmp_path_factory.mktemp("alone"))
    alone.params.write_text(PARAMS, "utf-8")
    assert with_way_back([f"{alone.params}: x: y"], alone, {}) == [f"{alone.params}: x: y"]


def test_a_stage_says_it_in_its_one_line(project: Project) -> None:
    project.params.write_text(PARAMS.replace("k: 5", "k: many"), "utf-8")
    done = stage(project, "stages.check")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: params.yaml: methods.ramer.k: input should be a valid integer")
    assert line.endswith(
        "; set it back to 5, the committed value, or `git checkout params.yaml` takes back what is not committed"
    )


def test_a_whole_lock_file_or_none_is_fine(project: Project) -> None:
    check_lock(project)
    check_lock(Project(ROOT))
    project.lock.unlink()
    check_lock(project)


CUTS = [0, 1, 10, LOCK.index("stages:"), LOCK.index("cmd"), LOCK.index("size"), len(LOCK) - 1]


@pytest.mark.parametrize("kept", CUTS)
def test_a_cut_lock_file_is_refused_with_the_command_that_restores_it(project: Project, kept: int) -> None:
    project.lock.write_text(LOCK[:kept], "utf-8")
    with pytest.raises(ConfigError) as caught:
        check_lock(project)
    (line,) = caught.value.faults
    assert line.startswith(f"{project.lock}: ")
    assert f"`git checkout {project.lock}` restores it" in line


def test_a_lock_file_that_was_never_committed_is_removed(project: Project) -> None:
    git(project.root, "rm", "--quiet", "--cached", "--", project.lock.name)
    git(project.root, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "Forget")
    project.lock.write_text("", "utf-8")
    with pytest.raises(ConfigError, match=f"empty; `rm {project.lock}` restores it"):
        check_lock(project)


@pytest.mark.parametrize("command", ["stages._lock", "stages.check"])
def test_both_ways_in_refuse_it(project: Project, command: str) -> None:
    project.lock.write_text("", "utf-8")
    done = stage(project, command)
    assert done.returncode == 2
    assert done.stderr == (
        "error: dvc.lock: empty; `git checkout dvc.lock` restores it, and what has been computed stays in DVC's cache\n"
    )


def test_make_repro_looks_at_the_lock_file_first() -> None:
    told = (ROOT / "Makefile").read_text("utf-8").partition("\nrepro:")[2]
    assert told.index("stages._lock") < told.index("dvc repro")


def test_a_stage_sweeps_what_a_killed_one_left(project: Project) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from ramer.files import atomic_directory\n"
        "with atomic_directory(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'half').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = project.method("given_up")
    subprocess.run([sys.executable, "-c", code, str(killed)], cwd=ROOT, check=False)
    (left,) = killed.parent.iterdir()
    assert left.name.startswith(".given_up.")
    with atomic_directory(project.method("other")) as alive:
        assert stage(project, "stages.check").returncode == 0
        assert list(killed.parent.iterdir()) == [alive]


def test_dvc_ignores_what_is_left_and_nothing_that_is_declared() -> None:
    names = ["models/methods/.ramer.12@host.abc", "data/states/.audio.12@host.abc/states.npy", "results/.x.1@h.tmp"]
    outs = ["models/methods/ramer", "data/params.checked", "data/code/methods/ramer.json", ".tracking/receipt.json"]
    command = [sys.executable, "-m", "dvc", "check-ignore", *names, *outs]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == names
