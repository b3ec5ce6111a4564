"""The model of ``serve.method`` in MLflow's registry: one version per experiment, the newest is ``candidate``."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_ALREADY_EXISTS, ErrorCode

from ramer.data.prepared import PreparedCorpus
from ramer.files import read_json, read_table, write_json
from ramer.modalities import AVERAGE
from ramer.serving.modelfiles import export_model
from ramer.tracking.package import example_of, package_model
from ramer.tracking.provenance import Provenance
from ramer.tracking.record import Experiment
from ramer.tracking.store import Store

log = logging.getLogger(__name__)

CANDIDATE = "candidate"
DIGEST_TAG, METHOD_TAG, SCORE_TAG = "ramer.corpus_digest", "ramer.method", "ramer.avg6_weighted_f1"
SPEAKERS_FILE = "speakers.json"  # beside predictions.parquet: who is resampled when two versions are compared
_MODEL = "model"  # folder in the run
_MEGABYTE = 1_000_000


def register_run(store: Store, experiment: Experiment, run: Run, provenance: Provenance) -> None:
    """Make a run's method a version of the registered model, once, and call it ``candidate``.

    A model with a file above ``tracking.max_artifact_mb`` is not registered, and a warning says so.

    Args:
        experiment: with the project that holds the trained method.
        run: the method's run, which gets the model as artifact.

    Raises:
        RamerError: the project's files do not make a model.
    """
    project, served, limit = experiment.project, experiment.served, experiment.tracking.max_artifact_mb
    name, results = experiment.serve.model, project.method_results(served)
    versions = _versions_of(store, name, run)
    if versions:
        store.client.set_registered_model_alias(name, CANDIDATE, versions[0].version)
        return
    corpus = PreparedCorpus.open(project.prepared)
    with tempfile.TemporaryDirectory(prefix="ramer-model-") as folder:
        exported, packed = Path(folder, "model"), Path(folder, "packed")
        export_model(project.root, exported, served)
        if too_large := largest_above(exported, limit):
            log.warning("warning: NOT registered as a model: %s: tracking.max_artifact_mb is %g", too_large, limit)
            return
        package_model(exported, packed, example_of(corpus))
        store.client.log_artifacts(run.info.run_id, str(packed), _MODEL)
        _log_speakers(store, corpus, results, run, Path(folder))
    score = read_json(results / "metrics.json")[f"{AVERAGE}/weighted_f1"]
    tags = {DIGEST_TAG: corpus.info.digest or "", METHOD_TAG: served, SCORE_TAG: repr(score)}
    made = create_version(store.client, name, run.info.run_id, _MODEL, tags | provenance.tags())
    log.info("registered as models:/%s/%s (%s)", name, made.version, CANDIDATE)


def create_version(client: MlflowClient, name: str, run_id: str, folder: str, tags: Mapping[str, str]) -> ModelVersion:
    """Make a run's artifact folder the newest version and the candidate; the registered model is made if need be."""
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    made = client.create_model_version(name, f"runs:/{run_id}/{folder}", run_id, tags=dict(tags))
    client.set_registered_model_alias(name, CANDIDATE, made.version)
    return made


def largest_above(folder: Path, megabytes: float) -> str | None:
    """Name and size of the largest file below ``folder`` if it exceeds the limit."""
    size, path = max((path.stat().st_size, path) for path in folder.rglob("*") if path.is_file())
    return f"{path.relative_to(folder)} has {size / _MEGABYTE:.3g} MB" if size > megabytes * _MEGABYTE else None


def _versions_of(store: Store, name: str, run: Run) -> list[ModelVersion]:
    found = store.client.search_model_versions(f"run_id = '{run.info.run_id}'")
    return [version for version in found if version.name == name]


def _log_speakers(store: Store, corpus: PreparedCorpus, results: Path, run: Run, folder: Path) -> None:
    tested = set(read_table(results / "predictions.parquet")["id"])
    speakers = {i: s for i, s in zip(corpus.ids, corpus.speakers, strict=True) if i in tested}
    write_json(folder / SPEAKERS_FILE, {i: s if isinstance(s, str) else None for i, s in speakers.items()})
    store.client.log_artifact(run.info.run_id, str(folder / SPEAKERS_FILE))
