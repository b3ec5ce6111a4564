from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score

from ramer.config import Synthetic
from ramer.data.corpus import BLOCK_ROWS, RawCorpus
from ramer.data.synthetic import read_synthetic
from ramer.modalities import MODALITIES


def _features(corpus: RawCorpus, modality: str) -> np.ndarray:
    source = corpus.sources[modality]
    assert source is not None
    return np.concatenate(list(source.blocks()))


def _small(**knobs: Any) -> RawCorpus:
    dims = {"audio": 12, "video": 10, "text": 14}
    return read_synthetic(Synthetic.model_validate({"rows": 300, "pool_rows": 200, "dims": dims, **knobs}))


def test_the_default_has_the_size_that_it_says() -> None:
    corpus = read_synthetic(Synthetic())
    labelled = corpus.labels >= 0
    assert labelled.sum() == 1200
    assert (~labelled).sum() == 4000
    assert len(set(corpus.speakers[labelled])) == 24
    assert set(corpus.label_names) == {"neutral", "angry", "happy", "sad", "worried", "surprise"}
    dims = {m: _features(corpus, m).shape for m in MODALITIES}
    assert dims == {"audio": (5200, 128), "video": (5200, 96), "text": (5200, 256)}
    missing = np.mean([np.isnan(_features(corpus, m)).all(axis=1).mean() for m in MODALITIES])
    assert 0.02 < missing < 0.04
    counts = np.bincount(corpus.labels[labelled])
    assert 2 < counts.max() / counts.min() < 6


def test_splits_share_no_speaker_and_every_split_holds_every_class() -> None:
    corpus = read_synthetic(Synthetic())
    assert corpus.splits is not None
    held = {s: set(corpus.speakers[corpus.splits == s]) for s in ("train", "val", "test")}
    assert not any(held[a] & held[b] for a, b in combinations(held, 2))
    for split in held:
        assert set(corpus.labels[corpus.splits == split]) == set(range(6))


def test_pool_rows_carry_neither_label_nor_speaker() -> None:
    corpus = _small()
    assert corpus.splits is not None
    pool = corpus.splits == "pool"
    assert pool.sum() == 200
    assert (corpus.labels[pool] == -1).all()
    assert all(s is None for s in corpus.speakers[pool])


def test_the_same_knobs_give_the_same_bits_and_another_seed_other_rows() -> None:
    for modality in MODALITIES:
        first, again = _features(_small(), modality), _features(_small(), modality)
        assert first.tobytes() == again.tobytes()
        assert (first != _features(_small(seed=1), modality)).any()


def test_a_larger_corpus_begins_with_the_rows_of_a_smaller_one() -> None:
    small, large = _small(pool_rows=BLOCK_ROWS + 10), _small(pool_rows=2 * BLOCK_ROWS + 5)
    for modality in MODALITIES:
        few = _features(small, modality)
        np.testing.assert_array_equal(few, _features(large, modality)[: len(few)])


def test_modalities_correlate_beyond_the_label() -> None:
    """Within one class the video predicts the audio, through the shared latent and through nothing else."""

    def explained(shared: float) -> float:
        strength = {"shared_strength": dict.fromkeys(MODALITIES, shared)}
        silent = {"speaker_strength": dict.fromkeys(MODALITIES, 0.0)}  # who speaks is heard in all modalities too
        corpus = _small(rows=4000, pool_rows=0, missing_rate=0.0, **strength, **silent)
        video, audio = (_features(corpus, m)[corpus.labels == 0] for m in ("video", "audio"))
        half = len(video) // 2
        return float(Ridge(alpha=10.0).fit(video[:half], audio[:half]).score(video[half:], audio[half:]))

    assert explained(1.0) > 0.1
    assert abs(explained(0.0)) < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_difficulty_is_realistic(seed: int) -> None:
    """Unimodal weighted F1 in .45 to .65, all three in .70 to .85, for a plain product of logistic regressions."""
    corpus = read_synthetic(Synthetic(seed=seed, pool_rows=0))
    assert corpus.splits is not None
    train, test = corpus.splits == "train", corpus.splits == "test"
    log_prior = np.log(np.bincount(corpus.labels[train]) / train.sum())
    logits, alone = [], []
    for modality in MODALITIES:
        raw = _features(corpus, modality)
        scaled = np.nan_to_num((raw - np.nanmean(raw[train], axis=0)) / np.nanstd(raw[train], axis=0))
        model = LogisticRegression(C=0.01, max_iter=500).fit(scaled[train], corpus.labels[train])
        logits.append(model.predict_log_proba(scaled))
        alone.append(f1_score(corpus.labels[test], logits[-1][test].argmax(axis=1), average="weighted"))
    product = (sum(logits) - 2 * log_prior)[test].argmax(axis=1)
    full = f1_score(corpus.labels[test], product, average="weighted")
    assert all(0.45 < f1 < 0.65 for f1 in alone), alone
    assert 0.70 < full < 0.85, full
