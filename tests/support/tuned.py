"""A tiny project whose methods' options are looked for, and what its journal holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PARAMS = """\
# A tiny corpus.
runtime: {threads: 1, device: cpu}
corpus:
  kind: synthetic
  synthetic: {rows: 180, speakers: 12, pool_rows: 60, dims: {audio: 10, video: 8, text: 14}, missing_rate: 0.1}
prepare: {seeds: [0]} # one replicate
retrieval: {width: 20, scope: all}
train: {hidden: [16], epochs: 2, batch_size: 32, lr: 0.01}
methods:
  ramer: # stays
    type: ramer
    k: 5 # neighbours
    bimodal: kth_score
  label_knn: {type: label_knn, k: 10} # another
  prior: {type: prior}
serve: {method: prior}
tracking: {enabled: false}
"""


def studies_of(journal: Path) -> dict[str, list[Any]]:
    """All trials in a journal by the name of their study."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(journal)))
    names = optuna.get_all_study_names(storage)
    return {name: optuna.load_study(study_name=name, storage=storage).trials for name in names}


def trials_of(journal: Path) -> dict[str, list[Any]]:
    """All trials in a journal by the method of their study."""
    return {name.split("-")[0]: trials for name, trials in studies_of(journal).items()}
