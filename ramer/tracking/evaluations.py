"""An evaluation on new clips in MLflow: a run below the one that its model version comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import Metric, RunStatus
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from ramer.errors import ModelError
from ramer.tracking.store import open_client
from ramer.tracking.versions import find_version


def log_evaluation(
    uri: str,
    folder: Path,
    scores: Mapping[str, float],
    tags: Mapping[str, str],
    environment: Mapping[str, str],
    root: Path,
) -> str:
    """Log the files and scores of an evaluation; the version gets a tag that names the run.

    Args:
        uri: of the version, ``models:/name/3`` or ``models:/name@alias``. folder: all that the evaluation wrote.
        scores: by name of the metric. tags: of the run; ``ramer.clips`` names the clips.
        environment, root: they name the store.

    Returns:
        The run's id.

    Raises:
        ModelError: no such version. StoreError: the store cannot be reached.
    """
    with open_client(environment, root) as client:
        version = find_version(client, uri)
        name = version.name
        if not version.run_id:
            raise ModelError(f"{uri}: belongs to no run, beside which it would be logged")
        trained = client.get_run(version.run_id)
        own = {
            "ramer.role": "evaluation",
            "ramer.model": f"{name}/{version.version}",
            MLFLOW_PARENT_RUN_ID: trained.info.run_id,
        }
        run = client.create_run(trained.info.experiment_id, tags={**own, **tags}, run_name=f"on {tags['ramer.clips']}")
        time_ms = run.info.start_time
        client.log_batch(run.info.run_id, [Metric(key, value, time_ms, 0) for key, value in scores.items()])
        client.log_artifacts(run.info.run_id, str(folder))
        client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.FINISHED))
        key = re.sub(r"[^\w.\- ]", "_", f"ramer.evaluated.{tags['ramer.clips']}")
        client.set_model_version_tag(name, version.version, key, run.info.run_id)
    return str(run.info.run_id)
