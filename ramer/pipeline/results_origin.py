"""Which code, parameters and packages made the results: kept as they are made, never in what is digested."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
from collections.abc import Mapping

from ramer import __version__
from ramer.errors import StaleError
from ramer.files import digest_file
from ramer.pipeline.committed import last_commit_of
from ramer.project import Project
from ramer.records import Record
from ramer.tracking.provenance import Provenance
from ramer.tracking.record import flatten
from ramer.yaml12 import read_yaml

_PACKAGES = ("torch", "numpy", "scikit-learn", "faiss-cpu", "faiss-gpu", "dvc", "mlflow")


class ResultsOrigin(Record):
    """What made a ``summary.json``: the state of the project as its stage ``report`` ran.

    What came before may be older, where DVC took it from its cache.

    Attributes:
        summary: digest of it: the origin of other results is not that of these.
        made: date and time, UTC.
        commit: git HEAD.
        modified: tracked files that differed from it.
        versions: of Python and the packages that matter.
        changed: parameters that differed from the commit's: key, value there, value here; None without a commit.
    """

    summary: str
    made: str
    commit: str
    modified: tuple[str, ...]
    versions: dict[str, str]
    changed: tuple[tuple[str, str, str], ...] | None


def keep_origin(project: Project, environment: Mapping[str, str] = os.environ) -> None:
    """Keep the origin of the results that were just written; where that cannot be written, nothing is lost but this."""
    source = Provenance.read(project.root, environment)
    changed = changed_parameters(project)
    origin = ResultsOrigin(
        summary=digest_file(project.summary),
        made=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=source.commit,
        modified=source.modified,
        versions={"ramer": __version__, "Python": platform.python_version()} | _versions(),
        changed=None if changed is None else tuple(changed),
    )
    path = project.origin(origin.summary)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        origin.write(path)


def read_origin(project: Project) -> ResultsOrigin | None:
    """The origin of the results that lie in a project; None where none was kept there."""
    try:
        summary = digest_file(project.summary)
        origin = ResultsOrigin.read(project.origin(summary))
        return origin if origin.summary == summary else None
    except (StaleError, OSError):
        return None


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
