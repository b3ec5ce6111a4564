"""The residual encoder: it starts as the regression, never falls below it, and its state holds what it should."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from ramer.array_files import read_tensors, write_tensors
from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.errors import ConfigError
from ramer.files import read_json, read_table, write_json, write_table
from ramer.nn.residual import ResidualEncoder
from ramer.training.checkpoints import load_described_encoder, load_encoder
from ramer.training.encoder_record import EncoderRecord
from ramer.training.frozen_part import frozen_part
from ramer.training.regression import Regression, fit_regression
from tests.support.sections import dump, pretrain

Make = Callable[..., Config]
Write = Callable[..., Path]


def vectors(corpus: PreparedCorpus, split: str) -> tuple[np.ndarray, np.ndarray]:
    replicate = corpus.replicates[0]
    rows = corpus.rows_in(replicate, split)
    rows = rows[corpus.available[rows, 0]]
    return corpus.standardised("audio", replicate, rows), corpus.labels(replicate)[rows]


def test_before_it_learns_it_is_the_regression(tmp_path: Path, make_config: Make, write_corpus: Write) -> None:
    """A step size that ruins whatever it touches: the start is kept, and says what scikit-learn's says."""
    corpus = PreparedCorpus.open(write_corpus(tmp_path / "prepared"))
    pretrain(make_config(lr=50.0, averaging=0.0), "audio", corpus.path, tmp_path / "out")
    entry = EncoderRecord.read(tmp_path / "out" / "encoder.json").replicates["fold0_seed0"]
    assert entry.epoch == 0
    assert entry.regression is not None
    assert entry.val_log_loss == pytest.approx(entry.regression.val_log_loss, abs=1e-5)
    assert entry.val_weighted_f1 == pytest.approx(entry.regression.val_weighted_f1)
    x, labels = vectors(corpus, "train")
    penalty = entry.regression.inverse_penalty
    expected = LogisticRegression(C=penalty, max_iter=1000, tol=1e-8).fit(x.astype(np.float64), labels)
    encoder, _ = load_encoder(tmp_path / "out" / "fold0_seed0.safetensors")
    held, _ = vectors(corpus, "val")
    got = encoder(torch.from_numpy(held)).logits.softmax(dim=1).numpy()
    np.testing.assert_allclose(got, expected.predict_proba(held), atol=2e-3)


@pytest.mark.parametrize("lr", [0.0003, 0.01, 1.0])
@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_it_never_falls_below_the_regression(
    tmp_path: Path, make_config: Make, write_corpus: Write, lr: float, averaging: float
) -> None:
    corpus = write_corpus(tmp_path / "prepared")
    pretrain(make_config(lr=lr, averaging=averaging), "audio", corpus, tmp_path / "out")
    for entry in EncoderRecord.read(tmp_path / "out" / "encoder.json").replicates.values():
        assert entry.regression is not None
        assert entry.val_log_loss is not None
        assert entry.val_log_loss <= entry.regression.val_log_loss + 1e-6
        assert entry.val_weighted_f1 >= entry.regression.val_weighted_f1 - 1e-9


def test_the_kept_epoch_has_the_scores_that_are_written(tmp_path: Path, make_config: Make, write_corpus: Write) -> None:
    """Averaged weights, scaled afterwards: what is loaded says what was scored."""
    corpus = PreparedCorpus.open(write_corpus(tmp_path / "prepared"))
    weak = {"inverse_penalties": [0.0001], "label_smoothing": 0.0}  # a regression that leaves something to learn
    config = make_config(lr=0.01, epochs=12, patience=12, averaging=0.9, **weak)
    pretrain(config, "audio", corpus.path, tmp_path / "out")
    entry = EncoderRecord.read(tmp_path / "out" / "encoder.json").replicates["fold0_seed0"]
    assert entry.epoch > 0
    encoder, _ = load_encoder(tmp_path / "out" / "fold0_seed0.safetensors")
    held, labels = vectors(corpus, "val")
    loss = torch.nn.functional.cross_entropy(encoder(torch.from_numpy(held)).logits, torch.from_numpy(labels))
    assert float(loss) == pytest.approx(entry.val_log_loss, abs=1e-5)


