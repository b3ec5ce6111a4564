"""Faults in the rows of a corpus, all of them, before any feature is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from ramer.config import Retrieval
from ramer.data.classes import class_faults
from ramer.data.corpus import UNLABELLED, RawCorpus, cut_faults
from ramer.data.names import is_text
from ramer.data.prepared import SPLITS
from ramer.errors import CorpusError
from ramer.modalities import MODALITIES


def check_rows(corpus: RawCorpus, folds: int) -> None:
    """Refuse a corpus whose rows cannot be used; ``folds`` as in ``prepare.folds``.

    Raises:
        CorpusError: one line per fault, naming file, row and field.
    """
    faults = _text_faults(corpus)
    if faults:
        raise CorpusError(cut_faults(faults))
    faults = [*_id_faults(corpus), *_label_faults(corpus), *_split_faults(corpus, folds)]
    if all(corpus.sources[m] is None for m in MODALITIES):
        faults.append(f"{corpus.source}: no modality, expected at least one of {corpus.expected}")
    if faults:
        raise CorpusError(cut_faults(faults))


def check_candidates(corpus: RawCorpus, codes: Mapping[str, np.ndarray], retrieval: Retrieval) -> None:
    """Refuse a replicate in which a training row finds nothing, because all that is searched is of its own speaker.

    Args:
        codes: replicate to int8 [rows], positions in ``SPLITS``.

    Raises:
        CorpusError: with the key to set.
    """
    if retrieval.exclude != "speaker":
        return
    searched = {"train": ("train",), "pool": ("pool",), "all": ("train", "pool")}[retrieval.scope]
    alone: dict[str, list[str]] = {}
    for name, splits in codes.items():
        own = set(corpus.speakers[splits == SPLITS.index("train")])
        found = set(corpus.speakers[np.isin(splits, [SPLITS.index(split) for split in searched])])
        if len(found) == 1 and None not in found and found <= own:
            alone.setdefault(next(iter(found)), []).append(name)
    unit = corpus.group_name or "speaker"
    faults = [
        f"{corpus.source}: speaker: {_some(names)}: all rows that are searched ({' and '.join(searched)}) are of one "
        f"{unit}, {speaker!r}, and a row never finds its own {unit}'s; set retrieval.exclude: self"
        for speaker, names in alone.items()
    ]
    if faults:
        raise CorpusError(cut_faults(faults))


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _text_faults(corpus: RawCorpus) -> list[str]:
    """Strings that no file can hold: half of a character that takes two, as damaged or hostile files have them."""
    columns = {"ids": corpus.ids, "speaker": corpus.speakers, "split": corpus.splits}
    faults = [
        f"{corpus.source}: row {row}: {key}: not valid text: {ascii(value)[:60]}"
        for key, values in columns.items()
        if values is not None and not is_text("".join(str(v) for v in values))
        for row, value in enumerate(values)
        if not is_text(str(value))
    ]
    faults += [
        f"{corpus.source}: label_names: not valid text: {ascii(name)[:60]}"
        for name in corpus.label_names
        if not is_text(name)
    ]
    return faults


def _id_faults(corpus: RawCorpus) -> list[str]:
    faults = [
        f"{corpus.source}: row {row}: ids: empty, expected a name" for row, i in enumerate(corpus.ids) if i is None
    ]
    counts = Counter(i for i in corpus.ids if i is not None)
    first: dict[str, int] = {}
    for row, name in enumerate(corpus.ids):
        if counts[name] > 1 and first.setdefault(name, row) != row:
            faults.append(
                f"{corpus.source}: {corpus.where(int(row))}: ids: same as row {first[name]}, expected unique ids"
            )
    return faults


def _label_faults(corpus: RawCorpus) -> list[str]:
    names, labels = corpus.label_names, corpus.labels
    faults = []
    if len(set(names)) != len(names) or not all(name.strip() for name in names):
        faults.append(f"{corpus.source}: label_names: expected distinct, non-empty names, got {list(names)}")
    else:
        faults += [f"{corpus.source}: label: {fault}" for fault in class_faults(names)]
    wrong = (labels < UNLABELLED) | (labels >= len(names))
    faults += [
        f"{corpus.source}: {corpus.where(int(row))}: label: expected -1 (none) to {len(names) - 1}, got {labels[row]}"
        for row in np.flatnonzero(wrong)
    ]
    held = np.unique(labels[(labels >= 0) & ~wrong])
    if not faults and len(held) < 2:
        found = ", ".join(names[c] for c in held) or "none"
        faults.append(f"{corpus.source}: label: expected at least two classes with labelled rows, found {found}")
    return faults


def _split_faults(corpus: RawCorpus, folds: int) -> list[str]:
    if corpus.splits is None:
        if folds > 1 or any(s is not None for s in corpus.speakers):
            return []
        return [f"{corpus.source}: split: missing, expected it where speakers are unnamed and prepare.folds is 1"]
    known = np.isin(corpus.splits.astype(str), SPLITS)
    faults = [
        f"{corpus.source}: {corpus.where(int(row))}: split: expected {', '.join(SPLITS)}, got {corpus.splits[row]!r}"
        for row in np.flatnonzero(~known)
    ]
    if not faults and not ((corpus.splits == "train") & (corpus.labels != UNLABELLED)).any():
        faults.append(f"{corpus.source}: split: no labelled training rows, expected at least one")
    return faults
