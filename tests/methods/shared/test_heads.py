"""What heads are fed, and that they are fed the same from a memory of neighbours as from a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ramer.methods.shared.finding import RuleFinder
from ramer.methods.shared.fusing import FrozenHead, HeadSettings, MeanStates
from ramer.methods.shared.heads import AttendedInputs, FusedInputs, fusion_width
from ramer.methods.shared.imputing import Filled, fuse, own_states
from ramer.modalities import CONDITIONS, FULL_CONDITION, MODALITIES
from ramer.retrieval.structures import Rules
from ramer.training.batches import Batch
from ramer.training.workspace import ModelShape, Workspace
from tests.support.peers import build as build_method
from tests.support.peers import data_for, fit, rows_of, training


def settings(workspace: Workspace, attends: bool, normalize: bool = True) -> HeadSettings:
    return HeadSettings(workspace.shape(), training(), "cpu", Rules(3), attends, normalize)


def frozen(workspace: Workspace, attends: bool) -> FrozenHead:
    made = settings(workspace, attends)
    head = FrozenHead(made, RuleFinder(made.rules), MeanStates(made.rules))
    torch.manual_seed(0)
    head.head = made.new_head().eval()
    return head


def batches(workspace: Workspace) -> dict[str, Batch]:
    rows = rows_of("ramer", data_for("ramer", workspace), "test")
    return {c: rows.under(c) for c in CONDITIONS}


def test_own_states_are_zero_where_nothing_is_available() -> None:
    states = {m: np.array([[3.0, 4.0], [np.nan, np.nan]], dtype=np.float32) for m in MODALITIES}
    batch = Batch(np.array([0, 1]), np.array([[True] * 3, [False] * 3]), states=states)
    for m in MODALITIES:
        np.testing.assert_allclose(own_states(batch)[m], np.array([[0.6, 0.8], [0, 0]]))
        np.testing.assert_allclose(own_states(batch, normalize=False)[m], np.array([[3, 4], [0, 0]]))


def test_a_fused_row_holds_own_states_stand_ins_and_bits() -> None:
    own = {m: np.full((1, 2), 1.0, dtype=np.float32) for m in MODALITIES}
    filled = Filled({m: np.full((1, 2), 9.0, dtype=np.float32) for m in MODALITIES}, np.array([[True, True, False]]))
    batch = Batch(np.array([-1]), np.array([[True, False, False]]))
    assert fuse(batch, own, filled).tolist() == [[1, 1, 9, 9, 9, 9, 1, 0, 0, 0, 1, 0]]


def test_the_width_of_a_fusion_head() -> None:
    dims = dict(zip(MODALITIES, (3, 0, 5), strict=True))
    assert fusion_width(ModelShape(dims, dims, ("a", "b"))) == 3 + 5 + 6


@pytest.mark.parametrize("attends", [False, True])
def test_inputs_computed_once_give_what_a_batch_gives(attends: bool, workspace: Workspace) -> None:
    head, under = frozen(workspace, attends), batches(workspace)
    found = {c: head.finder.find(batch) for c, batch in under.items()}
    if attends:
        own = {c: head.settings.own(batch) for c, batch in under.items()}
        inputs: AttendedInputs | FusedInputs = AttendedInputs(under, own, found, True, "cpu")
    else:
        inputs = FusedInputs(np.stack([head.fused(batch, found[c]) for c, batch in under.items()]), "cpu")
    with torch.inference_mode():
        scores = inputs.scores(head.head)
        some = torch.tensor([4, 0, 2])
        for number, (condition, batch) in enumerate(under.items()):
            proba = torch.from_numpy(scores[condition]).double().softmax(dim=1).numpy()
            np.testing.assert_allclose(proba, head.posterior(batch), atol=1e-5)
            part = head.head(inputs.at(some, torch.full((3,), number)))
            np.testing.assert_allclose(part.numpy(), scores[condition][some.numpy()], atol=1e-5)


def test_a_head_that_attends_has_no_layers_to_stack(workspace: Workspace) -> None:
    assert frozen(workspace, attends=False).layers is not None
    with pytest.raises(ValueError, match="does not attend"):
        _ = frozen(workspace, attends=True).layers


def test_stand_ins_are_of_unit_length_where_something_was_found(workspace: Workspace) -> None:
    batch = batches(workspace)["v"]
    rules = Rules(3)
    near = RuleFinder(rules).find(batch)
    filled = MeanStates(rules).fill(near, batch.database)
    for i, m in enumerate(MODALITIES):
        length = np.linalg.norm(filled.states[m], axis=1)
        np.testing.assert_allclose(length, near.retrieved[:, i], atol=1e-5)


def test_a_stack_of_heads_is_each_head(workspace: Workspace) -> None:
    method = build_method("ramer", workspace)
    fit(method, data_for("ramer", workspace))
    batch = batches(workspace)["a"].take(np.arange(3))
    whole = batches(workspace)[FULL_CONDITION]
    states = {m: np.stack([s, s]) for m, s in whole.database.states.items()}
    stacked = type(method).stack([method, method], [whole.database] * 2, states)
    assert stacked is not None
    asked = {m: np.stack([s, s]) for m, s in batch.states.items()}
    said = stacked.predict(asked, batch.available, [batch.lists] * 2)
    for proba in said.probabilities:
        np.testing.assert_allclose(proba, method.predict_proba(batch), atol=1e-6)
    near = method.neighbours_of(batch)
    assert near is not None
    np.testing.assert_array_equal(said.selected.rows, near.rows)
