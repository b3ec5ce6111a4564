"""Scores and data sets as MLflow's entities."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from ramer.tracking.record import Corpus

_DIGEST_LENGTH = 16  # MLflow stores at most 36 characters, and shows them beside every run; the profile holds all

METRICS_PER_CALL = 900  # MLflow takes at most 1000 entities, 100 of them params


def entity_name(name: str) -> str:
    """MLflow takes letters, digits and ``_-. :/`` in a name; anything else, as in ``f1_joy@work``, becomes ``_``."""
    return re.sub(r"[^\w\-./: ]", "_", name)


def dataset_of(corpus: Corpus) -> DatasetInput:
    """The corpus as what a run has read."""
    dataset = Dataset(
        name=corpus.info.name,
        digest=corpus.digest[:_DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": corpus.source}),
        profile=json.dumps(corpus.profile, sort_keys=True),
    )
    return DatasetInput(dataset, [InputTag(MLFLOW_DATASET_CONTEXT, "training and evaluation")])


def model_metrics(scores: Mapping[str, float], time_ms: int, model_id: str, corpus: Corpus) -> list[Metric]:
    """Scores of a run as those of a logged model, on the data set that they were measured on."""
    dataset = dataset_of(corpus).dataset
    return [
        Metric(entity_name(key), value, time_ms, 0, model_id, dataset.name, dataset.digest)
        for key, value in scores.items()
    ]
