"""What a method costs: measured while its stages run, and kept beside what is digested, never in it."""

from __future__ import annotations

import contextlib
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ramer.errors import StaleError
from ramer.files import digest_file
from ramer.records import Record
from ramer.training.method_record import METHOD_FILE

TRAINING_FILE, PREDICTING_FILE = "training.json", "predicting.json"
BATCH_ROWS = 64
_REPEATS = 3


class TrainingCost(Record):
    """``training.json``.

    Attributes:
        trained: digest of the ``method.json`` that was written: a cost of other checkpoints is nobody's.
        seconds: of all replicates together, as the stage ran them.
        peak_mb: largest memory of the stage's process or of one of its workers.
        device: as chosen.
    """

    trained: str
    seconds: float
    peak_mb: float
    device: str


class PredictingCost(Record):
    """``predicting.json``; from stored features, states and neighbour lists, so without encoders and search.

    Attributes:
        trained: digest of the ``method.json`` that was read.
        clip_ms: for one clip alone, mean over the seven conditions.
        batch_ms: for ``batch_rows`` clips at once.
        batch_rows: at most 64.
        peak_mb: largest memory of the stage's process or of one of its workers.
        device: as chosen.
    """

    trained: str
    clip_ms: float
    batch_ms: float
    batch_rows: int
    peak_mb: float
    device: str


def peak_mb() -> float:
    """Largest resident memory so far of this process, or of one of its workers."""
    most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(most / (2**20 if sys.platform == "darwin" else 2**10), 1)


def milliseconds(calls: Sequence[Callable[[], object]]) -> float:
    """Mean over the calls of each one's median time; every call is made once before, as the first is always slow."""
    medians = []
    for call in calls:
        call()
        times = []
        for _ in range(_REPEATS):
            start = time.perf_counter()
            call()
            times.append(1000 * (time.perf_counter() - start))
        medians.append(statistics.median(times))
    return round(statistics.fmean(medians), 4)


def trained_digest(trained: Path) -> str:
    """Of a trained method's description, which names its checkpoints; empty where there is none."""
    path = trained / METHOD_FILE
    return digest_file(path) if path.is_file() else ""


def write_cost(cost: TrainingCost | PredictingCost, path: Path) -> None:
    """Keep what was measured; where the folder cannot be written, nothing is lost but this."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        cost.write(path)


def read_costs(folder: Path, trained: Path) -> tuple[TrainingCost | None, PredictingCost | None]:
    """What was measured of these very checkpoints; None for what was not, or was of others.

    Args:
        folder: of the method's costs.
        trained: of its checkpoints.
    """
    digest = trained_digest(trained)
    training, predicting = None, None
    try:
        training = TrainingCost.read(folder / TRAINING_FILE)
    except StaleError:
        training = None
    try:
        predicting = PredictingCost.read(folder / PREDICTING_FILE)
    except StaleError:
        predicting = None
    return (
        training if training is not None and training.trained == digest else None,
        predicting if predicting is not None and predicting.trained == digest else None,
    )
