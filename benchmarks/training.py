"""One epoch of missing-modality training with frozen encoders against the published way, one search per sample.

Both train the same head on the same rows, each under one drawn condition, with the same database: the pool of MER2024
by size. Ours is the pipeline's own stage ``train``; an epoch is what one more epoch costs it, and what it does once
for all epochs (and the stage ``retrieve`` before it) is given apart. The plain loop follows the released code of RAMER:
per clip one FAISS search in every space that the clip has, neighbours fetched and summed one by one. It is run on a
part of the rows and scaled to all.

Prints JSON: seconds per epoch, their ratio, and where an epoch of ours goes (share of the time in the head's forward
and backward, in the optimiser, in validation).

    python -m benchmarks.training [--rows 5030] [--pool 115595]
"""

from __future__ import annotations

import cProfile
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks._run import parser, report, say, shares
from ramer.config import Config, parse_config
from ramer.inputs import STATES
from ramer.modalities import MODALITIES, condition_masks
from ramer.nn.fusion import FusionClassifier
from ramer.pipeline.dump import dump
from ramer.pipeline.index import index
from ramer.pipeline.prepare import prepare
from ramer.pipeline.pretrain import pretrain
from ramer.pipeline.retrieve import retrieve
from ramer.pipeline.train import train
from ramer.project import Project
from ramer.retrieval.indexes import load_index
from ramer.seeding import set_threads
from ramer.training.adamw import AdamW
from ramer.training.labelled_rows import TrainingBatch
from ramer.training.workspace import Workspace

HIDDEN, K, LOOPED, HELD_OUT = 256, 5, 128, 0.05
PARTS = {
    "forward": ("_imputing.py", "loss"),
    "backward": ("_tensor.py", "backward"),
    "optimizer": ("adamw.py", "step"),
    "clipping": ("clip_grad.py", "clip_grad_norm_"),
    "validation": ("_imputing.py", "validate"),
    "inputs, made once": ("_imputing.py", "fused"),
}


def make_config(rows: int, pool: int, epochs: int) -> Config:
    encoder = {"hidden_dim": HIDDEN, "epochs": 1}
    synthetic = {"speakers": 100, "dims": {"audio": 64, "video": 48, "text": 128}, "held_out_share": HELD_OUT}
    synthetic |= {"rows": round(rows / (1 - 2 * HELD_OUT)), "pool_rows": pool}
    return parse_config(
        {
            "corpus": {"synthetic": synthetic},
            "prepare": {"seeds": [0]},
            "pretrain": dict.fromkeys(MODALITIES, encoder),
            "retrieval": {"scope": "pool"},
            "train": {"epochs": epochs, "patience": epochs},
            "methods": {"ramer": {"type": "ramer", "k": K, "tau": 0.1}},
        }
    )


def build(project: Project, config: Config) -> dict[str, float]:
    """Everything that training reads; seconds per stage."""
    seconds: dict[str, float] = {}
    prepare(config, project)
    for m in MODALITIES:
        for stage in (pretrain, dump, index):
            stage(config, project, m)
        start = time.perf_counter()
        retrieve(config, project, m)
        seconds["retrieve"] = seconds.get("retrieve", 0.0) + time.perf_counter() - start
    return seconds


def plain_epoch(project: Project, workspace: Workspace, config: Config, rows: int) -> float:
    """Seconds of an epoch over ``rows`` training rows, each searched on its own as it is needed."""
    data = workspace.replicate(workspace.corpus.replicates[0], _Reader.inputs)
    train = TrainingBatch(data, frozenset({STATES}))
    indexes = {m: load_index(project.index(m, "fold0_seed0"), mapped=False) for m in MODALITIES}
    drawn, masks = train.conditions_at(0), condition_masks()
    head = FusionClassifier(3 * HIDDEN + 6, config.train.hidden, workspace.corpus.classes, config.train.dropout)
    optimizer = AdamW(head.parameters(), config.train.lr, weight_decay=config.train.weight_decay)
    labels, size = torch.from_numpy(train.labels), config.train.batch_size
    whole = train.complete
    states = {m: workspace.states[m].states[0] for m in MODALITIES}
    start = time.perf_counter()
    for first in range(0, rows, size):
        part = range(first, min(first + size, rows))
        inputs = [plain_input(i, masks[drawn[i]] & whole.available[i], whole.states, indexes, states) for i in part]
        loss = torch.nn.functional.cross_entropy(head(torch.from_numpy(np.stack(inputs))), labels[first : part.stop])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - start


class _Reader:
    inputs = frozenset({STATES})


def plain_input(i: int, available: np.ndarray, own: dict, indexes: dict, states: dict) -> np.ndarray:
    """A clip's input for the head, as the published code makes it."""
    near, best = np.empty(0, dtype=np.int64), -np.inf
    if not available.all():
        for m, held in zip(MODALITIES, available, strict=True):
            if held:
                scores, found = indexes[m].faiss_index.search(own[m][i : i + 1], K)
                if scores[0, K - 1] > best:
                    near, best = indexes[m].rows[found[0]], scores[0, K - 1]
    parts = []
    for m, held in zip(MODALITIES, available, strict=True):
        if held:
            parts.append(own[m][i])
            continue
        total = np.zeros(HIDDEN, dtype=np.float32)
        for row in near:
            state = np.array(states[m][row])
            if np.isfinite(state).all():
                total += state
        parts.append(total)
    return np.concatenate([*parts, available, ~available]).astype(np.float32)


def profile(config: Config, project: Project) -> dict[str, float]:
    """Share of the time of training that each part takes, its callees included."""
    profiler = cProfile.Profile()
    profiler.runcall(train, config, project, "ramer")
    return shares(profiler, PARTS)


def main() -> None:
    made = parser(__doc__, rows=5030, pool=115_595, epochs=20, threads=2)
    options = made.parse_args()
    set_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        seconds = build(project, make_config(options.rows, options.pool, 1))
        say("built")
        workspace = Workspace(project)
        rows = len(workspace.corpus.rows_in(workspace.corpus.replicates[0], "train"))
        timed = {}
        for epochs in (1, 1 + options.epochs):
            config = make_config(options.rows, options.pool, epochs)
            start = time.perf_counter()
            train(config, project, "ramer")
            timed[epochs] = time.perf_counter() - start
        epoch = (timed[1 + options.epochs] - timed[1]) / options.epochs
        plain_epoch(project, workspace, config, 16)
        plain = plain_epoch(project, workspace, config, LOOPED) * rows / LOOPED
        say(f"retrieve {seconds['retrieve']:.1f} s, one epoch {timed[1]:.1f} s")
        once = timed[1] - epoch + seconds["retrieve"]
        figures = {
            "train_rows": rows,
            "epoch_seconds": epoch,
            "plain_epoch_seconds": plain,
            "plain_over_ours": plain / epoch,
            "once_seconds": once,
            "retrieve_seconds": seconds["retrieve"],
            "plain_over_ours_60_epochs_all_in": 60 * plain / (60 * epoch + once),
            "shares": profile(config, project),
        }
    report(options, figures)


if __name__ == "__main__":
    main()
