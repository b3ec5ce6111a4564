"""Scoring one trained method under all seven conditions: nothing else predicts test rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ramer import engine
from ramer.config import Evaluate, Runtime
from ramer.data.prepared import Replicate
from ramer.errors import StaleError
from ramer.evaluation.conformal import patterns
from ramer.evaluation.conformal_record import CONFORMAL_FILE, conformal_scores
from ramer.evaluation.lent import LENT_FILE
from ramer.evaluation.pool import POOL_FILE
from ramer.evaluation.predictions import confusion_by_condition, score_predictions
from ramer.evaluation.scenarios import scenarios
from ramer.files import atomic_directory, digest_file, write_json, write_table
from ramer.methods import Method, load_method, method_class
from ramer.methods.shared.lending import lent_rows
from ramer.methods.shared.pool_curve import predict_by_pool
from ramer.methods.shared.predicting import predict_rows
from ramer.modalities import CONDITIONS
from ramer.training.costs import BATCH_ROWS, PredictingCost, milliseconds, peak_mb, trained_digest
from ramer.training.labelled_rows import LabelledRows
from ramer.training.method_record import METHOD_FILE, TrainedMethod
from ramer.training.replicate_data import ReplicateData
from ramer.training.workspace import Workspace


def score_method(
    workspace: Workspace, trained: Path, settings: Evaluate, runtime: Runtime, out: Path
) -> PredictingCost:
    """Predict every replicate's test rows under all conditions; write predictions, metrics, confusion and who lent.

    Validation rows are predicted too: sets of a wanted coverage follow from them (``conformal.json``).

    Args:
        workspace: what the method reads.
        trained: the folder that ``fit_method`` wrote.
        settings: bins and rates of the metrics.
        runtime: threads and device.
        out: folder to write, whole or not at all.

    Returns:
        What predicting cost, which is no part of what is written.

    Raises:
        ConfigError: there is no such device.
        StaleError: a checkpoint is absent or is not the one that its description names.
    """
    about, replicates = TrainedMethod.read(trained / METHOD_FILE), workspace.corpus.replicates
    device = method_class(about.type).device_for(runtime.device)
    for replicate in replicates:
        path = _checkpoint(trained, replicate)
        if not path.exists() or digest_file(path) != about.digest(replicate.name):
            raise StaleError(f"{path}: not the checkpoint that {METHOD_FILE} describes", trained)
    first = min(replicate.seed for replicate in replicates)
    scored = engine.map(
        partial(_score_one, workspace, trained, first, settings.pool_sizes, engine.device_of_calls(device)),
        replicates,
        resources=engine.Resources.on(device, runtime.threads),
        description=f"evaluate {about.name}",
    )
    diagnostics = [line for one in scored for line in one.diagnostics]
    lent = [one.lent for one in scored if one.lent is not None]
    grown = [one.grown for one in scored if one.grown is not None]
    predictions = pd.concat([one.predictions for one in scored], ignore_index=True)
    labels = list(workspace.corpus.label_names)
    corpus, digest = workspace.corpus, trained_digest(trained)
    held = dict(zip(corpus.ids, patterns(corpus.available), strict=True))
    validated = pd.concat([one.validated for one in scored], ignore_index=True)
    with atomic_directory(out) as temporary:
        write_table(temporary / "predictions.parquet", predictions)
        scores = score_predictions(predictions, labels, settings.ece_bins, scenarios(settings))
        write_json(temporary / "metrics.json", scores)
        write_json(temporary / "confusion.json", confusion_by_condition(predictions, labels))
        write_json(temporary / "retrieval.json", {"by_condition": _mean_diagnostics(diagnostics)})
        conformal_scores(validated, held, labels, digest).write(temporary / CONFORMAL_FILE)
        if lent:
            write_table(temporary / LENT_FILE, pd.concat(lent, ignore_index=True))
        if grown:
            write_table(temporary / POOL_FILE, pd.concat(grown, ignore_index=True))
        about.scored.write(temporary / METHOD_FILE)
    clip_ms, batch_ms = scored[0].milliseconds
    rows = int((predictions["replicate"] == replicates[0].name).sum()) // len(CONDITIONS)
    return PredictingCost(
        trained=digest,
        clip_ms=clip_ms,
        batch_ms=batch_ms,
        batch_rows=min(BATCH_ROWS, rows),
        peak_mb=peak_mb(),
        device=device,
    )


class _Scored(NamedTuple):
    """What one replicate's rows gave.

    Attributes:
        lent: of a method that lends, and the first seed.
        milliseconds: for one clip and for a batch; zeros for all but the first replicate.
        grown: of a method with a database of its own, where there is a pool.
    """

    predictions: pd.DataFrame
    validated: pd.DataFrame
    diagnostics: list[dict]
    lent: pd.DataFrame | None
    milliseconds: tuple[float, float]
    grown: pd.DataFrame | None


def _score_one(
    workspace: Workspace,
    trained: Path,
    first_seed: int,
    pool_sizes: tuple[int, ...],
    device: str,
    replicate: Replicate,
) -> _Scored:
    """Predictions of one replicate and what it retrieved."""
    method = load_method(_checkpoint(trained, replicate), device)
    data = workspace.replicate(replicate, method.reads)
    test, val = held_out_rows(method, data), held_out_rows(method, data, "val")
    lent = lent_rows(method, test) if method.lends and replicate.seed == first_seed else None
    tables = predict_rows(method, test), predict_rows(method, val), retrieval_diagnostics(method, test), lent
    spent = _measured(method, test) if replicate.index == 0 else (0.0, 0.0)
    return _Scored(*tables, spent, predict_by_pool(method, test, pool_sizes))


def _checkpoint(trained: Path, replicate: Replicate) -> Path:
    return trained / f"{replicate.name}.safetensors"


def held_out_rows(method: Method, data: ReplicateData, split: str = "test") -> LabelledRows:
    """A replicate's test (or validation) rows as the method reads them; each condition's batch is built once."""
    rows = data.corpus.rows_in(data.replicate, split)
    return LabelledRows(data, rows, method.reads, method.needs_complete)


def retrieval_diagnostics(method: Method, test: LabelledRows) -> list[dict]:
    """What a retrieving method retrieved for the rows, per condition; empty for the others."""
    if not method.retrieval:
        return []
    name = test.data.replicate.name
    return [{"condition": c, "replicate": name, **method.diagnose(test.under(c), test.labels)} for c in CONDITIONS]


def _mean_diagnostics(diagnostics: list[dict]) -> dict:
    if not diagnostics:
        return {}
    table = pd.DataFrame(diagnostics).drop(columns="replicate")
    return table.groupby("condition", sort=False).mean().to_dict(orient="index")


def _measured(method: Method, test: LabelledRows) -> tuple[float, float]:
    """Milliseconds for one clip and for a batch, mean over the seven conditions."""
    batches = [test.under(c) for c in CONDITIONS]
    one, many = (
        milliseconds([partial(method.predict_proba, batch.take(np.arange(n))) for batch in batches])
        for n in (1, min(BATCH_ROWS, len(test)))
    )
    return one, many
