from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ramer.array_files import read_tensors, write_tensors
from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.errors import ConfigError, CorpusError, StaleError
from ramer.evaluation.metrics import weighted_f1
from ramer.files import digest_file, read_json
from ramer.nn import linear
from ramer.training import split_rows as rows_module
from ramer.training.checkpoints import load_encoder
from ramer.training.split_rows import SplitRows
from tests.support.sections import pretrain

Make = Callable[..., Config]
Write = Callable[..., Path]


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


@pytest.mark.parametrize("kind", ["residual", "transformer"])
def test_two_runs_give_the_same_bytes(tmp_path: Path, make_config: Make, write_corpus: Write, kind: str) -> None:
    corpus = write_corpus(tmp_path / "prepared")
    pretrain(make_config(kind=kind), "audio", corpus, tmp_path / "one")
    torch.rand(7)  # the state of the global generator is not an input
    pretrain(make_config(kind=kind), "audio", corpus, tmp_path / "two")
    one = files(tmp_path / "one")
    assert set(one) == {
        "digests.json",
        "encoder.json",
        "history.csv",
        "fold0_seed0.safetensors",
        "fold0_seed1.safetensors",
    }
    assert one == files(tmp_path / "two")
    assert one["fold0_seed0.safetensors"] != one["fold0_seed1.safetensors"]


