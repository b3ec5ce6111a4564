"""Cross-fitted states: whose label an encoder has seen, and in which space the states are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.errors import ConfigError, CorpusError
from ramer.files import read_json
from ramer.seeding import generator
from ramer.training.checkpoints import build_encoder, load_encoder
from ramer.training.crossfit import CrossFitted, align, crossfit_fold, joined, speaker_folds
from ramer.training.encoded_blocks import encode
from ramer.training.encoder_record import EncoderDescription
from tests.support.sections import dump, pretrain

Make = Callable[..., Config]
Write = Callable[..., Path]


def with_folds(config: Config, folds: int) -> Config:
    return config.model_copy(update={"dump": config.dump.model_copy(update={"crossfit": folds})})


def test_a_speaker_is_in_one_fold_and_folds_are_alike() -> None:
    rng = np.random.default_rng(0)
    groups = np.where(rng.random(500) < 0.2, -1, rng.integers(0, 20, 500))
    folds = speaker_folds(groups, 4, np.random.default_rng(1))
    for speaker in range(20):
        assert len(set(folds[groups == speaker].tolist())) == 1
    assert len(set(folds[groups < 0].tolist())) == 4
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 2
    with pytest.raises(ValueError, match="expected at least 3 speakers, got 2"):
        speaker_folds(np.array([0, 0, 1, 1]), 3, rng)


def test_alignment_finds_a_linear_map_with_shift() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(6, 6))
    source = rng.normal(size=(60, 6)).astype(np.float32)
    new = rng.normal(size=(5, 6)).astype(np.float32)
    expected = new @ matrix * 2.5 + 3
    got = align(new, source, (source @ matrix * 2.5 + 3).astype(np.float32))
    np.testing.assert_allclose(got, expected, atol=1e-3)


def test_alignment_does_not_follow_noise() -> None:
    """With as many rows as dimensions plain least squares would fit the noise; new rows must come out near."""
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    source, new = rng.normal(size=(24, 20)).astype(np.float32), rng.normal(size=(200, 20)).astype(np.float32)
    target = (source @ rotation + rng.normal(scale=0.5, size=(24, 20))).astype(np.float32)
    plain = new @ np.linalg.lstsq(source, target, rcond=None)[0]

    def left(mapped: np.ndarray) -> float:
        return float(((mapped - new @ rotation) ** 2).mean())

    assert left(align(new, source, target)) < 0.7 * left(plain)


def run(corpus: PreparedCorpus, config: Config, encoders: Path) -> CrossFitted:
    replicate, options = corpus.replicates[0], config.pretrain.audio
    main, scaler = load_encoder(encoders / f"{replicate.name}.safetensors")
    description = EncoderDescription.of("audio", corpus.dims["audio"], options, corpus.label_names)
    parts = [
        crossfit_fold(
            corpus,
            "audio",
            replicate,
            options,
            4,
            fold,
            main,
            lambda: build_encoder(description),
            lambda encoder, rows: encode(encoder, scaler, corpus.features["audio"][rows]),
        )
        for fold in range(4)
    ]
    return joined(parts)


def test_a_rows_label_does_not_reach_its_state(tmp_path: Path, trained: PreparedCorpus, make_config: Make) -> None:
    config, replicate = make_config(), trained.replicates[0]
    before = run(trained, config, tmp_path / "encoders")
    train = trained.rows_in(replicate, "train")
    folds = speaker_folds(trained.groups[train], 4, generator(replicate.seed, "crossfit", replicate.fold))
    changed = train[folds == 0]
    trained._labels[changed] = (trained._labels[changed] + 1) % 3
    after = run(trained, config, tmp_path / "encoders")
    own = np.isin(before.rows, changed)
    assert own.any()
    np.testing.assert_array_equal(before.rows, after.rows)
    np.testing.assert_array_equal(before.states[own], after.states[own])
    assert (before.states[~own] != after.states[~own]).any(axis=1).all()
    assert before.digest != after.digest


def test_only_training_rows_change(tmp_path: Path, trained: PreparedCorpus, make_config: Make) -> None:
    config = make_config()
    dump(config, "audio", trained.path, tmp_path / "encoders", tmp_path / "plain")
    for name in ("one", "two"):
        dump(with_folds(config, 4), "audio", trained.path, tmp_path / "encoders", tmp_path / name)
    for name in ("states.npy", "posteriors.npy", "states.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    for name in ("states", "posteriors"):
        plain, crossed = np.load(tmp_path / "plain" / f"{name}.npy"), np.load(tmp_path / "one" / f"{name}.npy")
        for replicate in trained.replicates:
            train = np.isin(np.arange(trained.rows), trained.rows_in(replicate, "train"))
            moved = train & trained.available[:, 0]
            np.testing.assert_array_equal(plain[replicate.index][~moved], crossed[replicate.index][~moved])
            assert (plain[replicate.index][moved] != crossed[replicate.index][moved]).any(axis=1).all()
    info = read_json(tmp_path / "one" / "states.json")
    assert set(info["crossfit_digests"]) == {r.name for r in trained.replicates}
    assert read_json(tmp_path / "plain" / "states.json")["crossfit_digests"] == {}


def test_a_modality_that_the_corpus_lacks_needs_no_folds(
    tmp_path: Path, trained: PreparedCorpus, make_config: Make
) -> None:
    config = with_folds(make_config(), 4)
    pretrain(config, "text", trained.path, tmp_path / "text")
    dump(config, "text", trained.path, tmp_path / "text", tmp_path / "states")
    assert read_json(tmp_path / "states" / "states.json")["crossfit_digests"] == {}


def test_more_folds_than_speakers_are_refused(tmp_path: Path, trained: PreparedCorpus, make_config: Make) -> None:
    with pytest.raises(CorpusError, match=r"dump\.crossfit: 9: .* expected at least 9 speakers, got 8"):
        dump(with_folds(make_config(), 9), "audio", trained.path, tmp_path / "encoders", tmp_path / "states")
    assert not (tmp_path / "states").exists()


def test_one_fold_is_refused() -> None:
    from ramer.config import parse_config

    with pytest.raises(ConfigError, match="crossfit must be 0"):
        parse_config({"methods": {"ramer": {"type": "ramer"}}, "dump": {"crossfit": 1}})
