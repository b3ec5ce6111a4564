"""Score one trained method under all seven conditions: nothing else predicts test rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.errors import ModelError
from ramer.evaluation.metrics import confusion_by_condition, score_predictions
from ramer.evaluation.scenarios import scenarios
from ramer.files import atomic_directory, digest_file, read_json, write_json, write_table
from ramer.methods import Method, load_method
from ramer.modalities import CONDITIONS
from ramer.seeding import choose_device
from ramer.training.batches import LabelledRows, ReplicateData
from ramer.training.workspace import Workspace


def evaluate_method(config: Config, name: str, workspace: Workspace, models: Path, out: Path) -> None:
    """Predict every replicate's test rows under all conditions; write predictions, metrics and confusion.

    Args:
        models: ``models/methods/<name>``.
        out: ``results/methods/<name>``.

    Raises:
        ModelError: a checkpoint is absent or is not the one that training described.
    """
    if not (models / "method.json").is_file():
        raise ModelError(f"{models / 'method.json'}: no such file, expected the output of train@{name}")
    description = read_json(models / "method.json")
    device = choose_device(config.runtime.device)
    tables, diagnostics = [], []
    for replicate in workspace.corpus.replicates:
        path = models / f"{replicate.name}.safetensors"
        if not path.exists() or digest_file(path) != description["replicates"][replicate.name]["digest"]:
            raise ModelError(f"{path}: not the checkpoint that method.json describes; rerun train@{name}")
        method = load_method(path, device)
        data = workspace.replicate(replicate, method.inputs)
        tables.append(predict_replicate(method, data))
        diagnostics += retrieval_diagnostics(method, data)
    predictions = pd.concat(tables, ignore_index=True)
    labels = list(workspace.corpus.label_names)
    with atomic_directory(out) as temporary:
        write_table(temporary / "predictions.parquet", predictions)
        scores = score_predictions(predictions, labels, config.evaluate.ece_bins, scenarios(config.evaluate))
        write_json(temporary / "metrics.json", scores)
        write_json(temporary / "confusion.json", confusion_by_condition(predictions, labels))
        write_json(temporary / "retrieval.json", {"by_condition": _mean_diagnostics(diagnostics)})
        keys = ("name", "type", "options", "deployable", "retrieval", "validation_selection")
        write_json(temporary / "method.json", {key: description[key] for key in keys})


def predict_replicate(method: Method, data: ReplicateData) -> pd.DataFrame:
    """Predictions of one replicate's test rows, one line per row and condition."""
    test = LabelledRows(data, data.corpus.rows_in(data.replicate, "test"), method.inputs, method.needs_complete)
    return pd.concat(
        [prediction_table(data.corpus, data, test, c, method.predict_proba(test.under(c))) for c in CONDITIONS],
        ignore_index=True,
    )


def prediction_table(
    corpus: PreparedCorpus, data: ReplicateData, rows: LabelledRows, condition: str, proba: np.ndarray
) -> pd.DataFrame:
    """The columns of ``predictions.parquet``.

    Raises:
        ModelError: a probability is not finite or a row does not sum to one.
    """
    if not np.isfinite(proba).all() or not np.allclose(proba.sum(axis=1), 1.0, atol=1e-4):
        raise ModelError(f"{data.replicate.name}, condition {condition}: predictions are not probabilities")
    names = np.array(corpus.label_names, dtype=object)
    columns = {
        "id": corpus.ids[rows.rows],
        "replicate": data.replicate.name,
        "fold": data.replicate.fold,
        "seed": data.replicate.seed,
        "condition": condition,
        "label": names[rows.labels],
        "predicted": names[proba.argmax(axis=1)],
    }
    columns |= {f"p/{name}": proba[:, i].astype(np.float32) for i, name in enumerate(corpus.label_names)}
    return pd.DataFrame(columns)


def retrieval_diagnostics(method: Method, data: ReplicateData) -> list[dict]:
    """What a retrieving method retrieved for the test rows, per condition; empty for the others."""
    if not method.retrieval:
        return []
    test = LabelledRows(data, data.corpus.rows_in(data.replicate, "test"), method.inputs)
    return [
        {"condition": c, "replicate": data.replicate.name, **method.diagnose(test.under(c), test.labels)}
        for c in CONDITIONS
    ]


def _mean_diagnostics(diagnostics: list[dict]) -> dict:
    if not diagnostics:
        return {}
    table = pd.DataFrame(diagnostics).drop(columns="replicate")
    return table.groupby("condition", sort=False).mean().to_dict(orient="index")
