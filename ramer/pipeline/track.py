"""Stage ``track``: one complete MLflow run of everything that the pipeline wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ramer import tracking
from ramer.config import Config
from ramer.project import Project


def track(config: Config, project: Project, environment: Mapping[str, str] = os.environ) -> None:
    """Log the experiment whose files lie in the project, once, and write a receipt.

    Args:
        config: the whole of ``params.yaml``, which is logged too.
        project: a temporary copy under ``dvc exp run --temp``.
        environment: where MLflow's store is, and which experiment DVC runs.

    Raises:
        StaleError: a result is missing or broken.
    """
    tracking.track(config, project.root.resolve(), project.receipt, environment=environment)