@pytest.mark.parametrize("kind", ["residual", "transformer"])
def test_test_and_pool_rows_change_nothing(tmp_path: Path, make_config: Make, write_corpus: Write, kind: str) -> None:
    pretrain(make_config(kind=kind), "audio", write_corpus(tmp_path / "clean"), tmp_path / "one")
    pretrain(make_config(kind=kind), "audio", write_corpus(tmp_path / "garbage", poison=True), tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_a_regression_sees_no_more_rows_than_fit(
    tmp_path: Path, make_config: Make, write_corpus: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = PreparedCorpus.open(write_corpus(tmp_path / "prepared"))
    rows = SplitRows(corpus, "video", corpus.replicates[0], "train", "cpu")
    whole, labels = rows.at_once()
    assert len(whole) == len(labels) == 60
    monkeypatch.setattr(rows_module, "AT_ONCE_BYTES", 4 * 8 * 21)
    some, theirs = rows.at_once()
    assert len(some) == 21
    places = [int(np.flatnonzero((whole == row).all(axis=1))[0]) for row in some]
    assert places[0] == 0
    assert places[-1] == 59
    assert places == sorted(set(places))
    np.testing.assert_array_equal(theirs, labels[places])


def test_gathering_from_the_memory_map_changes_nothing(
    tmp_path: Path, make_config: Make, write_corpus: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus(tmp_path / "prepared")
    pretrain(make_config(), "video", corpus, tmp_path / "matrix")
    monkeypatch.setattr(rows_module, "IN_MEMORY_BYTES", 0)
    pretrain(make_config(), "video", corpus, tmp_path / "map")
    assert files(tmp_path / "matrix") == files(tmp_path / "map")


def test_reusing_gradient_memory_changes_nothing_but_rounding(
    tmp_path: Path, make_config: Make, write_corpus: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_corpus(tmp_path / "prepared")
    weights = {}
    for name, worth in (("reused", 1), ("fresh", 2**20)):
        monkeypatch.setattr(linear, "WORTH_REUSING", worth)
        pretrain(make_config(epochs=2, lr=1e-4), "audio", corpus, tmp_path / name)
        weights[name], _ = read_tensors(tmp_path / name / "fold0_seed0.safetensors")
    for name, values in weights["fresh"].items():
        np.testing.assert_allclose(weights["reused"][name], values, atol=1e-5)


def test_the_saved_epoch_is_the_best_one(tmp_path: Path, make_config: Make, write_corpus: Write) -> None:
    """A learning rate too high to settle: the checkpoint scores what the history's best epoch scored."""
    corpus = PreparedCorpus.open(write_corpus(tmp_path / "prepared"))
    pretrain(make_config(kind="transformer", lr=0.05, epochs=12, patience=12), "audio", corpus.path, tmp_path / "out")
    with (tmp_path / "out" / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    summary = read_json(tmp_path / "out" / "encoder.json")
    for replicate in corpus.replicates:
        lines = [line for line in history if line["replicate"] == replicate.name]
        best = max(lines, key=lambda line: (float(line["val_weighted_f1"]), -float(line["val_loss"])))
        entry = summary["replicates"][replicate.name]
        assert len(lines) == 12
        assert int(best["epoch"]) == entry["epoch"]
        assert entry["epoch"] < 12
        path = tmp_path / "out" / f"{replicate.name}.safetensors"
        assert entry["digest"] == digest_file(path)
        encoder, scaler = load_encoder(path)
        rows = corpus.rows_in(replicate, "val")
        rows = rows[corpus.available[rows, 0]]
        with torch.inference_mode():
            logits = encoder(torch.from_numpy(scaler.apply(corpus.features["audio"][rows]))).logits
        labels = corpus.labels(replicate)[rows]
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels))
        assert float(loss) == pytest.approx(float(best["val_loss"]), abs=1e-5)
        score = weighted_f1(labels, logits.argmax(1).numpy())
        assert score == pytest.approx(entry["val_weighted_f1"], abs=1e-6)
        assert score == pytest.approx(float(best["val_weighted_f1"]), abs=1e-6)


@pytest.mark.parametrize("kind", ["residual", "transformer"])
def test_patience_ends_training(tmp_path: Path, make_config: Make, write_corpus: Write, kind: str) -> None:
    corpus = write_corpus(tmp_path / "prepared")
    pretrain(make_config(kind=kind, lr=0.05, epochs=40, patience=2), "audio", corpus, tmp_path / "out")
    summary = read_json(tmp_path / "out" / "encoder.json")
    with (tmp_path / "out" / "history.csv").open() as file:
        history = [(line["replicate"], int(line["epoch"])) for line in csv.DictReader(file)]
    for name, entry in summary["replicates"].items():
        assert max(epoch for replicate, epoch in history if replicate == name) == entry["epoch"] + 2


@pytest.mark.parametrize("kind", ["residual", "transformer"])
def test_it_learns(tmp_path: Path, make_config: Make, write_corpus: Write, kind: str) -> None:
    pretrain(
        make_config(kind=kind, epochs=15, patience=15), "audio", write_corpus(tmp_path / "prepared"), tmp_path / "out"
    )
    summary = read_json(tmp_path / "out" / "encoder.json")
    assert all(entry["val_weighted_f1"] > 0.8 for entry in summary["replicates"].values())


def test_cls_and_positions_train_and_are_saved(tmp_path: Path, make_config: Make, write_corpus: Write) -> None:
    corpus = write_corpus(tmp_path / "prepared")
    saved = {}
    for name, epochs in (("short", 1), ("long", 2)):
        pretrain(make_config(kind="transformer", epochs=epochs, dropout=0.0), "audio", corpus, tmp_path / name)
        saved[name], _ = read_tensors(tmp_path / name / "fold0_seed0.safetensors")
        encoder, _ = load_encoder(tmp_path / name / "fold0_seed0.safetensors")
        for parameter in ("cls", "position"):
            np.testing.assert_array_equal(encoder.state_dict()[parameter].numpy(), saved[name][parameter])
    for parameter in ("cls", "position"):
        assert (np.abs(saved["short"][parameter] - saved["long"][parameter]).max(axis=1) > 1e-4).all()


@pytest.mark.parametrize("kind", ["residual", "transformer"])
def test_input_dropout_acts_in_training_alone(
    tmp_path: Path, make_config: Make, write_corpus: Write, kind: str
) -> None:
    corpus = write_corpus(tmp_path / "prepared")
    pretrain(make_config(kind=kind, epochs=1, dropout=0.0, input_dropout=0.5), "audio", corpus, tmp_path / "out")
    encoder, _ = load_encoder(tmp_path / "out" / "fold0_seed0.safetensors")
    rows = torch.ones(400, 12)
    assert len(encoder(rows).hidden.unique(dim=0)) == 1
    dropped = encoder.train()(rows).hidden
    assert len(dropped.unique(dim=0)) > 100


def test_absent_modality(tmp_path: Path, make_config: Make, write_corpus: Write) -> None:
    pretrain(make_config(), "text", write_corpus(tmp_path / "prepared"), tmp_path / "out")
    assert set(files(tmp_path / "out")) == {"digests.json", "encoder.json", "history.csv"}
    summary = read_json(tmp_path / "out" / "encoder.json")
    assert summary["absent"] is True
    assert summary["hidden_dim"] == 10
    header = "replicate,epoch,train_loss,val_loss,val_weighted_f1\n"
    assert (tmp_path / "out" / "history.csv").read_text() == header


@pytest.mark.parametrize(("missing", "split"), [(range(60), "train"), (range(60, 90), "val")])
def test_no_row_to_learn_from(
    tmp_path: Path, make_config: Make, write_corpus: Write, missing: range, split: str
) -> None:
    corpus = write_corpus(tmp_path / "prepared", missing_audio=tuple(missing))
    with pytest.raises(CorpusError, match=f"audio: expected at least one {split} row of fold0_seed0"):
        pretrain(make_config(), "audio", corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_heads_that_do_not_divide_name_their_key(tmp_path: Path, make_config: Make, write_corpus: Write) -> None:
    with pytest.raises(ConfigError, match=r"^params.yaml: pretrain.audio.heads: expected a divisor of 12"):
        pretrain(make_config(heads=5), "audio", write_corpus(tmp_path / "prepared"), tmp_path / "out")


def damage(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "absent":
        path.unlink()
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "text":
        path.write_text("not a model at all, but longer than a header\n" * 9)
    elif kind == "foreign":
        write_tensors(path, {"weight": np.zeros(3)}, {"name": "another model"})
    else:
        tensors, metadata = read_tensors(path)
        if kind == "lacks a weight":
            del tensors["cls"]
        elif kind == "lacks the scaler":
            del tensors["scaler.mean"]
        else:
            metadata["hidden_dim"] = 99
        write_tensors(path, tensors, metadata)


@pytest.mark.parametrize(
    "kind",
    ["absent", "empty", "truncated", "text", "foreign", "lacks a weight", "lacks the scaler", "another shape"],
)
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, make_config: Make, write_corpus: Write, kind: str) -> None:
    pretrain(make_config(epochs=1), "audio", write_corpus(tmp_path / "prepared"), tmp_path / "out")
    path = tmp_path / "out" / "fold0_seed0.safetensors"
    damage(path, kind)
    with pytest.raises(StaleError) as caught:
        load_encoder(path)
    (line,) = caught.value.faults
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
