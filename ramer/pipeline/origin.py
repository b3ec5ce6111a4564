"""Which stage writes what: all that is known of the order of the stages outside ``dvc.yaml``."""

from __future__ import annotations

from pathlib import Path

from ramer.errors import RamerError, few
from ramer.project import Project


def advise(error: RamerError, project: Project) -> list[str]:
    """The lines of an error, each with the stage to rerun where that helps."""
    stages = {line: stage_that_writes(project, path) for line, path in error.artifacts.items()}
    return [f"{line}; rerun {stages[line]}" if stages.get(line) else line for line in few(error.faults)]


def is_output(path: Path) -> bool:
    """Whether a path is, or lies in, an output of the pipeline of whatever project it is in."""
    roots = (parent for parent in path.resolve().parents if Project(parent).pipeline.is_file())
    return any(stage_that_writes(Project(root), path) for root in roots)


def stage_that_writes(project: Project, path: Path) -> str | None:
    """The stage, with its item, whose output a path is or lies in; None for a path that no stage writes.

    Args:
        path: a file or folder.
    """
    path = path.resolve()
    by_item = {
        project.all_encoders: "pretrain",
        project.all_states: "dump",
        project.all_indexes: "index",
        project.all_neighbours: "retrieve",
        project.all_methods: "train",
        project.all_method_results: "evaluate",
    }
    for folder, stage in by_item.items():
        if path.is_relative_to(folder.resolve()):
            return "@".join([stage, *path.relative_to(folder.resolve()).parts[:1]])
    whole = {
        project.checked: "check",
        project.code: "check",
        project.prepared: "prepare",
        project.results: "report",
        project.receipt: "track",
    }
    return next((stage for output, stage in whole.items() if path.is_relative_to(output.resolve())), None)
