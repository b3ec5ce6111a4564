"""What ``ramer`` makes of neighbours found by states, by learned keys and by features, on validation rows alone.

Few labels, the other training rows as pool; every entry searches the same database (labelled rows and the pool), and
beside each stands itself over a shuffled one. No test row is read.

Prints JSON: weighted F1 of avg6 and avt in points and log loss over all conditions, per seed and their mean.

    python -m benchmarks.key_kinds --corpora DIR [--labels 100] [--seeds 3] [name ...]
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._run import parser, report, say
from ramer.config import Config, parse_config
from ramer.data.prepared import Replicate
from ramer.evaluation.metrics import weighted_f1
from ramer.methods import build_method, method_options
from ramer.methods.shared.fitting import fit_replicate
from ramer.modalities import CONDITIONS, FULL_CONDITION, MISSING_CONDITIONS, MODALITIES
from ramer.pipeline.dump import dump
from ramer.pipeline.index import index
from ramer.pipeline.prepare import prepare
from ramer.pipeline.pretrain import pretrain
from ramer.pipeline.retrieve import retrieve
from ramer.project import Project
from ramer.seeding import set_threads
from ramer.training.fitted import History
from ramer.training.labelled_rows import LabelledRows
from ramer.training.workspace import Workspace

KEYS = ("states", "learned", "features")
SEARCHING: dict[str, dict[str, Any]] = {
    f"{keys}_{k}_{database}": {"keys": keys, "k": k, "database": database}
    for k in (5, 20)
    for keys in KEYS
    for database in ("real", "shuffled")
}
METHODS = {name: {"type": "ramer"} | options for name, options in SEARCHING.items()} | {
    kind: {"type": kind} for kind in ("regress_fill", "zero_fill")
}


def configure(name: str, corpora: Path, labels: int, seeds: int) -> Config:
    return parse_config(
        {
            "corpus": {"kind": "npz", "path": str(corpora / f"{name}.npz")},
            "prepare": {"seeds": list(range(seeds)), "label_budget": labels},
            "retrieval": {"scope": "all"},
            "methods": METHODS,
        }
    )


def measure(entry: dict[str, Any], workspace: Workspace, config: Config, replicate: Replicate) -> dict[str, float]:
    """One entry on one replicate's validation rows, which have also chosen its epoch, tau and temperatures."""
    method = build_method(method_options("measured", entry), workspace.shape(), config.train)
    data = workspace.replicate(replicate, method.reads)
    fit_replicate(method, data, History())
    val = LabelledRows(data, data.corpus.rows_in(replicate, "val"), method.reads)
    proba = {c: method.predict_proba(val.under(c)) for c in CONDITIONS}
    scores = {c: 100 * weighted_f1(val.labels, p.argmax(axis=1)) for c, p in proba.items()}
    said = np.concatenate([p[np.arange(len(val)), val.labels] for p in proba.values()])
    return {
        "avg6": float(np.mean([scores[c] for c in MISSING_CONDITIONS])),
        "avt": scores[FULL_CONDITION],
        "log_loss": float(-np.log(np.maximum(said, 1e-12)).mean()),
    }


def main() -> None:
    made = parser(__doc__, labels=100, seeds=3, threads=1)
    made.add_argument("--corpora", type=Path, default=Path("../shared/corpora"))
    made.add_argument("names", nargs="*", default=["ravdess_meld"])
    options = made.parse_args()
    set_threads(options.threads)
    figures: dict[str, Any] = {}
    for name in options.names:
        config = configure(name, options.corpora.resolve(), options.labels, options.seeds)
        with tempfile.TemporaryDirectory() as folder:
            project = Project(Path(folder))
            prepare(config, project)
            for m in MODALITIES:
                for stage in (pretrain, dump, index, retrieve):
                    stage(config, project, m)
            workspace = Workspace(project)
            for method, entry in METHODS.items():
                each = [measure(entry, workspace, config, r) for r in workspace.corpus.replicates]
                mean = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
                figures.setdefault(name, {})[method] = {"mean": mean, "seeds": each}
                say(f"{name} {method}: {mean}")
    report(options, figures)


if __name__ == "__main__":
    main()
