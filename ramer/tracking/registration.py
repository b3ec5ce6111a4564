"""The model of ``serve.method`` in MLflow: a logged model, and a version of the registered one when it has changed."""

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
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from ramer.data.prepared import PreparedCorpus
from ramer.files import read_table, write_json
from ramer.modalities import AVERAGE
from ramer.serving.modelfiles import export_model
from ramer.serving.registered import CANDIDATE, CHAMPION
from ramer.tracking.card_text import method_card
from ramer.tracking.entities import model_metrics
from ramer.tracking.logged_models import LoggedFiles, global_store, link_model, log_model, model_id_of, take_up_model
from ramer.tracking.package import digest_model, example_of, package_model
from ramer.tracking.provenance import Provenance
from ramer.tracking.record import Experiment, Record
from ramer.tracking.store import Store

log = logging.getLogger(__name__)

DIGEST_TAG, METHOD_TAG, SCORE_TAG = "ramer.corpus_digest", "ramer.method", "ramer.avg6_weighted_f1"
MODEL_TAG = "ramer.model_digest"
SPEAKERS_FILE = "speakers.json"  # beside predictions.parquet: who is resampled when two versions are compared
_FOLDER = "model"  # in the run, where the store knows no logged models
_MEGABYTE = 1_000_000
_ABOUT = (
    f"Emotions from audio, face and transcript, of which any may be missing. `{CANDIDATE}` is the model of the latest "
    f"results, `{CHAMPION}` the one that `ramer promote` found not to be worse than the one before. Each version has a "
    "card: corpus, scores with intervals, limits."
)


def register_run(store: Store, experiment: Experiment, record: Record, run: Run, provenance: Provenance) -> None:
    """Call the version that holds a run's method ``candidate``; a new one is made if none holds this very model.

    A model with a file above ``tracking.max_artifact_mb`` is not registered, and a warning says so.

    Args:
        experiment: with the project that holds the trained method.
        run: the method's run, whose scores become those of the model.

    Raises:
        RamerError: the project's files do not make a model.
    """
    name, served, limit = experiment.serve.model, experiment.served, experiment.tracking.max_artifact_mb
    with tempfile.TemporaryDirectory(prefix="ramer-model-") as folder:
        exported = Path(folder, "model")
        export_model(experiment.project.root, exported, served)
        digest = digest_model(exported)
        version = _version_of(store, name, digest)
        if version is None:
            if too_large := largest_above(exported, limit):
                log.warning("warning: NOT registered as a model: %s: tracking.max_artifact_mb is %g", too_large, limit)
                return
            version = _register(store, experiment, record, run, exported, provenance.tags() | {MODEL_TAG: digest})
            log.info("registered as models:/%s/%s (%s)", name, version.version, CANDIDATE)
        else:
            log.info("models:/%s/%s holds this very model: no new version", name, version.version)
            store.client.set_registered_model_alias(name, CANDIDATE, version.version)
    if model_id := model_id_of(version):
        metrics = model_metrics(record.methods[served].metrics, run.info.start_time, model_id, record.corpus)
        link_model(store.client, run, model_id, metrics)


def _register(
    store: Store, experiment: Experiment, record: Record, run: Run, exported: Path, tags: Mapping[str, str]
) -> ModelVersion:
    served, corpus = experiment.served, PreparedCorpus.open(experiment.project.prepared)
    part, card = record.methods[served], method_card(record, served)
    score = repr(part.metrics[f"{AVERAGE}/weighted_f1"])
    tags = {**tags, DIGEST_TAG: record.corpus.digest, METHOD_TAG: served, SCORE_TAG: score}
    kept = take_up_model(store.client, run, MODEL_TAG, tags[MODEL_TAG])
    if kept is None:
        packed = exported.with_name("packed")
        package_model(exported, packed, example_of(corpus))
        noted = {**tags, MLFLOW_RUN_NOTE: card}
        kept = log_model(store.client, run, packed, served, below=_FOLDER, params=part.params, tags=noted)
    _log_speakers(store, corpus, part.artifacts["predictions.parquet"], run, exported.parent)
    return create_version(store.client, experiment.serve.model, run.info.run_id, kept, tags, card)


def create_version(
    client: MlflowClient, name: str, run_id: str, files: LoggedFiles, tags: Mapping[str, str], card: str | None
) -> ModelVersion:
    """Make a model's files the newest version and the candidate; the registered model is made if need be.

    Args:
        card: description of the version, in Markdown.
    """
    try:
        client.create_registered_model(name, description=_ABOUT)
    except MlflowException as error:
        if error.error_code != ErrorCode.Name(RESOURCE_ALREADY_EXISTS):
            raise
    with global_store(client):
        made = client.create_model_version(
            name, files.source, run_id, tags=dict(tags), description=card, model_id=files.model_id
        )
    client.set_registered_model_alias(name, CANDIDATE, made.version)
    return made


def largest_above(folder: Path, megabytes: float) -> str | None:
    """Name and size of the largest file below ``folder`` if it exceeds the limit."""
    size, path = max((path.stat().st_size, path) for path in folder.rglob("*") if path.is_file())
    return f"{path.relative_to(folder)} has {size / _MEGABYTE:.3g} MB" if size > megabytes * _MEGABYTE else None


def _version_of(store: Store, name: str, digest: str) -> ModelVersion | None:
    """The latest version that holds a model; None if there is none."""
    found = [v for v in store.client.search_model_versions(f"name = '{name}'") if v.tags.get(MODEL_TAG) == digest]
    return max(found, key=lambda version: int(version.version), default=None)


def _log_speakers(store: Store, corpus: PreparedCorpus, predictions: Path, run: Run, folder: Path) -> None:
    tested = set(read_table(predictions)["id"])
    speakers = {i: s for i, s in zip(corpus.ids, corpus.speakers, strict=True) if i in tested}
    write_json(folder / SPEAKERS_FILE, {i: s if isinstance(s, str) else None for i, s in speakers.items()})
    store.client.log_artifact(run.info.run_id, str(folder / SPEAKERS_FILE))
