"""Encoders inside ``ramer``: what a live search may find, what trains, which keys it meets."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ramer.errors import ConfigError, ModelError, StaleError
from ramer.files import read_json, write_json
from ramer.methods import method_options
from ramer.methods.ramer import Ramer
from ramer.methods.shared.finetuning import TunedHead
from ramer.methods.shared.fusing import FrozenHead
from ramer.methods.shared.live import LiveEncoders, encode_batch, live_lists, masked_again, rebuilt
from ramer.modalities import CONDITIONS, MODALITIES, condition_masks
from ramer.project import Project
from ramer.retrieval.aggregation import weigh
from ramer.retrieval.states import l2_normalise
from ramer.retrieval.structures import Lists
from ramer.training.batches import Batch
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.replicate_data import ReplicateData
from ramer.training.workspace import Workspace
from tests.support.peers import build, data_for, fit, training
from tests.support.tiny_workspace import ENCODER, build_workspace, tiny_config

TUNED: dict[str, Any] = {"encoder": "finetune", "encoder_lr": 0.01}


def make(workspace: Workspace, epochs: int = 3, **options: Any) -> tuple[Ramer, ReplicateData]:
    method = build("ramer", workspace, training(epochs=epochs), **options)
    assert isinstance(method, Ramer)
    return method, data_for("ramer", workspace)


def rows_of(method: Ramer, data: ReplicateData, *splits: str) -> LabelledRows:
    return LabelledRows(data, data.corpus.rows_in(data.replicate, *splits), method.reads)


@pytest.fixture(scope="module")
def tuned(workspace: Workspace) -> tuple[Ramer, ReplicateData]:
    method, data = make(workspace, rebuild_every=2, **TUNED)
    fit(method, data)
    return method, data


def seen(method: Ramer, batch: Batch) -> Batch:
    return method.head_.see(batch)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_live_search_finds_neither_itself_nor_its_speaker_nor_held_out_rows(
    split: str, tuned: tuple[Ramer, ReplicateData]
) -> None:
    method, data = tuned
    batch = seen(method, rows_of(method, data, split).under("avt"))
    held_out = data.corpus.rows_in(data.replicate, "val", "test")
    groups = data.corpus.groups
    for i, m in enumerate(MODALITIES):
        near = batch.lists.rows[m]
        assert (near[batch.available[:, i], 0] >= 0).all()
        assert not (near == batch.rows[:, None]).any()
        assert not np.isin(near, held_out).any()
        same = (groups[np.maximum(near, 0)] == groups[batch.rows, None]) & (near >= 0) & (groups[batch.rows, None] >= 0)
        assert not same.any()
        assert (near[~batch.available[:, i]] == -1).all()


def test_training_searches_with_the_same_exclusions(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lists that steps of training see, caught where they are made."""
    from ramer.methods.shared import finetuning

    method, data = make(workspace, epochs=2, **TUNED)
    groups = data.corpus.groups
    caught: list[tuple[np.ndarray, Lists]] = []

    def watching(*given: Any) -> Lists:
        lists = live_lists(*given)
        caught.append((given[3], lists))
        return lists

    monkeypatch.setattr(finetuning, "live_lists", watching)
    fit(method, data)
    train = data.corpus.rows_in(data.replicate, "train")
    steps = [(rows, lists) for rows, lists in caught if np.isin(rows, train).all()]
    assert len(steps) >= 2
    for rows, lists in steps:
        for near in lists.rows.values():
            found = near >= 0
            own = groups[np.maximum(near, 0)] == groups[rows][:, None]
            assert not (own & found & (groups[rows] >= 0)[:, None]).any()
            assert not ((near == np.asarray(rows)[:, None]) & found).any()


def test_untrained_encoders_find_what_the_stages_found(workspace: Workspace) -> None:
    """Before any step, live states and live lists are those that dump and retrieve wrote."""
    method, data = make(workspace, **TUNED)
    encoders, _ = LiveEncoders.pretrained(TrainingBatch(data, method.reads))
    batch = rows_of(method, data, "train", "test").under("avt")
    states = encode_batch(encoders.eval(), batch, "cpu")
    lists = live_lists(batch.database, states, batch.available, batch.rows, batch.lists.width)
    anew = rebuilt(batch.database, encoders, "cpu")
    again = live_lists(anew, states, batch.available, batch.rows, batch.lists.width)
    for m in MODALITIES:
        np.testing.assert_allclose(states[m], batch.states[m], atol=1e-5)
        for found in (lists, again):
            np.testing.assert_allclose(found.scores[m], batch.lists.scores[m], atol=1e-4)
            assert (found.rows[m] == batch.lists.rows[m]).mean() > 0.98  # ties may fall the other way


