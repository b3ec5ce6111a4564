"""A generated corpus in the likeness of MER2024: no download, any size, every knob a parameter.

The model, for clip i of class y and speaker s, and for every modality m on its own:

    evidence  t = label_strength[m] * prototype[m, y] + own deviation           [4], the deviation has unit variance
    latent    u = [t, shared_strength[m] * R[m] z, speaker_strength[m] * w[m, s]]
    feature   x = offset[m] + scale[m] * (tanh(u A[m]) B[m] + noise[m] * e)      [dims[m]]

z (``shared_dim``) is the clip's own and the same in all modalities, so that modalities correlate beyond the label and a
missing one can partly be inferred; it says nothing about the class. The deviations are independent between modalities,
so evidence adds up. A class is a point in a space of valence, arousal, dominance and novelty, of which a modality hears
some axes better than others. All weights are random draws. Nothing here knows any method.

Rows are generated in blocks of ``BLOCK_ROWS``, each from its own stream: a corpus never lies in memory as a whole, and
a larger corpus begins with the rows of a smaller one. A pool row's class exists only while its block is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ramer.config import Synthetic
from ramer.data.corpus import BLOCK_ROWS, UNLABELLED, RawCorpus, strings
from ramer.modalities import MODALITIES
from ramer.seeding import generator

LABEL_NAMES = ("neutral", "angry", "happy", "sad", "worried", "surprise")
_PRIOR = np.array([0.24, 0.23, 0.20, 0.15, 0.11, 0.07])  # MER-like; mixed with the uniform by `imbalance`
_SPEAKER_DIM = 6
# Valence, arousal, dominance, novelty: where the emotions lie in the dimensional accounts of the field.
_EMOTIONS = np.array(
    [[0.1, -0.5, 0.1, -0.6], [-0.8, 0.8, 0.9, 0.0], [1.0, 0.4, 0.4, -0.1], [-0.8, -0.7, -0.6, -0.2],
     [-0.6, 0.4, -0.8, 0.2], [0.3, 0.7, -0.1, 1.0]]
)  # fmt: skip
_AXIS_WEIGHTS = {"audio": (0.7, 1.3, 1.1, 0.8), "video": (1.1, 0.8, 0.8, 1.2), "text": (1.3, 0.7, 1.1, 0.8)}


@dataclass(frozen=True)
class _Rows:
    """Class and speaker of every labelled row."""

    labels: np.ndarray
    speakers: np.ndarray


class SyntheticSource:
    """One modality of the generated corpus, drawn block by block."""

    def __init__(self, knobs: Synthetic, modality: str, rows: _Rows) -> None:
        self.origin = f"synthetic {modality}"
        self.dim = knobs.dims.of(modality)
        self._knobs = knobs
        self._modality = modality
        self._rows = rows
        self._strength = {
            "label_strength": knobs.label_strength.of(modality),
            "shared_strength": knobs.shared_strength.of(modality),
            "speaker_strength": knobs.speaker_strength.of(modality),
            "noise": knobs.noise.of(modality),
        }
        self._draw_weights()

    def _draw_weights(self) -> None:
        knobs, rng = self._knobs, generator(self._knobs.seed, "synthetic", "weights", self._modality)
        latent = _EMOTIONS.shape[1] + knobs.shared_dim + _SPEAKER_DIM
        self._prototypes = _prototypes(knobs.classes, self._modality)
        self._axes = _rotation(knobs.shared_dim, rng)
        self._mix = rng.normal(size=(latent, knobs.mixing_dim)) * knobs.mixing_gain / np.sqrt(latent)
        self._spread = rng.normal(size=(knobs.mixing_dim, self.dim)) / np.sqrt(knobs.mixing_dim)
        self._scale = np.exp(rng.normal(scale=0.5, size=self.dim))
        self._offset = rng.normal(size=self.dim)

    def blocks(self) -> Iterator[np.ndarray]:
        """Labelled rows first, then the pool."""
        labelled = len(self._rows.labels)
        for number, start in enumerate(range(0, labelled, BLOCK_ROWS)):
            part = slice(start, min(start + BLOCK_ROWS, labelled))
            yield self._draw("labelled", number, self._rows.labels[part], self._rows.speakers[part])
        for number, start in enumerate(range(0, self._knobs.pool_rows, BLOCK_ROWS)):
            rows = min(BLOCK_ROWS, self._knobs.pool_rows - start)
            yield self._draw("pool", number, *_pool_rows(self._knobs, number, rows))

    def _draw(self, part: str, number: int, labels: np.ndarray, speakers: np.ndarray) -> np.ndarray:
        knobs, rows = self._knobs, len(labels)
        shared = generator(knobs.seed, "synthetic", part, number, "shared").normal(size=(BLOCK_ROWS, knobs.shared_dim))
        rng = generator(knobs.seed, "synthetic", part, number, self._modality)
        evidence, missing = self._evidence(labels, rng)
        heard, place = np.unique(speakers, return_inverse=True)
        voices = np.stack([self._voice(part, int(speaker)) for speaker in heard])
        latent = np.concatenate(
            [
                evidence,
                self._strength["shared_strength"] * shared[:rows] @ self._axes,
                self._strength["speaker_strength"] * voices[place],
            ],
            axis=1,
        )
        clean = np.tanh(latent @ self._mix) @ self._spread
        noisy = clean + self._strength["noise"] * rng.normal(size=(rows, self.dim))
        features = (self._offset + self._scale * noisy).astype(np.float32)
        features[missing] = np.nan
        return features

    def _evidence(self, labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """What a block's rows [n] hold of their class, [n, 4], and which of them lack the modality, bool [n]."""
        evidence = rng.normal(size=(BLOCK_ROWS, _EMOTIONS.shape[1]))[: len(labels)] + self.means[labels]
        return evidence, rng.random(BLOCK_ROWS)[: len(labels)] < self._knobs.missing_rate

    @property
    def means(self) -> np.ndarray:
        """Expected evidence per class, float64 [classes, 4]."""
        return np.asarray(self._strength["label_strength"] * self._prototypes)

    def labelled_evidence(self) -> tuple[np.ndarray, np.ndarray]:
        """The evidence of all labelled rows, [rows, 4], and which of them lack the modality, bool [rows]."""
        labels, parts = self._rows.labels, []
        for number, start in enumerate(range(0, len(labels), BLOCK_ROWS)):
            rng = generator(self._knobs.seed, "synthetic", "labelled", number, self._modality)
            parts.append(self._evidence(labels[start : start + BLOCK_ROWS], rng))
        evidence, missing = zip(*parts, strict=True)
        return np.concatenate(evidence), np.concatenate(missing)

    def _voice(self, part: str, speaker: int) -> np.ndarray:
        return generator(self._knobs.seed, "synthetic", "voice", part, speaker, self._modality).normal(
            size=_SPEAKER_DIM
        )