def test_a_state_holds_logits_components_and_what_is_learnt(
    tmp_path: Path, make_config: Make, write_corpus: Write
) -> None:
    corpus = PreparedCorpus.open(write_corpus(tmp_path / "prepared"))
    pretrain(make_config(hidden_dim=16, lr=0.01), "audio", corpus.path, tmp_path / "out")
    encoder, _ = load_encoder(tmp_path / "out" / "fold0_seed0.safetensors")
    assert isinstance(encoder, ResidualEncoder)
    x, _ = vectors(corpus, "train")
    states = encoder(torch.from_numpy(x)).hidden
    logits = x @ encoder.line_weight.numpy() + encoder.line_bias.numpy()
    centred = logits - logits.mean(axis=1, keepdims=True)
    ratio = states[:, :3].numpy() / centred
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-3)
    for part, length in ((states[:, :3], 1.0), (states[:, 3:12], 1.0), (states[:, 12:], 0.5)):
        assert float(part.square().sum(dim=1).mean().sqrt()) == pytest.approx(length, abs=1e-3)
    components = states[:, 3:12].numpy()
    spread = np.cov(components.T)
    np.testing.assert_allclose(spread, np.diag(np.diag(spread)), atol=1e-4)
    line = encoder.linear_state()
    assert line is not None
    np.testing.assert_allclose(x @ line.weight.numpy() + line.bias.numpy(), states[:, :12], atol=1e-5)


@pytest.mark.parametrize(
    ("classes", "hidden_dim", "rows", "dim"),
    [(2, 128, 60, 20), (40, 16, 300, 20), (3, 2, 50, 8), (7, 128, 90, 1500), (200, 128, 900, 600), (4, 12, 1, 6)],
)
def test_any_number_of_classes_rows_and_dimensions_fits(classes: int, hidden_dim: int, rows: int, dim: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, dim)).astype(np.float32)
    regression = fit_regression(x, np.arange(rows) % classes, classes, (x, np.arange(rows) % classes), (0.01,))
    encoder = ResidualEncoder(
        dim, classes, hidden_dim=hidden_dim, model_dim=8, layers=1, heads=2, ff_dim=8, dropout=0.0, input_dropout=0.0
    )
    encoder.stand_on(frozen_part(x, regression, encoder.linear_width))
    encoded = encoder(torch.from_numpy(x))
    assert encoded.hidden.shape == (rows, hidden_dim)
    assert bool(encoded.hidden.isfinite().all())
    expected = softmax(regression.logits(x), axis=1)
    np.testing.assert_allclose(encoded.logits.softmax(dim=1).detach(), expected, atol=1e-5)


def test_features_that_say_nothing_give_finite_states() -> None:
    x = np.zeros((20, 5), dtype=np.float32)
    frozen = frozen_part(x, Regression(np.zeros((5, 3)), np.zeros(3), 1.0), 9)
    assert all(bool(t.isfinite().all()) for t in (*frozen.line, frozen.line_to_state, *frozen.components))


def test_states_of_a_constant_modality_are_not_rounding(tmp_path: Path, make_config: Make, write_corpus: Write) -> None:
    """Brought to length 1, states of nothing but rounding pointed elsewhere in every size of batch."""
    path = write_corpus(tmp_path / "prepared", missing_audio=())
    rows = read_table(path / "rows.parquet")
    write_table(path / "rows.parquet", rows.assign(label=[["angry", "happy", "sad"][i % 3] for i in range(len(rows))]))
    features = np.load(path / "audio.npy")
    np.save(path / "audio.npy", np.full_like(features, 1.5))
    scalers = dict(np.load(path / "scalers.npz"))
    scalers |= {"audio_mean": np.full_like(scalers["audio_mean"], 1.5), "audio_std": np.ones_like(scalers["audio_std"])}
    np.savez(path / "scalers.npz", allow_pickle=False, **scalers)
    pretrain(make_config(hidden_dim=16, lr=0.01), "audio", path, tmp_path / "out")
    encoder, scaler = load_encoder(tmp_path / "out" / "fold0_seed0.safetensors")
    x = torch.from_numpy(scaler.apply(np.load(path / "audio.npy")))
    assert not x.any()
    with torch.inference_mode():
        states = [encoder(x[:size]).hidden[0].numpy() for size in (1, 2, 3, 7, 64, 160)]
    assert min(np.linalg.norm(state) for state in states) > 0.1
    units = np.stack([state / np.linalg.norm(state) for state in states])
    assert np.abs(units - units[0]).max() < 1e-5


