"""One complete MLflow run, rebuilt from the files of the pipeline; the only package that writes into MLflow.

A run is made after every result lies on disk, so that it is complete even when everything came from the cache. MLflow
itself is imported only when something is to be logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ramer.credentials import without_credentials
from ramer.mlflow_address import is_server, tracking_uri  # sets what MLflow reads when it is imported


def experiment_link(experiment: str, environment: Mapping[str, str], root: Path, server: str) -> str:
    """The address of the experiment's table of runs in the MLflow UI.

    Args:
        experiment: ``tracking.experiment``; created if the store has none of that name yet.
        environment, root: they name the store.
        server: where the UI is served, such as ``http://127.0.0.1:5000``; a store that is a server is its own UI.

    Raises:
        StoreError: the store cannot be reached.
    """
    from ramer.tracking.store import open_store

    uri = tracking_uri(environment, root)
    with open_store(experiment, environment, root) as store:
        base = without_credentials(uri, environment) if is_server(uri) else server
        return f"{base.rstrip('/')}/#/experiments/{store.experiment_id}/runs?workflowType=machine_learning"
