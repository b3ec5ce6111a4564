"""Every method that trains with epochs, ended in the middle and gone on with, learns what an undisturbed one learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ramer.methods import Method, build_method, method_options
from ramer.methods.shared.fitting import fit_replicate
from ramer.training.epochs import EpochLoop, Line
from ramer.training.fitted import History
from ramer.training.savepoints import NOTHING_KEPT, Savepoints
from ramer.training.workspace import Workspace
from tests.support.entries import ENTRIES, TRAINING, TYPES, data_for


class EndedError(Exception):
    """In place of SIGKILL, which would end the tests as well."""


class Ending:
    """Counts epochs, and ends the process at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.epochs, self.last = 0, -1
        real = EpochLoop.end

        def end(loop: EpochLoop, line: Line, score: float, loss: float = 0.0) -> None:
            if self.epochs == self.last:
                raise EndedError
            self.epochs += 1
            real(loop, line, score, loss)

        monkeypatch.setattr(EpochLoop, "end", end)


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch) -> Ending:
    return Ending(monkeypatch)


def learnt(kind: str, workspace: Workspace, savepoints: Savepoints = NOTHING_KEPT) -> tuple[Method, History]:
    method, history = build_method(method_options("mine", ENTRIES[kind]), workspace.shape(), TRAINING), History()
    fit_replicate(method, data_for(kind, workspace), history, savepoints)
    return method, history


@pytest.mark.parametrize("kind", TYPES)
def test_a_training_that_is_ended_twice_learns_the_same(
    kind: str, workspace: Workspace, tmp_path: Path, ending: Ending, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    whole, history = learnt(kind, workspace)
    total = ending.epochs
    part = max(1, total // 2 - 1)  # in the middle of trainings, of four epochs each, the last one among them
    savepoints = Savepoints("mine", tmp_path, interval=0.0)
    for _ in range(2 if total else 0):
        # As a new process would have it: nothing of torch's generators is left.
        torch.manual_seed(0)
        ending.epochs, ending.last = 0, part
        with pytest.raises(EndedError):
            learnt(kind, workspace, savepoints)
    ending.epochs, ending.last = 0, -1
    torch.manual_seed(1)
    method, again = learnt(kind, workspace, savepoints)
    assert again.lines == history.lines
    state, wanted = method.state(), whole.state()
    assert state.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)
    if total:
        assert ending.epochs == total - 2 * part, "an epoch was trained again, or left out"
        assert "resumed after epoch" in caplog.text
