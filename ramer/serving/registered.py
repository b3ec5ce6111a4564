"""Models taken from MLflow's registry. Writing into it is ``ramer.tracking``'s."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ramer.credentials import without_credentials
from ramer.errors import ModelError
from ramer.mlflow_address import defaults, is_of_object_store, sqlite_fault, tracking_uri

# A server that is down must cost seconds. What the user has set wins.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}


@contextlib.contextmanager
def fetch_model(uri: str) -> Iterator[Path]:
    """A registered model's files in a folder that lasts as long as the context.

    The store is the one that ``mlflow.set_tracking_uri`` or ``MLFLOW_TRACKING_URI`` names, else ``mlflow.db`` of the
    project in the current directory.

    Raises:
        ModelError: there is no such store, model, version or alias.
    """
    import mlflow
    from mlflow import artifacts
    from mlflow.exceptions import MlflowException

    told = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    store = told or tracking_uri(os.environ, Path.cwd())
    if fault := sqlite_fault(store):
        raise ModelError(f"{uri}: {fault}")
    with tempfile.TemporaryDirectory(prefix="ramer-model-") as folder, defaults(_PATIENCE):
        try:
            got = artifacts.download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=store)
        except Exception as error:
            if not isinstance(error, MlflowException | OSError | ImportError) and not is_of_object_store(error):
                raise
            said = without_credentials(f"not in the registry at {store}: {' '.join(str(error).split())}")
            raise ModelError(f"{uri}: {said}") from None
        yield Path(got)
