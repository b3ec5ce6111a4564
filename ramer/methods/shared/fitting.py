"""Fitting one method on every replicate of a corpus."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from ramer import engine
from ramer.config import Runtime, Training
from ramer.data.prepared import Replicate
from ramer.digests import sealed_directory
from ramer.errors import DivergedError, naming
from ramer.files import digest_file, write_lines
from ramer.inputs import NEIGHBOURS
from ramer.methods import (
    Method,
    MethodOptions,
    build_method,
    method_class,
)
from ramer.modalities import MODALITIES
from ramer.seeding import generator
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.method_record import METHOD_FILE, Checkpoint, TrainedMethod
from ramer.training.replicate_data import ReplicateData
from ramer.training.savepoints import NOTHING_KEPT, Savepoints
from ramer.training.workspace import Workspace

_log = logging.getLogger(__name__)


def fit_method(
    name: str,
    options: MethodOptions,
    workspace: Workspace,
    training: Training,
    runtime: Runtime,
    out: Path,
    savepoints: Savepoints = NOTHING_KEPT,
) -> None:
    """Fit a method on every replicate and write its checkpoints, history and ``method.json``.

    Args:
        name, options: of the entry under ``methods``.
        workspace: what the method reads.
        training: the budget that all neural heads share.
        out: folder to write, whole or not at all.
        savepoints: to go on from; the bytes of ``out`` do not depend on them.

    Raises:
        ConfigError: there is no such device.
        RetrievalError: k exceeds a database or the lists.
        DivergedError: a training came to numbers that are not finite.
    """
    kind = method_class(options.type)
    device = kind.device_for(runtime.device)
    replicates = workspace.corpus.replicates
    if NEIGHBOURS in kind.inputs_of(options):
        _check_k(name, options, workspace)
    with sealed_directory(out) as temporary:
        done = engine.map(
            partial(
                _fit_one, name, options, workspace, training, temporary, savepoints, engine.device_of_calls(device)
            ),
            replicates,
            resources=engine.Resources.on(device, runtime.threads),
            description=f"train {name}",
        )
        lines: list[dict[str, str | float]] = []
        chosen: dict[str, Checkpoint] = {}
        for replicate, (fitted, history, digest, _) in zip(replicates, done, strict=True):
            lines += [{"replicate": replicate.name, **line} for line in history]
            chosen[replicate.name] = Checkpoint(
                epoch=fitted.best_epoch, val_selection=fitted.val_selection, digest=digest
            )
        write_lines(temporary / "history.csv", ("replicate", "epoch", "train_loss", "val_selection"), lines)
        _record(name, kind, options, chosen, numbers=done[0][3]).write(temporary / METHOD_FILE)


def _fit_one(
    name: str,
    options: MethodOptions,
    workspace: Workspace,
    training: Training,
    directory: Path,
    savepoints: Savepoints,
    device: str,
    replicate: Replicate,
) -> tuple[Fitted, list[dict[str, float]], str, int]:
    """One replicate's method: written to the directory, with its history, the digest of its file and its numbers."""
    method = build_method(options, workspace.shape(), training, device)
    history = History()
    with naming(f"params.yaml: methods.{name}: {replicate.name}"):
        fitted = fit_replicate(method, workspace.replicate(replicate, method.reads), history, savepoints)
        learnt = method.state()
        _check_numbers(learnt)
    path = directory / f"{replicate.name}.safetensors"
    method.save(path)
    _log.info("%s %s: selection on validation %.4f", name, replicate.name, fitted.val_selection)
    numbers = sum(array.size for array in learnt.values())
    return fitted, history.lines, digest_file(path), numbers


def _check_numbers(learnt: Mapping[str, np.ndarray]) -> None:
    """Refuse to write what would say nothing of any clip.

    Raises:
        DivergedError: naming the first array with a NaN; an intercept may be minus infinity.
    """
    wrong = next((key for key, array in learnt.items() if np.isnan(array).any()), None)
    if wrong is not None:
        raise DivergedError(f"{wrong}: what was learnt holds NaN, nothing is written")


def fit_replicate(
    method: Method, data: ReplicateData, history: History, savepoints: Savepoints = NOTHING_KEPT
) -> Fitted:
    """Fit a method on one replicate's rows with that replicate's own stream."""
    replicate = data.replicate
    train = TrainingBatch(data, method.reads, method.needs_complete, method.training.missing_rates, savepoints)
    val = LabelledRows(data, data.corpus.rows_in(replicate, "val"), method.reads, method.needs_complete)
    # The method's name is no part of the stream: an entry that differs in one option starts from the same weights.
    rng = generator(replicate.seed, "fit", replicate.fold)
    return method.fit(train, val, rng, history)


def validation_scores(
    name: str, options: MethodOptions, workspace: Workspace, training: Training, runtime: Runtime
) -> list[float]:
    """Selection on validation rows, replicate by replicate, of a method that is fitted for this alone.

    Args:
        name, options: of the entry under ``methods``.
        workspace: what the method reads.
        training: the budget that all neural heads share.

    Raises:
        ConfigError: there is no such device.
        RetrievalError: k exceeds a database or the lists.
        DivergedError: a training came to numbers that are not finite.
    """
    kind = method_class(options.type)
    if NEIGHBOURS in kind.inputs_of(options):
        _check_k(name, options, workspace)
    device, replicates = kind.device_for(runtime.device), workspace.corpus.replicates
    return engine.map(
        partial(_score_one, name, options, workspace, training, engine.device_of_calls(device)),
        replicates,
        resources=engine.Resources.on(device, runtime.threads),
        description=f"try {name}",
    )


def _score_one(
    name: str,
    options: MethodOptions,
    workspace: Workspace,
    training: Training,
    device: str,
    replicate: Replicate,
) -> float:
    method = build_method(options, workspace.shape(), training, device)
    with naming(f"params.yaml: methods.{name}: {replicate.name}"):
        return fit_replicate(method, workspace.replicate(replicate, method.reads), History()).val_selection


def _check_k(name: str, options: MethodOptions, workspace: Workspace) -> None:
    """Every training row must find k neighbours, as test rows do: a head that has met none learns nothing of them."""
    held = [m for i, m in enumerate(MODALITIES) if workspace.corpus.available[:, i].any()]
    for table in (workspace.neighbours[m] for m in held):
        for replicate in workspace.corpus.replicates:
            options.check_k(name, table.width, table.findable_rows(replicate))


def _record(
    name: str, kind: type[Method], options: MethodOptions, chosen: dict[str, Checkpoint], numbers: int
) -> TrainedMethod:
    scores = [checkpoint.val_selection for checkpoint in chosen.values()]
    return TrainedMethod(
        name=name,
        type=options.type,
        options=options.model_dump(mode="json"),
        inputs=tuple(sorted(kind.inputs_of(options))),
        deployable=kind.deployable_with(options),
        retrieval=kind.retrieval,
        validation_selection=sum(scores) / len(scores),
        numbers=numbers,
        replicates=chosen,
    )
