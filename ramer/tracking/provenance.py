"""Where a run comes from: git commit, DVC experiment, DVC remote."""

from __future__ import annotations

import configparser
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ramer.credentials import without_credentials
from ramer.mlflow_address import main_workspace
from ramer.project import Project
from ramer.tracking.bounded_text import named

# The pipeline itself rewrites these: they do not make the code unknown.
_RESULTS = Project()
_WRITTEN_BY_RUNS = (_RESULTS.lock, _RESULTS.params, _RESULTS.headline, _RESULTS.plot_data)
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Provenance:
    """Who made the results.

    Attributes:
        experiment: DVC's name of the experiment, or ``workspace``.
        baseline: the commit it started from.
        commit: git HEAD.
        modified: tracked files that differ from HEAD, without those that a run rewrites.
        main: the main workspace (under ``--temp`` not the one that holds the files).
    """

    experiment: str
    baseline: str
    commit: str
    modified: tuple[str, ...]
    stage: str
    main: Path

    @classmethod
    def read(cls, root: Path, environment: Mapping[str, str]) -> Provenance:
        commit = _git(root, "rev-parse", "HEAD").strip() or _UNKNOWN
        changed: list[str] = []
        if commit != _UNKNOWN:
            changed = _git(root, "diff", "--name-only", "--relative", "HEAD").splitlines()
            # A new method is code that no commit holds, although git calls nothing changed.
            changed += _git(root, "ls-files", "--others", "--exclude-standard", "ramer", "stages").splitlines()
        return cls(
            experiment=environment.get("DVC_EXP_NAME") or "workspace",
            baseline=environment.get("DVC_EXP_BASELINE_REV") or commit,
            commit=commit,
            modified=tuple(name for name in changed if not any(map(Path(name).is_relative_to, _WRITTEN_BY_RUNS))),
            stage=environment.get("DVC_STAGE") or "track",
            main=main_workspace(environment, root),
        )

    @property
    def run_name(self) -> str:
        """The experiment's name, or ``workspace-<short commit>``."""
        return self.experiment if self.experiment != "workspace" else f"workspace-{self.baseline[:7]}"

    def tags(self) -> dict[str, str]:
        tags = {
            "dvc.exp_name": self.experiment,
            "dvc.baseline_rev": self.baseline,
            "dvc.stage": self.stage,
            "dvc.dirty": "true" if self.modified else "false",
            "mlflow.source.git.commit": self.commit,
            "mlflow.source.name": "dvc.yaml",
            "mlflow.source.type": "LOCAL",
        }
        if self.modified:
            tags["dvc.modified"] = named(self.modified)
        return tags


def dvc_remote(main: Path) -> dict[str, str] | None:
    """Name and URL of DVC's default remote, without credentials; None where none is set."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read([main / ".dvc" / "config", main / ".dvc" / "config.local"], encoding="utf-8")
    except configparser.Error:
        return None
    name = parser.get("core", "remote", fallback=None)
    if name is None:
        return None
    url = parser.get(f"'remote \"{name}\"'", "url", fallback="")
    return {"name": name, "url": without_credentials(url, {"url": url})}


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
