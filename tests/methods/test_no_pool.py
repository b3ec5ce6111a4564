"""``ramer_plus`` without a pool: ``blend`` where nothing saves enough, and retrieval only where it pays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ramer.config import Training
from ramer.methods import Method, build_method, method_options, ramer_plus
from ramer.methods.shared.fitting import fit_replicate
from ramer.methods.shared.weighing import fit_weights, reliability
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.project import Project
from ramer.training.fitted import Fitted, History
from ramer.training.labelled_rows import LabelledRows
from ramer.training.replicate_data import ReplicateData
from ramer.training.workspace import Workspace

SECTORS = 4  # of each class
PULL = 0.02


def without_pool(root: Path) -> Workspace:
    """The workspace, whose pool rows are nobody's."""
    workspace = Workspace(Project(root))
    codes = workspace.corpus.split_codes
    workspace.corpus.split_codes = np.where(codes == 3, -1, codes)
    return workspace


def with_readable_neighbours(root: Path) -> Workspace:
    """The text names the class, audio lies on a circle whose narrow sectors are of the classes in turn, video is noise.

    What a clip with audio alone is, its neighbours' text says, and neither a line nor a small network that learns from
    a hundred rows.
    """
    workspace = without_pool(root)
    corpus, rng = workspace.corpus, np.random.default_rng(0)
    replicate = corpus.replicates[0]
    labels = np.maximum(corpus.labels(replicate), 0)
    sectors = rng.integers(SECTORS, size=len(labels)) * corpus.classes + labels
    angles = 2 * np.pi * sectors / (SECTORS * corpus.classes)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    said = {"audio": circle, "video": rng.normal(size=(len(labels), 1)), "text": np.eye(corpus.classes)[labels]}
    for m in MODALITIES:
        values = np.zeros((len(labels), corpus.dims[m]))
        values[:, : said[m].shape[1]] = 3 * said[m]
        values += 0.03 * rng.normal(size=values.shape)
        scaler = corpus.scaler(m, replicate)
        corpus.features[m] = (scaler.mean + scaler.std * values).astype(np.float32)
    corpus.available = np.ones_like(corpus.available)
    return workspace


def fit_both(workspace: Workspace, training: Training) -> tuple[list[Method], list[Fitted], ReplicateData]:
    """``ramer_plus`` and ``blend``."""
    data = workspace.replicate(workspace.corpus.replicates[0], frozenset())
    entries = ({"type": "ramer_plus", "k": 2, "pull": PULL}, {"type": "blend"})
    methods = [build_method(method_options("mine", entry), workspace.shape(), training) for entry in entries]
    return methods, [fit_replicate(method, data, History()) for method in methods], data


def rows_of(data: ReplicateData, split: str, method: Method) -> LabelledRows:
    return LabelledRows(data, data.corpus.rows_in(data.replicate, split), method.reads)


def test_where_nothing_saves_more_than_chance_the_method_is_blend_to_the_last_digit(
    workspace_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ramer_plus, "reliability", lambda *given: 0.0)
    (mine, blend), fits, data = fit_both(without_pool(workspace_root), Training(epochs=3))
    test = rows_of(data, "test", mine)
    assert mine.neighbours_of(test.under("t")) is None
    assert not any(name.startswith(("retrieval_distil.", "discriminant.")) for name in mine.tensors())
    np.testing.assert_array_equal(mine.tensors()["weights_"], blend.tensors()["weights_"])
    assert fits[0].val_selection == fits[1].val_selection
    for condition in CONDITIONS:
        found, said = (m.predict_proba(test.under(condition)) for m in (mine, blend))
        np.testing.assert_allclose(found, said, atol=1e-9)


@pytest.mark.slow
def test_where_retrieval_pays_it_joins_with_weights_fitted_on_validation_rows(workspace_root: Path) -> None:
    budget = Training(epochs=40, patience=40, hidden=(16,), dropout=0.0, lr=0.01, batch_size=32)
    (mine, blend), fits, data = fit_both(with_readable_neighbours(workspace_root), budget)
    learnt = mine.tensors()
    assert mine.neighbours_of(rows_of(data, "test", mine).under("a")) is not None
    assert any(name.startswith("retrieval_distil.") for name in learnt)
    assert fits[0].val_selection > fits[1].val_selection
    members = {m: _member(mine, m) for m in ("late_product", "distil", "retrieval_distil", "discriminant")}
    val = rows_of(data, "val", mine)
    said = [np.concatenate([m.predict_proba(val.under(c)) for c in CONDITIONS]) for m in members.values()]
    logs, labels = np.log(np.maximum(np.stack(said), 1e-12)), np.tile(val.labels, len(CONDITIONS))
    fitted, plain = fit_weights(logs, labels, PULL), np.append(blend.tensors()["weights_"], [0.0, 0.0])
    share = reliability(plain, fitted, logs, labels, np.tile(np.arange(len(val)), len(CONDITIONS)))
    assert share > 0
    np.testing.assert_allclose(learnt["weights_"], share * fitted + (1 - share) * plain, atol=1e-9)
    batch = rows_of(data, "test", mine).under("a")
    again = build_method(mine.options, mine.shape, mine.training).take_state(mine.state())
    np.testing.assert_array_equal(again.predict_proba(batch), mine.predict_proba(batch))


def _member(method: Method, name: str) -> Method:
    """A member of a ``ramer_plus`` by its own part of the checkpoint."""
    own = {key.removeprefix(f"{name}."): a for key, a in method.state().items() if key.startswith(f"{name}.")}
    options = {"type": name} | ({"k": 2} if name == "retrieval_distil" else {})
    return build_method(method_options("member", options), method.shape, method.training).take_state(own)


def test_a_database_is_read_by_the_fitted_model_that_retrieves(workspace_root: Path) -> None:
    (mine, _), _, _ = fit_both(without_pool(workspace_root), Training(epochs=1, hidden=(16,)))
    assert not any(name.startswith("retrieval_distil.") for name in mine.tensors())
    assert not mine.reads_database
    entries = ({"type": "retrieval_distil", "fill": "ridge"}, {"type": "retrieval_distil"}, {"type": "ramer"})
    made = [build_method(method_options("mine", entry), mine.shape, mine.training) for entry in entries]
    assert [method.reads_database for method in made] == [False, True, True]
    drawing = build_method(method_options("mine", {"type": "random_neighbours"}), mine.shape, mine.training)
    assert drawing.reads_database
