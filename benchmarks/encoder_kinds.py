"""What each kind of encoder scores beside the logistic regression on the same vectors, and what methods make of it.

For every corpus, modality and replicate: weighted F1 on validation and test rows of the regression, of the paper's
transformer and of the residual encoder; then avg6 of methods that stand on their states. The transformer has the
settings that were the defaults before there were kinds. Nothing is chosen by the test rows.

    python -m benchmarks.encoder_kinds --corpora DIR [--folds 6] [--seeds 1] [--labels 200] [name ...]

Names: ravdess_meld, mosi (its own split, whatever the folds: its video features have seen the labels) and synthetic.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._run import parser, report, say
from ramer.config import Config, parse_config
from ramer.files import read_json
from ramer.modalities import AVERAGE, FULL_CONDITION, MODALITIES
from ramer.pipeline.dump import dump
from ramer.pipeline.evaluate import evaluate
from ramer.pipeline.index import index
from ramer.pipeline.prepare import prepare
from ramer.pipeline.pretrain import pretrain
from ramer.pipeline.retrieve import retrieve
from ramer.pipeline.train import train
from ramer.project import Project
from ramer.reporting.encoder_scores import read_encoder_scores
from ramer.seeding import set_threads
from ramer.training.encoder_record import ENCODER_FILE, EncoderRecord
from ramer.training.method_record import METHOD_FILE, TrainedMethod

BEFORE = {"kind": "transformer", "lr": 1e-3, "input_dropout": 0.0}
KINDS = {
    "transformer": {m: BEFORE | ({"input_dropout": 0.5} if m == "text" else {}) for m in MODALITIES},
    "residual": {},
}
METHODS = ("zero_fill", "ramer")
CORPORA = ("ravdess_meld", "mosi", "synthetic")


def configure(name: str, corpora: Path, folds: int, seeds: int, labels: int, kind: str) -> Config:
    """The defaults with one kind of encoder."""
    where: dict[str, Any] = {} if name == "synthetic" else {"kind": "npz", "path": str(corpora / f"{name}.npz")}
    return parse_config(
        {
            "corpus": where,
            "prepare": {
                "folds": 1 if name == "mosi" else folds,
                "seeds": list(range(seeds)),
                "label_budget": labels or None,
            },
            "pretrain": KINDS[kind],
            "retrieval": {"scope": "all" if labels else "train"},
            "methods": {method: {"type": method} for method in METHODS},
        }
    )


def measure(config: Config, project: Project, methods: Sequence[str]) -> dict[str, Any]:
    """Encoders and methods of one corpus with one kind of encoder, in points."""
    for m in MODALITIES:
        for stage in (pretrain, dump, index, retrieve) if methods else (pretrain, dump):
            stage(config, project, m)
    figures: dict[str, Any] = {}
    for scores in read_encoder_scores(project):
        record = EncoderRecord.read(project.encoders(scores.modality) / ENCODER_FILE)
        gaps = [
            entry.val_weighted_f1 - entry.regression.val_weighted_f1
            for entry in record.replicates.values()
            if entry.regression is not None
        ]
        pairs = {"val": scores.val, "test": scores.test}
        pairs |= {"regression_val": scores.regression_val, "regression_test": scores.regression_test}
        figures[scores.modality] = {key: 100 * value for key, value in pairs.items() if value is not None}
        figures[scores.modality]["least_above_regression_val"] = 100 * min(gaps)
    for method in methods:
        train(config, project, method)
        evaluate(config, project, method)
        scored = read_json(project.method_results(method) / "metrics.json")
        chosen = TrainedMethod.read(project.method(method) / METHOD_FILE).replicates.values()
        figures[method] = {c: 100 * scored[f"{c}/weighted_f1"] for c in (AVERAGE, FULL_CONDITION)}
        figures[method]["val_selection"] = 100 * float(np.mean([c.val_selection for c in chosen]))
        say(f"{method}: {figures[method]}")
    return figures


def main() -> None:
    made = parser(__doc__, folds=6, seeds=1, labels=0, threads=1)
    made.add_argument("--corpora", type=Path, default=Path("../shared/corpora"))
    made.add_argument("--encoders-alone", action="store_true", help="no methods, which take most of the time")
    made.add_argument("names", nargs="*", default=CORPORA)
    options = made.parse_args()
    set_threads(options.threads)
    figures: dict[str, Any] = {}
    for name in options.names:
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                project = Project(Path(folder))
                config = configure(name, options.corpora.resolve(), options.folds, options.seeds, options.labels, kind)
                prepare(config, project)
                figures.setdefault(name, {})[kind] = measure(config, project, () if options.encoders_alone else METHODS)
            say(f"{name} {kind}: {figures[name][kind]}")
    report(options, figures)


if __name__ == "__main__":
    main()
