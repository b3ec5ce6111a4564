"""``ramer tune``: options of methods, searched on validation rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ramer.commands import options

if TYPE_CHECKING:
    from ramer.config import Tracking
    from ramer.tracking.study_runs import Study
    from ramer.tuning.spaces import Value
    from ramer.tuning.studies import Search, Tuned

Methods = Annotated[list[str], typer.Argument(help="Entries under methods of params.yaml, as many trials for each.")]
Trials = Annotated[int, typer.Option(min=1, help="Of every method, whoever makes them.")]
Journal = Annotated[
    Path | None, typer.Option(help="File that all who take part share; the same command again, anywhere, takes part.")
]
Sampler = Annotated[str, typer.Option(help="tpe (learns from earlier trials) or random.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the sampler.")]
Lost = Annotated[float, typer.Option(min=1.0, help="Seconds without a sign after which a worker counts as killed.")]
Apply = Annotated[bool, typer.Option("--apply", help="Write the best options into params.yaml.")]


def tune(
    methods: Methods,
    trials: Trials = 30,
    journal: Journal = None,
    sampler: Sampler = "tpe",
    seed: Seed = 0,
    lost_seconds: Lost = 120.0,
    apply: Apply = False,
    project: options.Project = Path("."),
) -> None:
    """Search for options of methods on validation rows.

    Needs a project whose pipeline has run as far as retrieve.
    """
    import logging
    import os

    from ramer.config import load_config, repeated
    from ramer.errors import ConfigError
    from ramer.instructions import hold_threads
    from ramer.project import Project

    _check(sampler)
    if twice := repeated(methods, "METHODS"):
        raise ConfigError(twice)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    place = Project(project)
    config = load_config(place.params)
    hold_threads(config.runtime.threads)  # before anything loads that computes
    config.engine.name_cluster(os.environ)
    from ramer.training.workspace import Workspace
    from ramer.tuning.studies import Search, Tuned, run_study

    workspace = Workspace(place)
    asked = [
        Tuned(name, config.methods, workspace, retrieval=config.retrieval, train=config.train, runtime=config.runtime)
        for name in methods
    ]
    search = Search(journal or place.studies, trials, sampler, seed, lost_seconds)
    changes = {}
    for tuned in asked:
        study = run_study(tuned, search)
        changes[tuned.name] = _told(tuned, study, search)
        _track(study, config.tracking, place.root)
    _offer(changes, config.methods, place.params if apply else None)


def _offer(changes: dict[str, dict[str, Value]], methods: dict[str, dict[str, Any]], written_to: Path | None) -> None:
    """Print, or write, what a study found better than what the parameters say."""
    from ramer.tuning.written import apply as write
    from ramer.tuning.written import as_command

    changes = {name: found for name, found in changes.items() if found}
    if not changes:
        typer.echo("nothing to change")
        return
    typer.echo(as_command(changes, methods))
    if written_to is not None:
        write(written_to, changes)
        typer.echo(f"written to {written_to}")


def _check(sampler: str) -> None:
    """Refuse before the work what is not installed, or no sampler.

    Raises:
        ConfigError: either.
    """
    from importlib.util import find_spec

    from ramer.errors import ConfigError

    if find_spec("optuna") is None:
        raise ConfigError("tune: optuna is not installed: pip install 'ramer[tune]'")
    if sampler not in ("tpe", "random"):
        raise ConfigError(f"sampler: expected tpe or random, got {sampler!r}")


def _told(tuned: Tuned, study: Study, search: Search) -> dict[str, str | int | float | bool]:
    """Say what was found; returns the options that are other than those that stand."""
    from ramer.errors import ConfigError

    best, first = study.best, next((one for one in study.trials if one.number == 0), None)
    if best is None or best.selection is None:
        raise ConfigError(f"methods.{study.method}: none of {len(study.trials)} trials has options that go together")
    stands = "" if first is None or first.selection is None else f" (as it stands {first.selection:.4f})"
    typer.echo(f"{study.method}: {len(study.trials)} trials, best on validation {best.selection:.4f}{stands}")
    return {name: value for name, value in best.options.items() if value != tuned.present[name]}


def _track(study: Study, tracking: Tracking, root: Path) -> None:
    """Log a study; a store that fails costs a warning."""
    import os

    from ramer.mlflow_address import tracking_uri  # noqa: F401  # sets what MLflow reads when it is imported

    if not tracking.enabled:
        return
    from ramer.tracking.store import StoreError, open_store
    from ramer.tracking.study_runs import log_study

    try:
        with open_store(tracking.experiment, os.environ, root.resolve(), timeout_s=tracking.timeout_s) as store:
            log_study(store, study)
    except StoreError as error:
        typer.echo(f"warning: NOT logged to MLflow: {error}; the journal holds all, the same command logs it", err=True)