@pytest.mark.parametrize("rebuild_every", [0, 1])
def test_encoders_train_and_keys_follow_the_rule(rebuild_every: int, workspace: Workspace) -> None:
    method, data = make(workspace, rebuild_every=rebuild_every, **TUNED)
    fit(method, data)
    assert isinstance(method.head_, TunedHead)
    before, _ = LiveEncoders.pretrained(TrainingBatch(data, method.reads))
    after, keys = method.head_.tuned.encoders, method.head_.tuned.keys
    for m in MODALITIES:
        first, last = before[m].state_dict(), after[m].state_dict()
        assert any(not torch.equal(first[n], last[n]) for n in first)
    batch = rows_of(method, data, "test").under("at")
    live = seen(method, batch).database
    assert live is not None
    if rebuild_every == 0:
        assert keys is None
        assert live is batch.database
    else:
        assert keys is not None
        assert not np.allclose(np.nan_to_num(live.states["audio"]), np.nan_to_num(batch.database.states["audio"]))
        held = np.flatnonzero(batch.database.available[:, 0])
        assert live.live is not None
        expected = keys.states("audio", live.live.features["audio"][held], "cpu")
        np.testing.assert_allclose(live.states["audio"][held], expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["residual", "transformer"])
def test_both_kinds_learn_and_what_a_residual_encoder_stands_on_stays(kind: str, tmp_path: Path) -> None:
    encoders = {m: ENCODER | {"kind": kind} for m in MODALITIES}
    workspace = build_workspace(tiny_config({"prior": {"type": "prior"}}, pretrain=encoders), tmp_path)
    method, data = make(workspace, **TUNED)
    fit(method, data)
    before, _ = LiveEncoders.pretrained(TrainingBatch(data, method.reads))
    assert method.encoders_ is not None
    after = method.encoders_.state_dict()
    moved = {name for name, tensor in before.state_dict().items() if not torch.equal(tensor, after[name])}
    frozen = {name for name, _ in before.named_buffers()}
    assert {f"{m}.to_hidden.weight" for m in MODALITIES} <= moved
    assert not moved & frozen
    assert bool(frozen) == (kind == "residual")
    restored, _ = make(workspace, **TUNED)
    restored.description_ = method.description_
    batch = rows_of(method, data, "test").under("a")
    np.testing.assert_array_equal(restored.take_state(method.state()).predict_proba(batch), method.predict_proba(batch))


def test_a_whole_batch_masked_again_predicts_as_a_masked_one(tuned: tuple[Ramer, ReplicateData]) -> None:
    """Validation sees every row once and masks the states: what it selects by is what prediction gives."""
    method, data = tuned
    assert isinstance(method.head_, TunedHead)
    test = rows_of(method, data, "test")
    whole = seen(method, test.under("avt"))
    for condition, mask in zip(CONDITIONS, condition_masks(), strict=True):
        again = method.head_.decide(masked_again(whole, mask))
        np.testing.assert_allclose(again, method.posterior(test.under(condition)), atol=1e-5, err_msg=condition)


def test_retrieved_features_go_through_the_encoder(workspace: Workspace) -> None:
    method, data = make(workspace, retrieve="features")
    fit(method, data)
    assert method.encoders_ is not None
    batch = rows_of(method, data, "test").under("v")
    assert batch.database.live is not None
    assert isinstance(method.head_, FrozenHead)
    near = method.neighbours_of(batch)
    filled = method.head_.stand_ins.fill(near, batch.database)
    weights = weigh(near.scores, method.rules)
    for i in (0, 2):
        m = MODALITIES[i]
        for n in np.flatnonzero(near.retrieved[:, i])[:10]:
            used = near.rows[n, i] >= 0
            features = batch.database.live.features[m][near.rows[n, i][used]]
            mean = (weights[n, i][used, None] * features).sum(axis=0, keepdims=True).astype(np.float32)
            expected = l2_normalise(method.encoders_.states(m, mean, "cpu"))[0]
            np.testing.assert_allclose(filled.states[m][n], expected, atol=1e-5)
    assert not filled.states["audio"][~near.retrieved[:, 0]].any()


def test_encoders_or_indexes_of_another_run_are_refused(
    workspace: Workspace, workspace_root: Path, tmp_path: Path
) -> None:
    corpus, replicate = workspace.corpus, workspace.corpus.replicates[0]
    neighbours = workspace.neighbours
    with pytest.raises(ModelError, match="needs the project's encoders and indexes"):
        fit(make(workspace, **TUNED)[0], ReplicateData(corpus, replicate, workspace.states, neighbours))
    here, other = Project(workspace_root), Project(tmp_path)
    elsewhere = ReplicateData(corpus, replicate, workspace.states, neighbours, other)
    with pytest.raises(StaleError, match="not the encoder that made "):
        fit(make(workspace, **TUNED)[0], elsewhere)
    shutil.copytree(here.all_encoders, other.all_encoders)
    with pytest.raises(StaleError, match="no such file"):
        fit(make(workspace, **TUNED)[0], elsewhere)
    shutil.copytree(here.all_indexes, other.all_indexes)
    sidecar = other.index("audio", replicate.name).with_suffix(".json")
    write_json(sidecar, read_json(sidecar) | {"encoder_digest": "other"})
    with pytest.raises(StaleError, match=r"encoder_digest: expected .* got other"):
        fit(make(workspace, **TUNED)[0], elsewhere)


@pytest.mark.parametrize(
    "options",
    [
        {"retrieve": "features", "aggregate": "sum"},
        {"retrieve": "features", "aggregate": "attention"},
        {"rebuild_every": 3},
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml: methods\.mine: .* needs "):
        method_options("mine", {"type": "ramer"} | options)
