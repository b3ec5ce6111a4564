"""Where a project's results come from, gathered for a copy of its report."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ramer import __version__
from ramer.errors import RamerError
from ramer.files import atomic_file
from ramer.pipeline.committed import last_commit_of
from ramer.project import Project
from ramer.reporting.stamp import Cost, Stamp, stamped
from ramer.tracking.provenance import Provenance
from ramer.tracking.record import flatten
from ramer.training.costs import read_costs
from ramer.yaml12 import read_yaml

_PACKAGES = ("torch", "numpy", "scikit-learn", "faiss-cpu", "faiss-gpu", "dvc", "mlflow")


def copy_report(project: Project, methods: Sequence[str], to: Path) -> Path:
    """Write the report with what is known of its run, and the explorer beside it, so that its link works.

    Raises:
        RamerError: the copy cannot be written, or is the pipeline's own output.
        StaleError: the report is of another version.
    """
    if to.resolve() == project.report.resolve():
        raise RamerError(f"{to}: the pipeline's own output, whose bytes do not depend on the run; name another file")
    text = stamped(project.report.read_text("utf-8"), stamp_of(project, methods), project.report)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(to) as temporary:
            temporary.write_text(text, "utf-8")
        if project.explorer.is_file() and to.parent.resolve() != project.results.resolve():
            shutil.copyfile(project.explorer, to.parent / project.explorer.name)
    except OSError as error:
        raise RamerError(f"{to}: cannot be written ({error.strerror})") from None
    return to


def stamp_of(project: Project, methods: Sequence[str], environment: Mapping[str, str] = os.environ) -> Stamp:
    """Date, commit, versions, changed parameters and costs of the results that lie in a project."""
    origin = Provenance.read(project.root, environment)
    written = datetime.datetime.fromtimestamp(project.summary.stat().st_mtime, datetime.UTC)
    modified = f" with changes to {', '.join(origin.modified)}" if origin.modified else ""
    return Stamp(
        made=written.strftime("%Y-%m-%d %H:%M UTC"),
        commit=f"{origin.commit}{modified}",
        versions={"ramer": __version__, "Python": platform.python_version()} | _versions(),
        changed=changed_parameters(project),
        costs=[_cost(project, name) for name in methods],
    )


def changed_parameters(project: Project) -> list[tuple[str, str, str]] | None:
    """Parameters that differ from the last commit's: key, value there, value here; None where none is committed."""
    committed = last_commit_of(project.params.resolve())
    if committed is None:
        return None
    try:
        trees = [read_yaml(text) for text in (committed, project.params.read_text("utf-8"))]
    except (OSError, ValueError):
        return None
    before, now = (flatten(tree) if isinstance(tree, dict) else {} for tree in trees)
    keys = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    return [(key, before.get(key, "absent"), now.get(key, "absent")) for key in keys]


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cost(project: Project, name: str) -> Cost:
    training, predicting = read_costs(project.costs(name), project.method(name))
    return Cost(
        method=name,
        training_s=training.seconds if training else None,
        parameters=_parameters(project.method(name)),
        clip_ms=predicting.clip_ms if predicting else None,
        batch_ms=predicting.batch_ms if predicting else None,
        batch_rows=predicting.batch_rows if predicting else None,
        training_mb=training.peak_mb if training else None,
        predicting_mb=predicting.peak_mb if predicting else None,
        device=next((cost.device for cost in (training, predicting) if cost), ""),
    )


def _parameters(folder: Path) -> int | None:
    """Numbers in the first replicate's checkpoint, by its header; None where there is none."""
    for path in sorted(folder.glob("*.safetensors"))[:1]:
        try:
            with safe_open(path, framework="np") as file:
                return sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
        except (OSError, SafetensorError, json.JSONDecodeError):
            return None
    return None
