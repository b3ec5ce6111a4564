"""Approximate against exact search in a million states of the synthetic preset, 256 wide.

States are those of a real encoder: trained on the labelled rows of the preset's audio (1024 wide), run on a pool of the
size asked for. The queries are test clips that the database does not hold. Prints JSON: per kind of index the recall@5
of ``search`` against exact search, queries per second, and how many times as many as exact search answers (ours, which
is a blocked product with running top-k; FAISS' flat index is given too).

    python -m benchmarks.approximate [--rows 1000000] [--kinds ivf_flat ivf_pq]
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import faiss
import numpy as np

from benchmarks._run import best_seconds, parser, report, say
from ramer.config import Config, Index, parse_config
from ramer.data.prepared import PreparedCorpus
from ramer.data.synthetic import read_synthetic
from ramer.pipeline.prepare import prepare
from ramer.pipeline.pretrain import pretrain
from ramer.project import Project
from ramer.retrieval.index_kinds import fill_index
from ramer.retrieval.index_sidecars import IndexKind
from ramer.retrieval.indexes import DatabaseIndex
from ramer.retrieval.search import search
from ramer.retrieval.states import l2_normalise
from ramer.seeding import set_threads
from ramer.training.checkpoints import load_encoder
from ramer.training.encoded_blocks import encode

HIDDEN, WIDTH, EPOCHS, LABELLED = 256, 5, 12, 5030
QUERIES = 1000
CHUNK = 100_000


def preset(pool: int) -> Config:
    synthetic = {"rows": LABELLED, "pool_rows": pool, "speakers": 100, "dims": {"audio": 1024, "video": 8, "text": 8}}
    return parse_config(
        {
            "corpus": {"synthetic": synthetic},
            "prepare": {"seeds": [0]},
            "pretrain": {"audio": {"hidden_dim": HIDDEN, "epochs": EPOCHS}},
            "methods": {"ramer": {"type": "ramer"}},
        }
    )


def make_states(pool: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Raw states [pool, 256] of pool clips that hold the modality, memory-mapped, and of the test clips [q, 256]."""
    config, project = preset(0), Project(folder)
    prepare(config, project)
    pretrain(config, project, "audio")
    encoder, scaler = load_encoder(project.encoder("audio", "fold0_seed0"))
    corpus = PreparedCorpus.open(project.prepared)
    test = corpus.rows_in(corpus.replicates[0], "test")[:QUERIES]
    queries = encode(encoder, scaler, corpus.features["audio"][test])[0]
    path, filled = folder / "states.npy", 0
    states = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(pool, HIDDEN))
    source = read_synthetic(preset(2 * pool).corpus.synthetic).sources["audio"]
    assert source is not None
    for number, block in enumerate(source.blocks()):
        if number * 1024 < LABELLED:
            continue
        made = encode(encoder, scaler, block)[0]
        made = made[np.isfinite(made).all(axis=1)][: pool - filled]
        states[filled : filled + len(made)] = made
        filled += len(made)
        if filled == pool:
            break
    states.flush()
    return np.load(path, mmap_mode="r"), queries[np.isfinite(queries).all(axis=1)]


def main() -> None:
    made = parser(__doc__, rows=1_000_000, rounds=3, threads=2)
    made.add_argument("--kinds", nargs="*", default=["ivf_flat"], choices=["ivf_flat", "ivf_pq", "hnsw"])
    options = made.parse_args()
    set_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        states, queries = make_states(options.rows, Path(folder))
        say(f"states: {time.perf_counter() - start:.0f} s")
        rows = np.arange(len(states))
        figures: dict = {"queries": len(queries), "states_seconds": time.perf_counter() - start, "kinds": {}}
        flat = faiss.IndexFlatIP(HIDDEN)
        for first in range(0, len(states), CHUNK):
            flat.add(l2_normalise(states[first : first + CHUNK]))
        indexes = {"exact": DatabaseIndex(flat, rows, IndexKind(kind="flat", dimension=HIDDEN))}
        built = {}
        for kind in options.kinds:
            start = time.perf_counter()
            index, settings, recall = fill_index(Index(kind=kind), kind, states, rows, rows)
            built[kind] = {"build_seconds": time.perf_counter() - start, "settings": settings, "sample_recall": recall}
            say(f"{kind}: {built[kind]}")
            indexes[kind] = DatabaseIndex(index, rows, IndexKind(kind=kind, dimension=HIDDEN, settings=settings))
        contenders = {name: lambda i=i: search(i, states, queries, WIDTH) for name, i in indexes.items()}
        seconds, worked = best_seconds(contenders | {"faiss_flat": lambda: flat.search(queries, WIDTH)}, options.rounds)
        wanted = search(indexes["exact"], states, queries, WIDTH).rows
        figures["exact_queries_per_second"] = len(queries) / seconds["exact"]
        figures["faiss_flat_queries_per_second"] = len(queries) / seconds["faiss_flat"]
        for kind in options.kinds:
            found = search(indexes[kind], states, queries, WIDTH).rows
            figures["kinds"][kind] = built[kind] | {
                "recall_at_5": float((found[:, :, None] == wanted[:, None, :]).any(axis=1).mean()),
                "queries_per_second": len(queries) / seconds[kind],
                "times_exact": seconds["exact"] / seconds[kind],
                "cpu_times_exact": worked["exact"] / worked[kind],
            }
    report(options, figures)


if __name__ == "__main__":
    main()