@pytest.mark.parametrize("says", [0.0, 1.0])
def test_what_is_learnt_is_centred_unless_nothing_else_gives_a_direction(says: float) -> None:
    torch.manual_seed(0)
    encoder = ResidualEncoder(
        5, 3, hidden_dim=9, model_dim=None, layers=1, heads=1, ff_dim=8, dropout=0.0, input_dropout=0.0
    ).eval()
    encoder.component_bias.fill_(says)
    torch.nn.init.normal_(encoder.correction.weight)
    x = torch.zeros(20, 5)
    with torch.inference_mode():
        before = encoder(x)
        encoder.even_out(before.hidden)
        after = encoder(x)
    torch.testing.assert_close(after.logits, before.logits, rtol=0, atol=1e-5)
    learnt = after.hidden[:, encoder.linear_width :].norm(dim=1)
    assert torch.allclose(learnt, torch.full_like(learnt, 0.0 if says else 0.5), atol=1e-5)


def test_what_is_frozen_has_no_gradient(tmp_path: Path, make_config: Make, write_corpus: Write) -> None:
    """Fine-tuning asks for gradients of a whole encoder."""
    pretrain(make_config(), "audio", write_corpus(tmp_path / "prepared"), tmp_path / "out")
    encoder, _ = load_encoder(tmp_path / "out" / "fold0_seed0.safetensors")
    encoder.requires_grad_(True)
    encoder(torch.zeros(4, 12)).hidden.sum().backward()
    assert "line_weight" not in dict(encoder.named_parameters())
    assert not any(buffer.requires_grad for buffer in encoder.buffers())
    assert encoder.to_hidden.weight.grad is not None


@pytest.mark.parametrize("kind", ["residual", "transformer"])
def test_the_regression_stands_beside_each_kind(
    tmp_path: Path, make_config: Make, write_corpus: Write, kind: str
) -> None:
    pretrain(make_config(kind=kind), "audio", write_corpus(tmp_path / "prepared"), tmp_path / "out")
    record = EncoderRecord.read(tmp_path / "out" / "encoder.json")
    assert record.kind == kind
    assert all(e.regression is not None and e.regression.val_weighted_f1 > 0.5 for e in record.replicates.values())


def test_what_was_written_before_there_were_kinds_is_a_transformer(
    tmp_path: Path, make_config: Make, write_corpus: Write
) -> None:
    corpus = write_corpus(tmp_path / "prepared")
    pretrain(make_config(kind="transformer"), "audio", corpus, tmp_path / "out")
    before, after = tmp_path / "out" / "fold0_seed0.safetensors", tmp_path / "old.safetensors"
    tensors, metadata = read_tensors(before)
    del metadata["kind"]
    write_tensors(after, tensors, metadata)
    encoder, _, description = load_described_encoder(after)
    expected, _ = load_encoder(before)
    assert description.kind == "transformer"
    torch.testing.assert_close(encoder(torch.ones(2, 12)), expected(torch.ones(2, 12)), rtol=0, atol=0)
    record = read_json(tmp_path / "out" / "encoder.json")
    del record["kind"]
    for entry in record["replicates"].values():
        del entry["val_log_loss"], entry["regression"]
    write_json(tmp_path / "out" / "encoder.json", record)
    assert EncoderRecord.read(tmp_path / "out" / "encoder.json").kind == "transformer"
    dump(make_config(), "audio", corpus, tmp_path / "out", tmp_path / "states")


def test_a_state_without_room_for_both_parts_is_refused(make_config: Make) -> None:
    with pytest.raises(ConfigError, match=r"pretrain\.audio: hidden_dim 1 must be at least 2 with kind residual"):
        make_config(hidden_dim=1)
