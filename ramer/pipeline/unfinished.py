"""What a killed stage had got done, for the next run of the same recipe."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ramer import engine
from ramer.config import Section
from ramer.digests import contents
from ramer.files import digest_file, json_text
from ramer.pipeline.durations import carry_seconds
from ramer.project import Project
from ramer.training.savepoints import NOTHING_KEPT, Savepoints, open_savepoints

logger = logging.getLogger(__name__)


@contextmanager
def savepoints_of(
    project: Project,
    stage: str,
    item: str,
    *,
    threads: int,
    device: str,
    inputs: Sequence[Path],
    settings: Sequence[Section],
    code: Sequence[str] = (),
) -> Iterator[Savepoints]:
    """A stage's savepoints for the body; without digests of the code nothing is kept.

    Args:
        threads: ``runtime.threads``. device: as chosen.
        inputs: folders that the stage reads.
        settings: that it reads besides.
        code: names of code beside the stage's own.
    """
    names = [project.code_of(name) for name in (stage, *code)]
    if not all(path.is_file() for path in names):
        yield NOTHING_KEPT
        return
    recipe = {
        "code": [digest_file(path) for path in names],
        "inputs": [contents(folder) for folder in inputs],
        "machine": engine.machine_for(threads, device),
        "settings": [section.model_dump(mode="json") for section in settings],
    }
    with open_savepoints(f"{stage} {item}", project.savepoints(stage, item), json_text(recipe)) as savepoints:
        carry_seconds(project, stage, item, savepoints.before)
        yield savepoints


def forget_removed(project: Project, methods: Collection[str]) -> None:
    """Remove what killed trainings left of methods that are no more: nobody else would come to take it up."""
    known = {project.savepoints("train", method) for method in methods}
    for left in project.all_savepoints.glob(project.savepoints("train", "*").name):
        if left not in known:
            shutil.rmtree(left, ignore_errors=True)
            logger.info("%s: removed, for params.yaml names no such method", left)
