"""The budget of heads."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from ramer.config import Runtime, Training
from ramer.errors import DivergedError
from ramer.methods import method_options
from ramer.methods.shared.fitting import fit_method
from ramer.training.epochs import EpochLoop
from ramer.training.loop import LEAST_STEPS, rows_per_step
from ramer.training.savepoints import NOTHING_KEPT
from ramer.training.workspace import Workspace


@pytest.mark.parametrize("rows", [1, 2, 5, 100, 200, 762, 763, 5000])
def test_an_epoch_on_few_rows_has_steps_enough(rows: int) -> None:
    size = rows_per_step(rows, Training(batch_size=128))
    steps = math.ceil(rows / size)
    assert 1 <= size <= 128
    assert steps >= min(rows, LEAST_STEPS - 1)
    assert rows < 763 or size == 128


@pytest.mark.parametrize("spoilt", ["loss", "weights"])
def test_no_weights_come_of_numbers_that_are_none(spoilt: str) -> None:
    module = nn.Linear(2, 1)
    loop = EpochLoop(module, [], np.random.default_rng(0), range(5, 9), 2, NOTHING_KEPT.at(""))

    def train() -> None:
        for epoch in loop:
            if epoch == 6 and spoilt == "weights":
                nn.init.constant_(module.bias, math.inf)
            loss = loop.checked(math.nan if epoch == 6 and spoilt == "loss" else 1.0)
            loop.end({"loss": loss}, score=-abs(epoch - 6.0))

    with pytest.raises(DivergedError, match=r"^epoch 6: (the training loss is nan|weights bias are not all finite)"):
        train()


def test_a_training_that_diverges_names_itself_and_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    training = Training(hidden=(16,), epochs=3, batch_size=32, lr=1e30)
    options = method_options("mine", {"type": "zero_fill"})
    with pytest.raises(DivergedError, match=r"^params\.yaml: methods\.mine: fold0_seed0: epoch \d: ") as refused:
        fit_method("mine", options, workspace, training, Runtime(threads=1, device="cpu"), tmp_path / "mine")
    assert len(refused.value.faults) == 1
    assert not (tmp_path / "mine").exists()
