"""A clone of this project as a user has it, with a corpus and a budget small enough for a test."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from ramer.project import Project
from tests.support.closure import ROOT

METHODS = {"ramer": {"type": "ramer", "k": 5}, "prior": {"type": "prior"}}
ENCODER = {"model_dim": 8, "hidden_dim": 8, "layers": 1, "heads": 2, "ff_dim": 8, "classifier_dims": [8], "epochs": 2}
SMALL = {
    "corpus": {"synthetic": {"rows": 150, "pool_rows": 30, "speakers": 12, "classes": 3}},
    "prepare": {"seeds": [0]},
    "pretrain": {"audio": ENCODER, "video": ENCODER, "text": ENCODER},
    "retrieval": {"width": 20},
    "train": {"hidden": [8], "epochs": 2},
    "report": {"draws": 100},
}
_RUNNING = re.compile(r"^Running stage '(.+)'", re.MULTILINE)


@dataclass(frozen=True)
class Ran:
    """What a command said and which stages it ran."""

    code: int
    output: str

    @property
    def stages(self) -> set[str]:
        return set(_RUNNING.findall(self.output))


class Clone:
    """One clone of this project. Commands see an empty home, so that no setting of this machine helps or harms."""

    def __init__(self, path: Path, home: Path) -> None:
        self.path, self.project = path, Project(path)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "DVC_", "GIT_"))}
        binaries = Path(sys.executable).parent
        self.environment = kept | {
            "HOME": str(home),
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "true",
        }

    @classmethod
    def create(cls, path: Path, home: Path) -> Clone:
        """Copy what git knows and what it would take, shrink the parameters, commit."""
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
        for name in names:
            if (ROOT / name).is_file() and name.split("/")[0] not in ("tests", "docs", "benchmarks", "dvc.lock"):
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, path / name)
        clone = cls(path, home)
        clone.change_params()
        clone.run("git", "init", "-q")
        clone.run("git", "config", "user.name", "Somebody")
        clone.run("git", "config", "user.email", "somebody@example.org")
        clone.commit("Start")
        return clone

    def change_params(self) -> None:
        file, editor = self.project.params, YAML()
        params = editor.load(file.read_text("utf-8"))
        _merge(params, SMALL)
        params["methods"] = METHODS
        with file.open("w", encoding="utf-8") as stream:
            editor.dump(params, stream)

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def attempt(self, *command: str) -> Ran:
        return finish(self.start(*command))

    def run(self, *command: str) -> Ran:
        ran = self.attempt(*command)
        assert ran.code == 0, f"{' '.join(command)}: exit {ran.code}\n{ran.output}"
        return ran

    def commit(self, subject: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "-q", "--message", subject)

    def restore(self) -> None:
        """Back to the last commit, cached outputs included."""
        self.run("git", "checkout", "-q", "--", ".")
        self.run("git", "clean", "-fdq", "--", "ramer")
        self.run("dvc", "checkout", "-q", "--force")

    def text(self, name: str) -> str:
        return (self.path / name).read_text("utf-8")


def finish(process: subprocess.Popen[str]) -> Ran:
    output, _ = process.communicate()
    return Ran(process.returncode, output)


def _merge(tree: dict, changes: dict) -> None:
    for key, value in changes.items():
        if isinstance(value, dict):
            _merge(tree[key], value)
        else:
            tree[key] = copy.deepcopy(value)  # one list under two keys would be written as a YAML alias


def copied(clone: Clone, path: Path) -> Clone:
    shutil.copytree(clone.path, path, symlinks=True)
    return Clone(path, Path(clone.environment["HOME"]))
