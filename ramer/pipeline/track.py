"""Stage ``track``: one complete MLflow run of everything that the pipeline wrote."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from ramer.config import Config
from ramer.credentials import without_credentials
from ramer.files import write_json
from ramer.mlflow_address import tracking_uri  # sets what MLflow reads when it is imported
from ramer.pipeline.durations import read_seconds
from ramer.project import Project
from ramer.tracking.provenance import Provenance
from ramer.tracking.record import Experiment, digest_inputs

log = logging.getLogger(__name__)


def track(config: Config, project: Project, environment: Mapping[str, str] = os.environ) -> None:
    """Log the experiment whose files lie in the project, once, and write a receipt.

    A finished run of the same experiment, baseline and digest is left alone; one that a crash left behind is
    completed. A store that fails costs a warning and a receipt that says ``logged: false``, never the results of the
    stages before. The receipt holds the digest of what was read; no run id, no time.

    Args:
        config: the whole of ``params.yaml``, which is logged too.
        project: a temporary copy under ``dvc exp run --temp``.
        environment: ``MLFLOW_TRACKING_URI``, ``DVC_ROOT``, ``DVC_EXP_NAME``, ``DVC_EXP_BASELINE_REV``, ``DVC_STAGE``.

    Raises:
        StaleError: a result is missing or broken; its run is marked FAILED and no receipt is written.
    """
    experiment = Experiment(
        Project(project.root.resolve()),
        # Not the patience with the store: a retry with more of it completes the same run. Nor who worked.
        config.model_dump(mode="json", exclude={"tracking": {"timeout_s"}, "engine": True}),
        tuple(config.methods),
        config.corpus.path,
        config.serve,
        config.tracking,
        read_seconds(project, config.methods),
    )
    outcome: dict[str, object] = {"digest": digest_inputs(experiment), "logged": False}
    if not config.tracking.enabled:
        log.info("not logged to MLflow: tracking.enabled is false")
        outcome["reason"] = "tracking.enabled is false"
    elif _logs(experiment, str(outcome["digest"]), environment):
        outcome["logged"] = True
    else:
        outcome["reason"] = "the tracking store failed"
    write_json(project.receipt, outcome)


def _logs(experiment: Experiment, digest: str, environment: Mapping[str, str]) -> bool:
    """Log a run; False, and a warning, if the store fails."""
    from ramer.tracking.runs import log_experiment
    from ramer.tracking.store import StoreError, open_store

    root, settings = experiment.project.root, experiment.tracking
    provenance = Provenance.read(root, environment)
    try:
        with open_store(settings.experiment, environment, root, timeout_s=settings.timeout_s) as store:
            log_experiment(store, experiment, provenance, digest)
    except StoreError as error:
        uri = without_credentials(tracking_uri(environment, root), environment)
        retry = "results are kept, retry with: dvc repro -f -s track"
        log.warning("warning: NOT logged to MLflow at %s: %s; %s", uri, error, retry)
        return False
    return True