@dataclass(frozen=True)
class Evidence:
    """What the generator knows of its labelled rows, and no method sees.

    Attributes:
        labels: classes, int [rows].
        values: evidence per modality, float64 [rows, 4], also where the modality is missing.
        available: bool [rows, 3] in the order of ``MODALITIES``.
        means: expected evidence of each class per modality, float64 [classes, 4]; its deviation is 1.
        prior: probability of each class, float64 [classes].
    """

    labels: np.ndarray
    values: dict[str, np.ndarray]
    available: np.ndarray
    means: dict[str, np.ndarray]
    prior: np.ndarray


def synthetic_evidence(knobs: Synthetic) -> Evidence:
    """The evidence behind the labelled rows of the corpus that ``knobs`` describe, in their order."""
    rows = _labelled_rows(knobs)
    sources = {m: SyntheticSource(knobs, m, rows) for m in MODALITIES}
    drawn = {m: source.labelled_evidence() for m, source in sources.items()}
    return Evidence(
        rows.labels,
        {m: evidence for m, (evidence, _) in drawn.items()},
        ~np.stack([missing for _, missing in drawn.values()], axis=1),
        {m: source.means for m, source in sources.items()},
        _prior(knobs),
    )


def _labelled_rows(knobs: Synthetic) -> _Rows:
    labels = generator(knobs.seed, "synthetic", "rows").choice(knobs.classes, size=knobs.rows, p=_prior(knobs))
    return _Rows(labels, generator(knobs.seed, "synthetic", "speakers").integers(knobs.speakers, size=knobs.rows))


def read_synthetic(knobs: Synthetic) -> RawCorpus:
    """The generated corpus that ``knobs`` describe; features are drawn when they are read.

    Example:
        >>> corpus = read_synthetic(Synthetic(rows=300, pool_rows=100, classes=3))
        >>> corpus.rows, corpus.label_names
        (400, ('neutral', 'angry', 'happy'))
    """
    rows = _labelled_rows(knobs)
    labels, speakers = rows.labels, rows.speakers
    order = generator(knobs.seed, "synthetic", "split").permutation(knobs.speakers)
    held_out = max(1, round(knobs.speakers * knobs.held_out_share))
    of_speaker = np.full(knobs.speakers, "train", dtype=object)
    of_speaker[order[:held_out]] = "test"
    of_speaker[order[held_out : 2 * held_out]] = "val"
    pool = knobs.pool_rows
    return RawCorpus(
        name="synthetic",
        source="synthetic",
        ids=strings([f"clip{i:06d}" for i in range(knobs.rows)] + [f"pool{i:06d}" for i in range(pool)]),
        speakers=strings([f"speaker{s:03d}" for s in speakers] + [None] * pool),
        labels=np.concatenate([labels, np.full(pool, UNLABELLED)]).astype(np.int64),
        label_names=LABEL_NAMES[: knobs.classes],
        splits=np.concatenate([of_speaker[speakers], np.full(pool, "pool", dtype=object)]),
        sources={m: SyntheticSource(knobs, m, rows) for m in MODALITIES},
        group_name="speaker",
        provenance={"kind": "synthetic", "knobs": knobs.model_dump()},
        notes=("generated data: figures on it say whether the pipeline works, not which method is better on speech",),
    )


def _pool_rows(knobs: Synthetic, number: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    # Drawn anew for each modality from the block's own stream, so that no table of pool classes ever exists.
    rng = generator(knobs.seed, "synthetic", "pool", number, "rows")
    labels = rng.choice(knobs.classes, size=BLOCK_ROWS, p=_prior(knobs))
    speakers = number * knobs.speakers + rng.integers(knobs.speakers, size=BLOCK_ROWS)
    return labels[:rows], speakers[:rows]


def _prior(knobs: Synthetic) -> np.ndarray:
    skewed = _PRIOR[: knobs.classes] / _PRIOR[: knobs.classes].sum()
    return (1 - knobs.imbalance) / knobs.classes + knobs.imbalance * skewed


def _prototypes(classes: int, modality: str) -> np.ndarray:
    """Class prototypes of root mean square length 1 as one modality hears them, [classes, 4]."""
    heard = _EMOTIONS[:classes] * _AXIS_WEIGHTS[modality]
    heard = heard - heard.mean(axis=0)
    return heard / np.sqrt((heard**2).sum(axis=1).mean())


def _rotation(dim: int, rng: np.random.Generator) -> np.ndarray:
    return np.linalg.qr(rng.normal(size=(dim, dim)))[0]
