"""New clips with labels, in the words of a model that they are to test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ramer.config import Merbench
from ramer.data.label_tables import read_label_table
from ramer.data.merbench_labels import read_labels
from ramer.data.npz import read_npz
from ramer.data.pairing import pair_names
from ramer.errors import RamerError
from ramer.serving.features import Features, read_features

Reading = Callable[[], tuple[list[str], Features]]


@dataclass(frozen=True)
class LabelledClips:
    """Clips with what each is labelled.

    Attributes:
        source: where they come from.
        ids: names [n].
        speakers: who speaks, None where unnamed [n].
        labels: names of classes [n].
        features: raw vectors [n, dim] per modality, NaN rows where missing.
        notes: what was left out.
    """

    source: Path
    ids: list[str]
    speakers: list[str | None]
    labels: list[str]
    features: Features
    notes: tuple[str, ...] = ()

    def take(self, rows: list[int], note: str) -> LabelledClips:
        """Some of the clips; a note says why not all."""
        if len(rows) == len(self.ids):
            return self
        taken = {m: None if v is None else v[rows] for m, v in self.features.items()}
        return replace(
            self,
            ids=[self.ids[row] for row in rows],
            speakers=[self.speakers[row] for row in rows],
            labels=[self.labels[row] for row in rows],
            features=taken,
            notes=(*self.notes, note),
        )


def read_labelled_npz(source: Path, split: str | None = None) -> LabelledClips:
    """The labelled rows of a packed corpus.

    Args:
        split: of the file; all rows with a label if None.

    Raises:
        RamerError: the file cannot be read, or holds no such row.
    """
    corpus = read_npz(source)
    classes = [name.strip() for name in corpus.label_names]
    if len(set(classes)) != len(classes) or not all(classes):
        raise RamerError(f"{source}: label_names: expected distinct, non-empty names, got {list(corpus.label_names)}")
    ids, features = read_features(source, {})
    names = [classes[c] if 0 <= c < len(classes) else "" for c in corpus.labels]
    speakers = [None if s is None else str(s) for s in corpus.speakers]
    clips = LabelledClips(source, ids, speakers, names, features)
    if split is not None and (corpus.splits is None or split not in corpus.splits):
        told = "none" if corpus.splits is None else ", ".join(sorted(set(corpus.splits)))
        raise RamerError(f"{source}: split: expected {split!r} among its splits, got {told}")
    if split is not None and corpus.splits is not None:
        rows = np.flatnonzero(corpus.splits == split).tolist()
        clips = clips.take(rows, f"{len(ids) - len(rows)} rows of other splits are left out")
    rows = [row for row, name in enumerate(clips.labels) if name]
    return _some(clips.take(rows, f"{len(clips.ids) - len(rows)} rows without a label are left out"))


def join_labels(source: Path, labels: Path, read: Reading) -> LabelledClips:
    """Clips with the labels of a table.

    Args:
        labels: CSV with the columns clip, label and, if wanted, speaker; or MERBench's label file (npz).
        read: the clips, once the table has been read.

    Raises:
        RamerError: the table or the clips cannot be read, a clip is named twice, or no clip has a label.
    """
    rows = _label_rows(labels)
    ids, features = read()
    pairing = pair_names(rows, ids)
    known = [row for row, clip in enumerate(ids) if rows.get(clip, {}).get("label")]
    if not known:
        raise RamerError(f"{labels}: {pairing.said('rows', 'clips')}")
    held = [rows.get(clip, {}) for clip in ids]
    notes = tuple(f"{labels}: {pairing.said('rows', 'clips')}" for _ in [0] if pairing.unmatched)
    clips = LabelledClips(
        source,
        ids,
        [r.get("speaker") or None for r in held],
        [r.get("label", "").strip() for r in held],
        features,
        notes,
    )
    return clips.take(known, f"{len(ids) - len(known)} clips without a label are left out")


def _label_rows(path: Path) -> dict[str, dict[str, str]]:
    """Label and speaker by clip; classes of MERBench's files that are numbers keep those as their names."""
    if path.suffix.lower() == ".npz":
        found = read_labels(path, Merbench(dataset="other"))
        speakers = found.groups or [""] * len(found.ids)
        entries = zip(found.ids, found.labels, speakers, strict=True)
        return {clip: {"label": label or "", "speaker": speaker} for clip, label, speaker in entries}
    table = read_label_table(path)
    rows = {row["clip"]: row for _, row in table.rows}
    if len(rows) < len(table.rows):
        raise RamerError(f"{path}: clip: {len(table.rows) - len(rows)} rows name a clip that was named before")
    return rows


def in_words_of(clips: LabelledClips, known: tuple[str, ...], mapping: Mapping[str, str]) -> LabelledClips:
    """The clips with labels that a model knows.

    Args:
        known: the model's classes. mapping: names of the clips' labels to the model's, or to "" for clips to leave out.

    Raises:
        RamerError: a label is none of the model's and is not mapped, or the mapping names what is not there.
    """
    ours = {name.strip(): name for name in known}  # all else is without spaces around it, too
    found = sorted(set(clips.labels))
    faults = [f"--map {a}={b}: {b!r} is none of {', '.join(known)}" for a, b in mapping.items() if b and b not in ours]
    faults += [
        f"--map {a}={b}: no clip is labelled {a!r}, got {', '.join(found)}"
        for a, b in mapping.items()
        if a not in found
    ]
    strange = [name for name in found if name not in ours and name not in mapping]
    if strange:
        first = strange[0]
        faults.append(
            f"{clips.source}: label: {', '.join(strange)}: none of the model's {', '.join(known)}; say "
            f"--map {first}=NAME for each, or --map {first}= to leave its clips out"
        )
    if faults:
        raise RamerError(faults)
    labels = [ours.get(mapping.get(name, name), "") for name in clips.labels]
    rows = [row for row, name in enumerate(labels) if name]
    mapped = replace(clips, labels=labels)
    return _some(mapped.take(rows, f"{len(labels) - len(rows)} clips whose label is mapped to nothing are left out"))


def parse_mapping(given: list[str]) -> dict[str, str]:
    """``["anger=angry"]`` as a mapping.

    Raises:
        RamerError: one has no ``=``, or names a label twice.

    Example:
        >>> parse_mapping(["anger=angry", "fear="])
        {'anger': 'angry', 'fear': ''}
    """
    pairs = [tuple(part.strip() for part in one.partition("=")) for one in given]
    faults = [f"--map {a}: expected OTHER=OURS" for a, sign, _ in pairs if not sign or not a]
    names = [a for a, _, _ in pairs]
    faults += [f"--map {a}: given more than once" for a in sorted({a for a in names if names.count(a) > 1})]
    if faults:
        raise RamerError(faults)
    return {a: b for a, _, b in pairs}


def _some(clips: LabelledClips) -> LabelledClips:
    if not clips.ids:
        raise RamerError(f"{clips.source}: no clip with a label is left")
    return clips
