"""How fast ``prepare`` reads a MERBench corpus of small files, and that an interrupted run goes on where it was.

Writes a corpus in MERBench's layout, one ``.npy`` per clip and modality with the widths of MER2024's features (1024,
768, 5120), then prepares it in a process of its own. Prints JSON: files per second of the first run (the files were
just written, so the disk's cache may hold them), of a plain loop of ``np.load`` over the same files, the seconds of a
run that was killed half-way and of the one that finished it, peak anonymous memory, and the time that 115,000 clips
would take by proportion.

    python -m benchmarks.corpus [--clips 3000]
"""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from benchmarks._run import parser, report, say
from benchmarks.memory import anonymous_kilobytes
from ramer.config import Config, parse_config
from ramer.modalities import MODALITIES
from ramer.pipeline.prepare import prepare
from ramer.project import Project
from ramer.seeding import generator

DIMS = {"audio": 1024, "video": 768, "text": 5120}
LABELS = ("neutral", "angry", "happy", "sad", "worried", "surprise")
LABELLED_SHARE = 0.04  # MER2024: 5,030 labelled clips to 115,595 others
WHOLE = 115_000


def write_corpus(root: Path, clips: int) -> None:
    """Label file and feature folders; the pool has MER2024's placeholder as label."""
    labelled = max(60, round(clips * LABELLED_SHARE))
    names = [f"clip_{i:08d}" for i in range(clips)]
    # Its genuine files hold pickled dicts; the reader takes them through an allow-list.
    members = {
        "train_corpus": {n: {"emo": LABELS[i % len(LABELS)], "val": -10} for i, n in enumerate(names[:labelled])},
        "test3_corpus": {n: {"emo": LABELS[0], "val": -10} for n in names[labelled:]},
    }
    np.savez(root / "label.npz", **{key: np.array(value, dtype=object) for key, value in members.items()})  # type: ignore[arg-type]
    for m, dim in DIMS.items():
        folder = root / m
        folder.mkdir()
        block = generator(0, "corpus", m).normal(size=(1024, dim)).astype(np.float32)
        for i, name in enumerate(names):
            np.save(folder / f"{name}.npy", block[i % len(block)] + np.float32(i % 7))


def make_config(root: Path) -> Config:
    merbench = {"dataset": "mer", "features": {m: m for m in MODALITIES}}
    corpus = {"kind": "merbench", "path": str(root), "merbench": merbench}
    return parse_config({"corpus": corpus, "prepare": {"seeds": [0]}, "methods": {"ramer": {"type": "ramer"}}})


def timed(config: Config, project: Project, answer: Connection) -> None:
    start = time.perf_counter()
    answer.send(0.0)  # the imports are done: the clock of a killed run starts here
    prepare(config, project)
    answer.send(time.perf_counter() - start)


def run(config: Config, project: Project, kill_after: float | None = None) -> tuple[float, float]:
    """Seconds, and peak anonymous MB, of ``prepare`` in a fresh process; killed after some seconds where asked."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=timed, args=(config, project, sender))
    process.start()
    receiver.recv()
    start, peak = time.perf_counter(), 0
    while process.is_alive():
        peak = max(peak, anonymous_kilobytes(int(process.pid or 0)))
        if kill_after is not None and time.perf_counter() - start > kill_after:
            process.kill()
        time.sleep(0.02)
    process.join()
    if process.exitcode and kill_after is None:
        raise SystemExit("prepare failed")
    return receiver.recv() if receiver.poll() else time.perf_counter() - start, peak / 1024


def plain_loop(root: Path, clips: int) -> float:
    """Seconds of reading every file in turn into one array per modality."""
    start = time.perf_counter()
    for m, dim in DIMS.items():
        whole = np.empty((clips, dim), dtype=np.float32)
        for i in range(clips):
            whole[i] = np.load(root / m / f"clip_{i:08d}.npy")
    return time.perf_counter() - start


def main() -> None:
    options = parser(__doc__, clips=3000).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, project = Path(folder, "corpus"), Project(Path(folder))
        root.mkdir()
        start = time.perf_counter()
        write_corpus(root, options.clips)
        say(f"written in {time.perf_counter() - start:.0f} s")
        config, files = make_config(root), len(DIMS) * options.clips
        seconds, peak = run(config, project)
        loop = plain_loop(root, min(options.clips, 10_000)) * options.clips / min(options.clips, 10_000)
        shutil.rmtree(project.prepared)
        killed, _ = run(config, project, kill_after=seconds / 2)  # its clock starts where the imports end
        assert not project.prepared.exists(), "a killed run left an output"
        resumed, _ = run(config, project)
        figures = {
            "files": files,
            "seconds": seconds,
            "files_per_second": files / seconds,
            "plain_loop_seconds": loop,
            "killed_after_seconds": killed,
            "resumed_seconds": resumed,
            "peak_mb": peak,
            "extrapolated_seconds": seconds * WHOLE / options.clips,
        }
    report(options, figures)


if __name__ == "__main__":
    main()
