"""Cross-fitted states: a training row's state from an encoder that has not seen its label.

The encoder that everything else goes through has been trained on the training rows, whose states are therefore far
purer in label than a new clip's. As in stacking (Wolpert, "Stacked generalization", 1992), K encoders are trained, each
without one fold of speakers, and each encodes the fold that it has not seen. Their spaces differ, so each is brought
into the main encoder's by least squares with a ridge, fitted on validation and pool rows: neither of the two encoders
was trained on those, and test rows are not touched. (A rotation with shift and scale, as in Procrustes, leaves more.)
What a residual encoder's state holds of the frozen part needs no map: logits are logits, and the principal components,
which know no label, are the main encoder's in all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ramer.config import Encoder
from ramer.data.prepared import PreparedCorpus, Replicate
from ramer.errors import CorpusError, naming
from ramer.modalities import MODALITIES
from ramer.nn.encoder import UnimodalEncoder
from ramer.seeding import generator, seed_torch
from ramer.training.encoder_training import regress, train_encoder
from ramer.training.frozen_part import as_map
from ramer.training.savepoints import NOTHING_KEPT, Savepoints
from ramer.training.split_rows import SplitRows

MOST_ANCHORS = 20_000  # rows that an alignment is fitted on
PENALTIES = np.logspace(-6, 0, 13)  # of an alignment, per row and in units of the states' variance

Encode = Callable[[UnimodalEncoder, np.ndarray], tuple[np.ndarray, np.ndarray]]


class CrossFitted(NamedTuple):
    """Rows encoded by encoders that have not seen their labels.

    Attributes:
        rows: int64 [n], training rows that hold the modality.
        states, posteriors: float32 [n, width] of these.
        digest: of the encoders.
    """

    rows: np.ndarray
    states: np.ndarray
    posteriors: np.ndarray
    digest: str


def speaker_folds(groups: Int[np.ndarray, " n"], folds: int, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """The fold of every row, of about equal size; a named speaker's rows share one.

    Args:
        groups: the speaker's number, -1 for an unnamed row, which is a speaker of its own.

    Raises:
        ValueError: fewer speakers than folds.
    """
    own = np.where(groups >= 0, groups, np.arange(len(groups)) + groups.max(initial=-1) + 1)
    speakers, member, sizes = np.unique(own, return_inverse=True, return_counts=True)
    if len(speakers) < folds:
        raise ValueError(f"expected at least {folds} speakers, got {len(speakers)}")
    fold_of, filled = np.empty(len(speakers), dtype=np.int64), np.zeros(folds, dtype=np.int64)
    order = rng.permutation(len(speakers))
    for speaker in order[np.argsort(-sizes[order], kind="stable")]:
        fold_of[speaker] = filled.argmin()
        filled[fold_of[speaker]] += sizes[speaker]
    return np.asarray(fold_of[member])


def align(
    states: Float[np.ndarray, "n hidden"], source: Float[np.ndarray, "m hidden"], target: Float[np.ndarray, "m hidden"]
) -> Float[np.ndarray, "n hidden"]:
    """States brought from one space into another by a linear map with shift.

    The penalty is chosen by leaving one of the m rows out at a time.

    Args:
        states: in the source's space.
        source, target: the same m rows in both spaces, on which the map is fitted.
    """
    from sklearn.linear_model import RidgeCV

    x, y = source.astype(np.float64), target.astype(np.float64)
    scale = max(float(x.std()), 1e-12)
    model = RidgeCV(alphas=PENALTIES * len(x)).fit(x / scale, y)
    return np.asarray(model.predict(states.astype(np.float64) / scale), dtype=np.float32)


def crossfit_fold(
    corpus: PreparedCorpus,
    modality: str,
    replicate: Replicate,
    options: Encoder,
    folds: int,
    fold: int,
    main: UnimodalEncoder,
    new_encoder: Callable[[], UnimodalEncoder],
    encode: Encode,
    savepoints: Savepoints = NOTHING_KEPT,
) -> CrossFitted:
    """Train the encoder that does not see one fold, and encode this fold's training rows by it.

    Standardisation is the main encoder's; it knows no label. Fold encoders start from the main encoder's first weights.

    Args:
        folds: number of encoders, at least 2. fold: which of them.
        main: the encoder in whose space states are wanted.
        new_encoder: a freshly initialised encoder on the device.
        encode: states and posteriors of corpus rows.
        savepoints: of the stage.

    Raises:
        CorpusError: fewer speakers than folds among the training rows.
    """
    train = corpus.rows_in(replicate, "train")
    held = corpus.available[:, MODALITIES.index(modality)]
    fold_of, anchors = _folds_and_anchors(corpus, replicate, folds, held)
    target, _ = encode(main, anchors)
    device = str(main.cls.device)
    val = SplitRows(corpus, modality, replicate, "val", device)
    unseen = train[(fold_of == fold) & held[train]]
    seed_torch(replicate.seed, "pretrain", "torch", modality, replicate.fold)
    encoder = new_encoder()
    kept = SplitRows(corpus, modality, replicate, "train", device, keep=train[fold_of != fold])
    order = generator(replicate.seed, "crossfit", modality, replicate.fold, fold)
    frozen = main.frozen
    if frozen is not None:
        frozen = frozen._replace(line=as_map(regress(kept, val, corpus.classes, options.inverse_penalties)))
    name = f"{replicate.name}.crossfit{fold}"
    with naming(f"params.yaml: pretrain.{modality}: {name}"):
        train_encoder(encoder, kept, val, frozen, options, order, savepoints.at(name))
    encoder.eval()
    own, proba = encode(encoder, unseen)
    sha = hashlib.sha256(f"{folds} folds, ridge".encode())
    for name, weights in sorted(encoder.state_dict().items()):
        sha.update(name.encode() + weights.cpu().numpy().tobytes())
    same, source = main.linear_width, encode(encoder, anchors)[0]
    aligned = align(own[:, same:], source[:, same:], target[:, same:])
    return CrossFitted(unseen, np.concatenate([own[:, :same], aligned], axis=1), proba, sha.hexdigest())


def joined(parts: Sequence[CrossFitted]) -> CrossFitted:
    """All folds of a replicate, given in their order, as one."""
    rows, states, posteriors = (np.concatenate(arrays) for arrays in list(zip(*parts, strict=True))[:3])
    digest = hashlib.sha256("".join(part.digest for part in parts).encode()).hexdigest()
    return CrossFitted(rows, states, posteriors, digest)


def _folds_and_anchors(
    corpus: PreparedCorpus, replicate: Replicate, folds: int, held: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The fold of every training row, and the rows that alignments are fitted on."""
    rng = generator(replicate.seed, "crossfit", replicate.fold)  # the same folds for every modality
    try:
        fold_of = speaker_folds(corpus.groups[corpus.rows_in(replicate, "train")], folds, rng)
    except ValueError as error:
        raise CorpusError(f"params.yaml: dump.crossfit: {folds}: training rows of {replicate.name}: {error}") from None
    anchors = corpus.rows_in(replicate, "val", "pool")
    anchors = anchors[held[anchors]]
    if len(anchors) > MOST_ANCHORS:
        anchors = np.sort(rng.choice(anchors, MOST_ANCHORS, replace=False))
    return fold_of, anchors
