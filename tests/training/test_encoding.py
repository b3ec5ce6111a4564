from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ramer.config import Config
from ramer.data.prepared import PreparedCorpus
from ramer.errors import ModelError, StaleError
from ramer.files import digest_file, read_json
from ramer.training.checkpoints import load_encoder
from ramer.training.encoded_blocks import encode
from tests.support.sections import dump, pretrain

Make = Callable[..., Config]
Write = Callable[..., Path]


def test_every_row_goes_through_its_replicates_encoder(
    tmp_path: Path, trained: PreparedCorpus, make_config: Make
) -> None:
    dump(make_config(), "audio", trained.path, tmp_path / "encoders", tmp_path / "states")
    states, posteriors = (np.load(tmp_path / "states" / f"{name}.npy") for name in ("states", "posteriors"))
    assert states.shape == (2, 160, 10)
    assert posteriors.shape == (2, 160, 3)
    assert states.dtype == posteriors.dtype == np.float32
    held = trained.available[:, 0]
    assert not held.all()
    for replicate in trained.replicates:
        encoder, _ = load_encoder(tmp_path / "encoders" / f"{replicate.name}.safetensors")
        inputs = trained.standardised("audio", replicate, np.flatnonzero(held))
        with torch.inference_mode():
            hidden, logits = encoder(torch.from_numpy(inputs))
        np.testing.assert_allclose(states[replicate.index][held], hidden, atol=1e-6)
        np.testing.assert_allclose(posteriors[replicate.index][held], logits.softmax(1), atol=1e-6)
        assert np.isnan(states[replicate.index][~held]).all()
        assert np.isnan(posteriors[replicate.index][~held]).all()


def test_description_ties_states_to_ids_and_encoders(
    tmp_path: Path, trained: PreparedCorpus, make_config: Make
) -> None:
    dump(make_config(), "audio", trained.path, tmp_path / "encoders", tmp_path / "states")
    names = [replicate.name for replicate in trained.replicates]
    assert read_json(tmp_path / "states" / "states.json") == {
        "format": 1,
        "modality": "audio",
        "absent": False,
        "hidden_dim": 10,
        "ids_digest": trained.ids_digest,
        "encoder_digests": {name: digest_file(tmp_path / "encoders" / f"{name}.safetensors") for name in names},
        "crossfit_digests": {},
    }


def test_batch_size_does_not_change_a_row(tmp_path: Path, trained: PreparedCorpus, make_config: Make) -> None:
    states = []
    for size in (1, 7, 1000):
        config = make_config()
        config = config.model_copy(update={"dump": config.dump.model_copy(update={"batch_size": size})})
        dump(config, "audio", trained.path, tmp_path / "encoders", tmp_path / f"states{size}")
        states.append(np.load(tmp_path / f"states{size}" / "states.npy"))
    np.testing.assert_allclose(states[0], states[2], atol=1e-6)
    np.testing.assert_allclose(states[1], states[2], atol=1e-6)


def test_two_dumps_give_the_same_bytes(tmp_path: Path, trained: PreparedCorpus, make_config: Make) -> None:
    for name in ("one", "two"):
        dump(make_config(), "audio", trained.path, tmp_path / "encoders", tmp_path / name)
    for file in ("states.npy", "posteriors.npy", "states.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_absent_modality_is_all_nan(tmp_path: Path, make_config: Make, write_corpus: Write) -> None:
    corpus = write_corpus(tmp_path / "prepared")
    pretrain(make_config(), "text", corpus, tmp_path / "encoders")
    dump(make_config(), "text", corpus, tmp_path / "encoders", tmp_path / "states")
    for name, width in (("states", 10), ("posteriors", 3)):
        values = np.load(tmp_path / "states" / f"{name}.npy")
        assert values.shape == (2, 160, width)
        assert np.isnan(values).all()
    description = read_json(tmp_path / "states" / "states.json")
    assert description["absent"] is True
    assert description["encoder_digests"] == {}


def test_encoders_of_another_modality_are_refused(tmp_path: Path, trained: PreparedCorpus, make_config: Make) -> None:
    with pytest.raises(ModelError, match="modality: expected video, got audio"):
        dump(make_config(), "video", trained.path, tmp_path / "encoders", tmp_path / "states")
    assert not (tmp_path / "states").exists()


def test_a_missing_checkpoint_is_one_line(tmp_path: Path, trained: PreparedCorpus, make_config: Make) -> None:
    (tmp_path / "encoders" / "fold0_seed1.safetensors").unlink()
    with pytest.raises(StaleError, match=r"fold0_seed1.safetensors: no such encoder") as caught:
        dump(make_config(), "audio", trained.path, tmp_path / "encoders", tmp_path / "states")
    assert len(caught.value.faults) == 1
    assert not (tmp_path / "states").exists()


def test_encode_new_clips(tmp_path: Path, trained: PreparedCorpus, make_config: Make) -> None:
    dump(make_config(), "audio", trained.path, tmp_path / "encoders", tmp_path / "states")
    encoder, scaler = load_encoder(tmp_path / "encoders" / "fold0_seed0.safetensors")
    raw = np.array(trained.features["audio"][[5, 3, 90]])
    states, posteriors = encode(encoder, scaler, raw)
    expected = np.load(tmp_path / "states" / "states.npy")[0, [5, 3, 90]]
    np.testing.assert_allclose(states, expected, atol=1e-6)
    np.testing.assert_allclose(posteriors[[0, 2]].sum(1), 1.0, atol=1e-5)
    assert np.isnan(posteriors[1]).all()
    with pytest.raises(ModelError, match=r"expected shape \[n, 12\], got \[3, 11\]"):
        encode(encoder, scaler, raw[:, :-1])


def test_loading_an_encoder_draws_no_weights_and_imports_no_compiler(tmp_path: Path, trained: PreparedCorpus) -> None:
    path = tmp_path / "encoders" / "fold0_seed0.safetensors"
    program = (
        "import sys, torch; from ramer.training.checkpoints import load_encoder\n"
        "before = torch.random.get_rng_state()\n"
        "encoder, _ = load_encoder(sys.argv[1])\n"
        "assert torch.equal(before, torch.random.get_rng_state())\n"
        "assert all(p.isfinite().all() for p in encoder.parameters())\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
