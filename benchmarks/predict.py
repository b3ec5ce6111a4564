"""How long a prediction takes in a warm process, on a database of ten thousand clips made by the pipeline's functions.

Prints JSON: the median milliseconds of one clip per condition, by the default three replicates at once, by the three
one after the other and by one alone, what they go to under the slowest condition, the seconds of a batch of a thousand
(each clip under a condition of its own in turn) and how many times longer the same clips take one by one, all in one
run.

    python -m benchmarks.predict [--method ramer] [--rows 10000] [--threads 2]
    python -m benchmarks.predict --changed '{"encoder": "finetune"}'
"""

from __future__ import annotations

import copy
import cProfile
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._run import ROOT, parser, report, shares
from ramer.config import load_config, parse_config
from ramer.modalities import CONDITIONS, MODALITIES, condition_masks
from ramer.pipeline.dump import dump
from ramer.pipeline.index import index
from ramer.pipeline.prepare import prepare
from ramer.pipeline.pretrain import pretrain
from ramer.pipeline.retrieve import retrieve
from ramer.pipeline.train import train
from ramer.project import Project
from ramer.seeding import set_threads
from ramer.serving.inference import PerReplicate
from ramer.serving.predictor import Predictor

PARAMS = Project(ROOT).params
PARTS = {
    "search": ("stacked_indexes.py", "search"),
    "encoders": ("inference.py", "_encode"),
    "choosing neighbours": ("aggregation.py", "find"),
    "heads": ("stacked.py", "apply_perceptrons"),
}
LABELLED = 600  # rows; the others of the database are the pool


def build_project(root: Path, method: str, rows: int, seeds: Sequence[int], **changed: Any) -> None:
    """The default parameters with a pool of the wanted size; weights do not change how long anything takes."""
    raw = load_config(PARAMS).model_dump(mode="json")
    raw["corpus"]["synthetic"] |= {"rows": LABELLED, "pool_rows": rows - LABELLED // 2, "missing_rate": 0.0}
    raw["retrieval"]["scope"] = "all"
    raw["prepare"]["seeds"] = list(seeds)
    raw["methods"] = {method: raw["methods"].get(method, {"type": method}) | changed}
    raw["serve"]["method"] = method
    raw["report"]["reference"] = "best_baseline"
    for m in MODALITIES:
        raw["pretrain"][m]["epochs"] = 2
    raw["train"]["epochs"] = 2
    config = parse_config(raw)
    root.mkdir()
    project = Project(root)
    project.params.write_text(json.dumps(raw))
    prepare(config, project)
    for m in MODALITIES:
        for stage in (pretrain, dump, index, retrieve):
            stage(config, project, m)
    train(config, project, method)


def median_ms(
    predictor: Predictor, clips: dict[str, np.ndarray], held: np.ndarray, repeats: int
) -> tuple[float, float]:
    """Wall and processor milliseconds of one clip at a time, each another one; on a busy machine the second counts."""
    seconds = []
    for i in range(repeats):
        one = {m: clips[m][i : i + 1] for m, h in zip(MODALITIES, held, strict=True) if h}
        start, worked = time.perf_counter(), time.process_time()
        predictor.predict(one)
        seconds.append((time.perf_counter() - start, time.process_time() - worked))
    wall, cpu = zip(*seconds[2:], strict=True)
    return 1000 * statistics.median(wall), 1000 * statistics.median(cpu)


def bench_batch(predictor: Predictor, clips: dict[str, np.ndarray], size: int) -> dict[str, float]:
    """A batch at once, the best of three, and in a plain loop."""
    masks = condition_masks()[np.arange(size) % len(CONDITIONS)]
    batch = {m: np.where(masks[:, i, None], clips[m][:size], np.float32(np.nan)) for i, m in enumerate(MODALITIES)}
    whole = []
    for _ in range(3):
        start = time.perf_counter()
        predictor.predict(batch)
        whole.append(time.perf_counter() - start)
    start = time.perf_counter()
    for i in range(size):
        predictor.predict({m: vectors[i : i + 1] for m, vectors in batch.items()})
    loop = time.perf_counter() - start
    return {"batch_s": round(min(whole), 4), "loop_s": round(loop, 3), "loop_to_batch": round(loop / min(whole), 1)}


def main() -> None:
    made = parser(__doc__, rows=10_000, batch=1000, repeats=100, threads=2)
    made.add_argument("--method", default="ramer")
    made.add_argument("--changed", type=json.loads, default={}, help="options of the method, as JSON")
    options = made.parse_args()
    set_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        predictors = []
        for seeds in ((0,), (0, 1, 2)):
            root = Path(folder, str(len(seeds)))
            build_project(root, options.method, options.rows, seeds, **options.changed)
            predictors.append(Predictor.load(root))
        single, predictor = predictors
        rng = np.random.default_rng(0)
        clips = {
            m: rng.normal(size=(max(options.batch, options.repeats), dim)).astype(np.float32)
            for m, dim in predictor.dims.items()
        }
        held = dict(zip(CONDITIONS, condition_masks(), strict=True))
        clip = {c: median_ms(predictor, clips, mask, options.repeats) for c, mask in held.items()}
        slowest = max(clip, key=lambda condition: clip[condition])
        plain = copy.copy(predictor)
        plain.inference = PerReplicate(predictor.replicates)
        each = {c: median_ms(plain, clips, mask, options.repeats) for c, mask in held.items()}
        alone = {c: median_ms(single, clips, mask, options.repeats) for c, mask in held.items()}
        profiler = cProfile.Profile()
        profiler.runcall(median_ms, predictor, clips, held[slowest], options.repeats)
        figures = {
            "replicates": len(predictor.description.replicates),
            "one_clip_ms": {condition: wall for condition, (wall, _) in clip.items()},
            "one_clip_cpu_ms": {condition: cpu for condition, (_, cpu) in clip.items()},
            "one_clip_per_replicate_ms": {condition: wall for condition, (wall, _) in each.items()},
            "one_clip_per_replicate_cpu_ms": {condition: cpu for condition, (_, cpu) in each.items()},
            "one_clip_one_replicate_ms": {condition: wall for condition, (wall, _) in alone.items()},
            "slowest": slowest,
            "shares": {} if options.changed else shares(profiler, PARTS),  # the parts are those of the defaults
            "batch": bench_batch(predictor, clips, options.batch),
        }
    report(options, figures)


if __name__ == "__main__":
    main()
