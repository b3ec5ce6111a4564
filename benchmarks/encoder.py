"""The unimodal encoder against stock torch modules, by default at the paper's text width.

Ours and stock alternate within one run, so that what else the machine does falls on both; the ratio of medians counts.

    python -m benchmarks.encoder [--width 5120] [--steps 5] [--rows 20000]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks._run import parser, report
from ramer.data.prepared import Scaler
from ramer.nn.encoder import UnimodalEncoder
from ramer.seeding import set_threads
from ramer.training.encoded_blocks import encode
from ramer.training.encoder_training import CLIP_NORM, make_optimizer, take_step

LAYERS, HEADS, FF_DIM, HIDDEN, CLASSES, DROPOUT = 2, 8, 2048, 256, 6, 0.5
DUMP_BATCH = 1024


class StockEncoder(nn.Module):
    """The same encoder as it is usually written."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.cls = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 2, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, HEADS, FF_DIM, DROPOUT, batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.to_hidden = nn.Linear(width, HIDDEN)
        self.classifier = nn.Sequential(nn.Linear(HIDDEN, 128), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(128, CLASSES))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), x[:, None]], dim=1) + self.position
        hidden = self.to_hidden(self.transformer(tokens)[:, 0])
        return hidden, self.classifier(hidden)


def make_ours(width: int) -> UnimodalEncoder:
    return UnimodalEncoder(
        width,
        CLASSES,
        hidden_dim=HIDDEN,
        model_dim=None,
        layers=LAYERS,
        heads=HEADS,
        ff_dim=FF_DIM,
        dropout=DROPOUT,
        classifier_dims=(128,),
    )


def alternate(ours: Callable[[], object], stock: Callable[[], object], repeats: int) -> dict[str, float]:
    """Median wall and processor seconds of each after one warm-up, and how many times less ours takes.

    On a busy machine the processor's seconds are the steadier of the two.
    """
    seconds: dict[str, list[float]] = {f"{name}_{clock}": [] for name in ("ours", "stock") for clock in ("wall", "cpu")}
    for turn in range(repeats + 1):
        for name, run in (("ours", ours), ("stock", stock)):
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if turn:
                seconds[f"{name}_wall"].append(time.perf_counter() - wall)
                seconds[f"{name}_cpu"].append(time.process_time() - cpu)
    medians = {name: round(statistics.median(values), 4) for name, values in seconds.items()}
    ratios = {
        f"ratio_{clock}": round(medians[f"stock_{clock}"] / medians[f"ours_{clock}"], 3) for clock in ("wall", "cpu")
    }
    return medians | ratios


def bench_training(width: int, batch: int, steps: int) -> dict[str, float]:
    """One training step: forward, backward, clipping, optimiser."""
    ours, stock = make_ours(width).train(), StockEncoder(width).train()
    fused = make_optimizer(ours, 1e-4, 0.0)
    adam = torch.optim.Adam(stock.parameters(), 1e-4)
    x, labels = torch.randn(batch, width), torch.randint(CLASSES, (batch,))

    def stock_step() -> None:
        adam.zero_grad()
        nn.functional.cross_entropy(stock(x)[1], labels).backward()
        nn.utils.clip_grad_norm_(stock.parameters(), CLIP_NORM)
        adam.step()

    def our_step() -> None:
        take_step(ours, nn.functional.cross_entropy(ours(x).logits, labels), fused)

    return alternate(our_step, stock_step, steps)


def bench_dump(width: int, rows: int, repeats: int) -> dict[str, float]:
    """States and posteriors of raw rows, in batches."""
    ours, stock = make_ours(width).eval(), StockEncoder(width).eval()
    raw = np.random.default_rng(0).normal(size=(rows, width)).astype(np.float32)
    scaler = Scaler(np.zeros(width, dtype=np.float32), np.ones(width, dtype=np.float32))
    starts = range(0, rows, DUMP_BATCH)

    @torch.inference_mode()
    def run_stock() -> None:
        for start in starts:
            hidden, logits = stock(torch.from_numpy(scaler.apply(raw[start : start + DUMP_BATCH])))
            hidden.numpy(), logits.softmax(1).numpy()

    def run_ours() -> None:
        for start in starts:
            encode(ours, scaler, raw[start : start + DUMP_BATCH])

    return alternate(run_ours, run_stock, repeats)


def main() -> None:
    options = parser(__doc__, width=5120, batch=64, steps=5, rows=20_000, repeats=1, threads=2).parse_args()
    set_threads(options.threads)
    torch.manual_seed(0)
    figures = {
        "train_step": bench_training(options.width, options.batch, options.steps),
        "dump": bench_dump(options.width, options.rows, options.repeats),
    }
    report(options, figures)


if __name__ == "__main__":
    main()
