"""One complete MLflow run, rebuilt from the files of the pipeline; the only package that imports ``mlflow``.

``track`` is called last, after every result lies on disk, so that a run is complete even when
every earlier stage came from the cache. MLflow itself is imported by ``ramer.tracking.store`` and
``ramer.tracking.runs`` only, and those only when something is to be logged.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from ramer.config import Config
from ramer.credentials import without_credentials
from ramer.files import write_json
from ramer.mlflow_address import is_server, tracking_uri  # sets what MLflow reads when it is imported
from ramer.tracking.provenance import Provenance
from ramer.tracking.record import digest_inputs

log = logging.getLogger(__name__)


def track(config: Config, root: Path, receipt: Path, *, environment: Mapping[str, str]) -> None:
    """Log the experiment whose files lie under ``root``, once, and write a receipt.

    A finished run of the same experiment, baseline and digest is left alone; one that a crash left
    behind is completed. A store that fails costs a warning and a receipt that says ``logged: false``,
    never the results of the stages before.

    Args:
        config: the validated ``params.yaml``.
        root: the workspace with the files of the pipeline (a temporary copy under ``dvc exp run --temp``).
        receipt: what to write: the digest of what was read; no run id, no time.
        environment: ``MLFLOW_TRACKING_URI``, ``DVC_ROOT``, ``DVC_EXP_NAME``, ``DVC_EXP_BASELINE_REV``, ``DVC_STAGE``.

    Raises:
        RamerError: a result is missing or broken; its run is marked FAILED and no receipt is written.
    """
    digest = digest_inputs(config, root)
    outcome: dict[str, object] = {"digest": digest, "logged": False}
    if not config.tracking.enabled:
        log.info("not logged to MLflow: tracking.enabled is false")
        outcome["reason"] = "tracking.enabled is false"
    else:
        from ramer.tracking.runs import log_experiment
        from ramer.tracking.store import StoreError, open_store

        provenance = Provenance.read(root, environment)
        try:
            settings = config.tracking
            with open_store(settings.experiment, environment, root, timeout_s=settings.timeout_s) as store:
                log_experiment(store, config, root, provenance, digest)
            outcome["logged"] = True
        except StoreError as error:
            uri = without_credentials(tracking_uri(environment, root), environment)
            log.warning(
                "warning: NOT logged to MLflow at %s: %s; results are kept, retry with: dvc repro -f -s track",
                uri,
                error,
            )
            outcome["reason"] = "the tracking store failed"
    write_json(receipt, outcome)


def experiment_link(experiment: str, environment: Mapping[str, str], root: Path, server: str) -> str:
    """The address of the experiment's table of runs in the MLflow UI.

    Args:
        experiment: ``tracking.experiment``; created if the store has none of that name yet.
        environment, root: as in ``track``; they name the store.
        server: where the UI is served, such as ``http://127.0.0.1:5000``; a store that is a server is its own UI.

    Raises:
        StoreError: the store cannot be reached.
    """
    from ramer.tracking.store import open_store

    uri = tracking_uri(environment, root)
    with open_store(experiment, environment, root) as store:
        base = without_credentials(uri, environment) if is_server(uri) else server
        return f"{base.rstrip('/')}/#/experiments/{store.experiment_id}/runs?workflowType=machine_learning"
