"""The layout that ``dvc.yaml`` declares is the one that ``Project`` gives."""

from __future__ import annotations

from pathlib import Path

from ramer.modalities import MODALITIES
from ramer.project import Project
from tests.support.plan import instances

METHODS = {"one": "ramer", "two": "zero_fill"}


def paths(project: Project) -> set[Path]:
    """Every path of a project with two methods and one replicate."""
    single = {name for name, value in vars(Project).items() if isinstance(value, property)} - {"holders"}
    found = {getattr(project, name) for name in single}
    for m in MODALITIES:
        found |= {project.encoders(m), project.states(m), project.indexes(m), project.neighbours(m), project.reuse(m)}
        found |= {project.encoder(m, "fold0_seed0"), project.index(m, "fold0_seed0")}
    for name in METHODS:
        found |= {project.method(name), project.method_results(name)}
    return found


def test_every_output_of_the_pipeline_is_a_path_of_the_project() -> None:
    declared = {Path(out) for stage in instances(METHODS).values() for out in stage.outs}
    assert declared <= paths(Project())


def test_the_paths_follow_the_root(tmp_path: Path) -> None:
    assert {tmp_path / path for path in paths(Project())} == paths(Project(tmp_path))


def test_every_output_lies_in_a_folder_that_is_swept() -> None:
    declared = {Path(out) for stage in instances(METHODS).values() for out in stage.outs}
    assert {out.parent for out in declared} <= set(Project().holders)
