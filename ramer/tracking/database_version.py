"""A registered model with a larger database: a new version, which says what was added and to which version."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities.model_registry import ModelVersion
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE

from ramer.errors import ModelError
from ramer.serving.additions import add_to_database, remove_unused
from ramer.serving.description import Addition
from ramer.serving.exported_model import ExportedModel
from ramer.serving.features import Features
from ramer.serving.registered import fetch_model
from ramer.tracking.bounded_text import cut
from ramer.tracking.card_text import MOST
from ramer.tracking.logged_models import link_model, log_model
from ramer.tracking.registration import METHOD_TAG, MODEL_TAG, create_version
from ramer.tracking.store import open_client
from ramer.tracking.versions import find_version

_GROWN_FROM = "ramer.grown_from"


def add_to_version(
    uri: str, ids: list[str], features: Features, environment: Mapping[str, str]
) -> tuple[Addition, ModelVersion]:
    """Add clips to the database of ``models:/name@alias`` or ``models:/name/3`` and register the result.

    The new version is called ``candidate``, belongs to the run of the old one and keeps its tags: its scores are those
    that the method had with its first database.

    Raises:
        RamerError: as ``add_to_database``, or the version is not there, or an alias names a version to which clips have
            been added before: the new one would lack them.
    """
    with open_client(environment, Path.cwd()) as client:
        old = find_version(client, uri)
        later = [v.version for v in client.search_model_versions(f"name = '{old.name}'") if _grew_from(v, old)]
    if later and "@" in uri:
        raise ModelError(
            f"{uri}: is version {old.version}, to which version {later[0]} has added clips already; name the version "
            f"that is meant, models:/{old.name}/{later[0]} or models:/{old.name}/{old.version}"
        )
    if not old.run_id:
        raise ModelError(f"{uri}: belongs to no run, which would hold the new files")
    with fetch_model(f"models:/{old.name}/{old.version}") as fetched:
        addition = add_to_database(fetched, ids, features)
        remove_unused(ExportedModel(fetched, verify=False))
        folder = f"model-{old.version}-{uuid.uuid4().hex[:12]}"  # never one that another version is in
        tags = {key: value for key, value in old.tags.items() if key != MODEL_TAG} | {
            _GROWN_FROM: str(old.version),
            "ramer.database_added": str(addition.clips),
            "ramer.database_rows": str(addition.rows_before + addition.clips),
            "ramer.database_ids_digest": addition.ids_digest,
        }
        with open_client(environment, Path.cwd()) as client:
            name, run = tags.get(METHOD_TAG) or old.name, client.get_run(old.run_id)
            card = _card(old, addition)
            noted = {**tags, MLFLOW_RUN_NOTE: card}
            files = log_model(client, run, fetched, name, below=folder, params=run.data.params, tags=noted)
            if files.model_id:
                link_model(client, run, files.model_id)
            return addition, create_version(client, old.name, old.run_id, files, tags, card)


def _card(old: ModelVersion, addition: Addition) -> str:
    added = f"Version {old.version} with {addition.clips} more clips in its database, {addition.rows_before} before."
    return cut(f"{added} With them it was not scored: figures are those without.\n\n{old.description or ''}", MOST)


def _grew_from(version: ModelVersion, old: ModelVersion) -> bool:
    return bool(version.tags.get(_GROWN_FROM) == str(old.version))
