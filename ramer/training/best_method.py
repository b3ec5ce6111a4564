"""Which method answers for new clips."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ramer.config import BEST
from ramer.errors import ModelError
from ramer.evaluation.reference import best_on_validation
from ramer.training.method_record import METHOD_FILE, ScoredMethod, TrainedMethod


def served_method(asked: str, folders: Mapping[str, Path], record: type[ScoredMethod] = TrainedMethod) -> str:
    """The method that ``serve.method`` means.

    Args:
        asked: a name, or ``best``: of the methods that may be deployed the best on validation rows (protocol).
        folders: with ``method.json``, of all methods under ``methods``.
        record: what these files hold.

    Raises:
        ModelError: ``best`` was asked for and a method has no such file yet, or none may be deployed.
    """
    if asked != BEST:
        return asked
    files = {name: folder / METHOD_FILE for name, folder in folders.items()}
    lacking = [name for name, path in files.items() if not path.is_file()]
    if lacking:
        raise ModelError(
            f"serve.method: {BEST}: {', '.join(lacking)}: not trained yet, so that the best is not known; run "
            "`dvc repro`, or name a method"
        )
    return choose_served(asked, {name: record.read(path) for name, path in files.items()})


def choose_served(asked: str, known: Mapping[str, ScoredMethod]) -> str:
    """As ``served_method``, of methods whose descriptions are read.

    Raises:
        ModelError: ``best`` was asked for and none may be deployed.
    """
    if asked != BEST:
        return asked
    deployable = [name for name, about in known.items() if about.deployable]
    if not deployable:
        raise ModelError(f"serve.method: {BEST}: none of {', '.join(known)} can be deployed")
    return best_on_validation(known, deployable)
