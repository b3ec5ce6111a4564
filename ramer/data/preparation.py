"""From any corpus to the one format that every later stage reads."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from ramer.config import Prepare, Retrieval
from ramer.data.corpus import RawCorpus
from ramer.data.corpus_record import CORPUS_FILE, CorpusRecord, FoldAndSeed
from ramer.data.feature_blocks import WrittenFeatures, write_features
from ramer.data.prepared import SPLITS
from ramer.data.replicates import POOL, ReplicatePlan, plan_replicates
from ramer.data.scalers import write_scalers
from ramer.data.validation import check_candidates, check_rows
from ramer.digests import sealed_directory
from ramer.files import digest_strings, write_table
from ramer.modalities import MODALITIES

logger = logging.getLogger(__name__)


def prepare_corpus(corpus: RawCorpus, settings: Prepare, out: Path, retrieval: Retrieval | None = None) -> None:
    """Check and split a corpus and write it to ``out``, whole or not at all; its features are released.

    Args:
        retrieval: how it will be searched; a corpus in which a training row could find nothing is refused. Nothing that
            is written depends on it.

    Raises:
        CorpusError: the corpus cannot be used; one line per fault.
    """
    check_rows(corpus, settings.folds)
    plan = plan_replicates(corpus, settings)
    if retrieval is not None:
        check_candidates(corpus, dict(zip(plan.names, plan.codes, strict=True)), retrieval)
    with sealed_directory(out) as folder:
        features = write_features(corpus, folder)
        constant = write_scalers(folder, plan.codes, plan.names, features.dims)
        rows, splits = _tables(corpus, plan, features)
        write_table(folder / "rows.parquet", rows)
        write_table(folder / "splits.parquet", splits)
        info = _describe(corpus, plan, features, rows, splits, constant)
        info.write(folder / CORPUS_FILE)
    corpus.release()
    for note in info.notes:
        logger.warning("%s: %s", corpus.name, note)


def _tables(corpus: RawCorpus, plan: ReplicatePlan, features: WrittenFeatures) -> tuple[pd.DataFrame, pd.DataFrame]:
    names = np.array([*corpus.label_names, None], dtype=object)
    # What is pool in every replicate keeps no label on disk: nothing may read it, so nothing can.
    labels = np.where((plan.codes == POOL).all(axis=0), -1, corpus.labels)
    rows = {"id": _text(corpus.ids), "speaker": _text(corpus.speakers), "label": _text(names[labels])}
    rows |= {f"available_{m}": pd.Series(features.available[:, i]) for i, m in enumerate(MODALITIES)}
    # Why a modality is missing: its vector was all zeros, or there was none.
    rows |= {f"zeros_{m}": pd.Series(features.zeros[:, i]) for i, m in enumerate(MODALITIES)}
    splits = {"id": rows["id"]}
    for name, codes in zip(plan.names, plan.codes, strict=True):
        splits[name] = _text(np.array(SPLITS, dtype=object)[codes])
    return pd.DataFrame(rows), pd.DataFrame(splits)


def _text(values: np.ndarray) -> pd.Series:
    return pd.Series(values, dtype="str")


def _describe(
    corpus: RawCorpus,
    plan: ReplicatePlan,
    features: WrittenFeatures,
    rows: pd.DataFrame,
    splits: pd.DataFrame,
    constant: list[str],
) -> CorpusRecord:
    notes = [*corpus.notes, *plan.notes, *features.notes, *constant]
    for fold, shared in plan.overlaps.items():
        for pair, count in shared.items():
            if count:
                first, second = pair.split("-")
                notes.append(f"{fold}: {first} and {second} share {count} groups ({corpus.group_name or 'speaker'})")
    return CorpusRecord(
        name=corpus.name,
        dims=features.dims,
        label_names=corpus.label_names,
        group_name=corpus.group_name,
        replicates=tuple(FoldAndSeed(fold=fold, seed=seed) for fold, seed in plan.pairs),
        rows=corpus.rows,
        counts=_counts(corpus, plan),
        naturally_missing=_missing(plan, features),
        split_overlaps=plan.overlaps,
        label_budget=plan.budget,
        provenance=corpus.provenance,
        notes=tuple(notes),
        digest=_digest(rows, splits, features),
    )


def _counts(corpus: RawCorpus, plan: ReplicatePlan) -> dict[str, dict[str, dict[str, int]]]:
    """Rows per replicate, split and class; pool rows are one number, whatever they were."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for name, codes in zip(plan.names, plan.codes, strict=True):
        counts[name] = {"pool": {"rows": int((codes == POOL).sum())}}
        for code, split in enumerate(SPLITS[:POOL]):
            held = np.bincount(corpus.labels[codes == code], minlength=len(corpus.label_names))
            per_class = {label: int(n) for label, n in zip(corpus.label_names, held, strict=True)}
            counts[name][split] = {"rows": int(held.sum()), **{f"label/{k}": n for k, n in per_class.items()}}
    return counts


def _missing(plan: ReplicatePlan, features: WrittenFeatures) -> dict[str, dict[str, dict[str, int]]]:
    """Rows without a modality per replicate and split, and rows without any, which the training prior scores."""
    lacking = np.concatenate([~features.available, ~features.available.any(axis=1, keepdims=True)], axis=1)
    columns = [*MODALITIES, "all"]
    return {
        name: {
            split: {column: int(lacking[codes == code, i].sum()) for i, column in enumerate(columns)}
            for code, split in enumerate(SPLITS)
        }
        for name, codes in zip(plan.names, plan.codes, strict=True)
    }


def _digest(rows: pd.DataFrame, splits: pd.DataFrame, features: WrittenFeatures) -> str:
    """SHA-256 over ids, speakers, labels, splits and features."""
    parts = [digest_strings(rows[column].fillna("").tolist()) for column in ("id", "speaker", "label")]
    parts += [digest_strings([name, *splits[name]]) for name in splits.columns[1:]]
    return digest_strings([*parts, features.digest])
