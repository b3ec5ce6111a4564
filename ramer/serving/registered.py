"""Models taken from MLflow's registry. Writing into it is ``ramer.tracking``'s."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ramer.credentials import without_credentials
from ramer.errors import ModelError
from ramer.mlflow_address import defaults, is_of_object_store, sqlite_fault, tracking_uri

CANDIDATE, CHAMPION = "candidate", "champion"  # aliases: the model of the latest results, and the one in use
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's words for a name that nothing has
_WAY = {
    CANDIDATE: "`dvc repro` registers the model of serve.method",
    CHAMPION: "`ramer promote` calls the candidate so",
}
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
            absent = isinstance(error, MlflowException) and way_to_alias(uri, error.error_code)
            said = without_credentials(f"not in the registry at {store}: {absent or ' '.join(str(error).split())}")
            raise ModelError(f"{uri}: {said}") from None
        yield Path(got)


def way_to_alias(uri: str, error_code: str) -> str:
    """What to do about an alias of ours that no version has; empty for another version or fault.

    Args:
        uri: ``models:/name@alias``. error_code: of what MLflow raised.
    """
    alias = re.fullmatch(r"models:/[^/@]+@([^/@]+)", uri)
    if alias is None or error_code not in ABSENT or alias[1] not in _WAY:
        return ""
    return f"no version is called {alias[1]} yet; {_WAY[alias[1]]}"
