"""Where a project's results come from, gathered for a copy of its report."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ramer.errors import RamerError
from ramer.files import atomic_file
from ramer.pipeline.results_origin import read_origin
from ramer.project import Project
from ramer.reporting.stamp import Cost, Stamp, stamped
from ramer.training.costs import read_costs

UNKNOWN = "not known: nothing that is kept here says what made these results"


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


def stamp_of(project: Project, methods: Sequence[str]) -> Stamp:
    """Date, commit, versions, changed parameters and costs of the results that lie in a project."""
    origin, costs = read_origin(project), [_cost(project, name) for name in methods]
    if origin is None:
        return Stamp(made=UNKNOWN, commit=UNKNOWN, versions={}, changed=None, costs=costs)
    modified = f" with changes to {', '.join(origin.modified)}" if origin.modified else ""
    commit = f"{origin.commit}{modified}"
    return Stamp(made=origin.made, commit=commit, versions=origin.versions, changed=origin.changed, costs=costs)


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
