"""How long each stage took to make what lies in the project: measured as it ran, kept beside what is digested."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

from ramer.errors import StaleError
from ramer.files import digest_file
from ramer.modalities import MODALITIES
from ramer.project import Project
from ramer.records import Record
from ramer.tracking.measured import Measured

_UNFINISHED = "unfinished"  # in place of a digest: a process is at work, and goes on with what others began


class StageSeconds(Record):
    """What one stage took.

    Attributes:
        made: digest of what it wrote: the seconds of another result are not those of this one.
        seconds: from the start of its process, and of those before it as far as their work was taken up.
    """

    made: str
    seconds: float


def carry_seconds(project: Project, stage: str, item: str, before: float) -> None:
    """Keep what earlier processes took for the work that this one goes on with, for ``keep_seconds`` to add."""
    _write(project, stage, item, _UNFINISHED, before)


def keep_seconds(project: Project, stage: str, item: str, seconds: float) -> None:
    """Keep what a stage that has just ended took; where that cannot be written, nothing is lost but this."""
    made = _made(project, stage, item)
    if made:
        kept = _kept(project, stage, item)
        before = kept.seconds if kept is not None and kept.made == _UNFINISHED else 0.0
        _write(project, stage, item, made, before + seconds)


def read_seconds(project: Project, methods: Iterable[str]) -> Measured:
    """What it took to make the results that lie in a project, as far as it was measured here."""
    names = list(methods)
    per_modality = ("pretrain", "dump", "index", "retrieve")
    shared = [("prepare", ""), *((s, m) for s in per_modality for m in MODALITIES), ("report", "")]
    own = {name: [("train", name), ("evaluate", name)] for name in names}
    found = {part: _read(project, *part) for part in (*shared, *(p for parts in own.values() for p in parts))}
    known = {part: seconds for part, seconds in found.items() if seconds is not None}
    return Measured(
        seconds=sum(known.values()),
        stages=len(known),
        of=len(found),
        methods={name: sum(known.get(part, 0.0) for part in parts) for name, parts in own.items()},
    )


def _read(project: Project, stage: str, item: str) -> float | None:
    kept = _kept(project, stage, item)
    return kept.seconds if kept is not None and kept.made == _made(project, stage, item) else None


def _kept(project: Project, stage: str, item: str) -> StageSeconds | None:
    try:
        return StageSeconds.read(project.seconds(stage, item))
    except StaleError:
        return None


def _write(project: Project, stage: str, item: str, made: str, seconds: float) -> None:
    path = project.seconds(stage, item)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        StageSeconds(made=made, seconds=round(seconds, 3)).write(path)


def _made(project: Project, stage: str, item: str) -> str:
    """Digest of the descriptions that a stage wrote, which name its larger files; empty where there are none."""
    files = _descriptions(project, stage, item)
    sha = hashlib.sha256()
    for path in files:
        sha.update(f"{path.name}\0{digest_file(path)}\0".encode())
    return sha.hexdigest() if files else ""


def _descriptions(project: Project, stage: str, item: str) -> list[Path]:
    if stage == "report":
        return [project.summary] if project.summary.is_file() else []
    folders = {
        "prepare": lambda _: project.prepared,
        "pretrain": project.encoders,
        "dump": project.states,
        "index": project.indexes,
        "retrieve": project.neighbours,
        "train": project.method,
        "evaluate": project.method_results,
    }
    return sorted(folders[stage](item).glob("*.json")) if stage in folders else []
