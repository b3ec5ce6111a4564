"""A study of a method's options as MLflow runs: one parent, and one child per trial."""

from __future__ import annotations

from dataclasses import dataclass

from mlflow.entities import Metric, Param, Run, RunStatus
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ramer.tracking.store import Store

_FINISHED = RunStatus.to_string(RunStatus.FINISHED)
_SCORE = "validation_selection"


@dataclass(frozen=True)
class Tried:
    """One trial.

    Attributes:
        number: in the study.
        options: that were tried.
        selection: mean weighted F1 over the seven conditions on validation rows, mean over the replicates; None where
            the options did not go together.
    """

    number: int
    options: dict[str, str | int | float | bool]
    selection: float | None


@dataclass(frozen=True)
class Study:
    """All trials of a method.

    Attributes:
        method: the entry under ``methods``.
        digest: of what decides a score beside the options.
        sampler, seed: what chose the options.
        trials: by number.
    """

    method: str
    digest: str
    sampler: str
    seed: int
    trials: tuple[Tried, ...]

    @property
    def best(self) -> Tried | None:
        """The best on validation, the earliest of several; None where no trial has a score."""
        scored = [one for one in self.trials if one.selection is not None]
        return max(scored, key=lambda one: (one.selection or 0.0, -one.number), default=None)

    @property
    def identity(self) -> dict[str, str]:
        """Tags that no other study has."""
        key = f"{self.digest[:32]}-{self.sampler}{self.seed}-{len(self.trials)}"
        return {"ramer.role": "study", "ramer.digest": key}


def log_study(store: Store, study: Study) -> None:
    """Log a study unless a finished run of it is there; one that was broken off is completed.

    Args:
        store: the open store; nobody else of this workspace logs meanwhile.
    """
    parent = _parent(store, study)
    if parent.info.status == _FINISHED:
        return
    identifier, best = parent.info.run_id, study.best
    held = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{identifier}'"
    there = {run.data.tags.get("trial") for run in _runs(store, held) if run.info.status == _FINISHED}
    for one in study.trials:
        if str(one.number) not in there:
            _log_trial(store, parent, study.method, one)
    metrics = [] if best is None or best.selection is None else [_metric(parent, best.selection)]
    params = {} if best is None else best.options
    told: dict[str, str | int | float | bool] = {"method": study.method, "sampler": study.sampler, "seed": study.seed}
    told |= {"trials": len(study.trials), **{f"best.{name}": value for name, value in params.items()}}
    store.client.log_batch(identifier, metrics, _params(told))
    store.client.set_terminated(identifier, _FINISHED)


def _parent(store: Store, study: Study) -> Run:
    found = _runs(store, " and ".join(f"tags.`{key}` = '{value}'" for key, value in study.identity.items()))
    if found:
        return min(found, key=lambda run: run.info.status != _FINISHED)
    tags = {**study.identity, "method": study.method}
    return store.client.create_run(store.experiment_id, tags=tags, run_name=f"tune {study.method}")


def _runs(store: Store, condition: str) -> list[Run]:
    found: list[Run] = []
    token = None
    while token or not found:
        page = store.client.search_runs([store.experiment_id], condition, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return found


def _log_trial(store: Store, parent: Run, method: str, one: Tried) -> None:
    tags = {"ramer.role": "trial", "method": method, "trial": str(one.number), MLFLOW_PARENT_RUN_ID: parent.info.run_id}
    run = store.client.create_run(store.experiment_id, tags=tags, run_name=f"{method} trial {one.number}")
    metrics = [] if one.selection is None else [_metric(parent, one.selection)]
    store.client.log_batch(run.info.run_id, metrics, _params(one.options))
    store.client.set_terminated(run.info.run_id, _FINISHED)


def _metric(parent: Run, value: float) -> Metric:
    return Metric(_SCORE, value, parent.info.start_time, 0)


def _params(said: dict[str, str | int | float | bool]) -> list[Param]:
    return [Param(key, str(value)) for key, value in said.items()]
