"""``ramer`` that searches by keys of its own: the same database and the same controls, other keys."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ramer.config import Searched
from ramer.errors import ConfigError, ModelError, RetrievalError
from ramer.methods import Method, method_options
from ramer.methods.shared.own_keys import restored_space
from ramer.methods.shared.pool_curve import predict_by_pool
from ramer.methods.shared.ramer_options import RamerOptions
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.project import Project
from ramer.retrieval.indexes import SCOPES
from ramer.retrieval.structures import Selected
from ramer.training.labelled_rows import LabelledRows, TrainingBatch
from ramer.training.replicate_data import ReplicateData
from ramer.training.workspace import Workspace
from ramer.tuning.spaces import space_of
from tests.support.peers import build, fit, training

K = 60  # more than the lists of the workspace are wide, so that a query meets most of the database


def data_of(workspace: Workspace, **retrieval: str) -> ReplicateData:
    """A replicate's data as with other settings of ``retrieval``; nobody reads the lists themselves."""
    tables = {m: replace(t, info=t.info.model_copy(update=retrieval)) for m, t in workspace.neighbours.items()}
    return ReplicateData(workspace.corpus, workspace.corpus.replicates[0], workspace.states, tables)


def fitted(data: ReplicateData, workspace: Workspace, **options: object) -> Method:
    method = build("ramer", workspace, training(epochs=2), **{"keys": "learned", "tau": 0.1} | options)
    fit(method, data)
    return method


def rows_of(data: ReplicateData, method: Method) -> list[LabelledRows]:
    """Training rows, then validation and test rows."""
    others = [data.corpus.rows_in(data.replicate, split) for split in ("val", "test")]
    return [TrainingBatch(data, method.reads), *(LabelledRows(data, rows, method.reads) for rows in others)]


def neighbours(method: Method, rows: LabelledRows, condition: str) -> Selected:
    found = method.neighbours_of(rows.under(condition))
    assert found is not None
    return found


@pytest.mark.parametrize("keys", ["learned", "features"])
@pytest.mark.parametrize("scope", SCOPES)
def test_only_rows_of_the_scope_and_of_other_speakers_are_found(workspace: Workspace, scope: str, keys: str) -> None:
    data = data_of(workspace, scope=scope)
    method, corpus = fitted(data, workspace, keys=keys, k=K), data.corpus
    allowed = corpus.rows_in(data.replicate, *SCOPES[scope])
    met: set[int] = set()
    for rows in rows_of(data, method):
        for condition in CONDITIONS:
            near = neighbours(method, rows, condition)
            query, target, rank = np.nonzero(near.rows >= 0)
            found, asking = near.rows[query, target, rank], rows.rows[query]
            assert np.isin(found, allowed).all()
            assert (found != asking).all()
            assert not ((corpus.groups[found] == corpus.groups[asking]) & (corpus.groups[asking] >= 0)).any()
            assert corpus.available[found, target].all()
            assert not rows.under(condition).available[query, target].any()
            met |= set(found.tolist())
    for part in SCOPES[scope]:
        assert met & set(corpus.rows_in(data.replicate, part).tolist())


def test_a_row_that_excludes_itself_alone_meets_its_speaker(workspace: Workspace) -> None:
    data = data_of(workspace, exclude="self")
    method = fitted(data, workspace, k=K)
    train = TrainingBatch(data, method.reads)
    near = neighbours(method, train, "a")
    query, target, rank = np.nonzero(near.rows >= 0)
    found, asking = near.rows[query, target, rank], train.rows[query]
    assert (found != asking).all()
    assert (data.corpus.groups[found] == data.corpus.groups[asking]).any()


def _keys(learnt: dict[str, np.ndarray], features: dict[str, np.ndarray], held: np.ndarray) -> np.ndarray:
    """One row's key by its definition: the sum of what each modality's network says, each of length 1."""
    total = np.zeros(64)
    for i, m in enumerate(MODALITIES):
        if held[i]:
            hidden = np.maximum(learnt[f"keys_.{m}.0.weight"] @ features[m] + learnt[f"keys_.{m}.0.bias"], 0)
            said = learnt[f"keys_.{m}.3.weight"] @ hidden + learnt[f"keys_.{m}.3.bias"]
            total += said / np.linalg.norm(said)
    return total / np.linalg.norm(total)


@pytest.mark.parametrize("condition", ["v", "at"])
def test_neighbours_are_the_nearest_by_what_all_that_a_row_holds_says(workspace: Workspace, condition: str) -> None:
    data = data_of(workspace)
    method = fitted(data, workspace, k=4)
    test = rows_of(data, method)[2]
    batch, near, learnt = test.under(condition), neighbours(method, test, condition), method.tensors()
    database = data.database_for(method.reads)
    known = np.flatnonzero(database.available.any(axis=1))
    table = {m: v[known] for m, v in database.live_search.features.items()}
    keys = [_keys(learnt, {m: v[j] for m, v in table.items()}, database.available[r]) for j, r in enumerate(known)]
    for n in np.flatnonzero(batch.available.any(axis=1))[:20]:
        asked = _keys(learnt, {m: v[n] for m, v in batch.features.items()}, batch.available[n])
        order = known[np.argsort([-float(asked @ key) for key in keys], kind="stable")]
        order = order[data.corpus.groups[order] != data.corpus.groups[test.rows[n]]]
        for i in np.flatnonzero(~batch.available[n]):
            expected = [r for r in order if database.available[r, i]][:4]
            assert near.rows[n, i].tolist() == expected


def test_a_shuffled_database_is_searched_by_the_same_keys_and_lends_other_rows(workspace: Workspace) -> None:
    data = data_of(workspace)
    real, shuffled = fitted(data, workspace), fitted(data, workspace, database="shuffled")
    learnt = {name: a for name, a in real.tensors().items() if name.startswith("keys_.")}
    assert learnt
    for name, array in learnt.items():
        np.testing.assert_array_equal(shuffled.tensors()[name], array)
    one, other = (neighbours(method, rows_of(data, method)[2], "t") for method in (real, shuffled))
    np.testing.assert_array_equal(one.scores, other.scores)
    used = one.rows >= 0
    assert (one.rows[used] != other.rows[used]).all()


def test_the_pool_teaches_the_keys_whatever_may_be_found(workspace: Workspace, workspace_root: Path) -> None:
    data = data_of(workspace, scope="train")
    before = fitted(data, workspace).tensors()
    pool = data.corpus.rows_in(data.replicate, "pool")
    spoilt = Workspace(Project(workspace_root))
    for m in MODALITIES:
        table = np.array(spoilt.corpus.features[m])
        table[pool] = 3 - 2 * table[pool]
        spoilt.corpus.features[m] = table
    after = fitted(data_of(spoilt, scope="train"), spoilt).tensors()
    assert not np.array_equal(before["keys_.audio.0.weight"], after["keys_.audio.0.weight"])


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("encoder", "finetune"),
        ("rerank", "learned"),
        ("bimodal", "calibrated"),
        ("bimodal", "kth_score"),
        ("drop_first", True),
        ("normalize_query", False),
    ],
)
def test_rules_of_lists_are_refused_in_one_line(option: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        method_options("mine", {"type": "ramer", "keys": "learned", option: value})
    (line,) = caught.value.faults
    assert "methods.mine" in line
    assert f"keys: learned goes without {option}: {str(value).lower()}" in line


def test_k_needs_no_list_of_that_width_but_a_database_that_has_so_many_rows() -> None:
    options = RamerOptions(type="ramer", keys="learned", k=30)
    options.check_k("mine", 20, 30)
    with pytest.raises(RetrievalError, match=r"methods\.mine\.k: 30 needs a database of at least 30 rows"):
        options.check_k("mine", 20, 29)


def test_a_pool_that_may_be_found_has_a_curve(workspace: Workspace) -> None:
    data = data_of(workspace)
    method = fitted(data, workspace)
    test = rows_of(data, method)[2]
    grown = predict_by_pool(method, test, (0,))
    assert grown is not None
    columns = [c for c in grown.columns if c.startswith("p/")]
    whole, least = (grown[(grown["pool"] == size) & ~grown["shuffled"]] for size in (grown["pool"].max(), 0))
    said = np.concatenate([method.predict_proba(test.under(c)) for c in CONDITIONS])
    np.testing.assert_allclose(whole[columns].to_numpy(), said, atol=1e-6)
    assert not np.allclose(least[columns].to_numpy(), said, atol=1e-4)
    hidden = data_of(workspace, scope="train")
    assert predict_by_pool(method, rows_of(hidden, method)[2], (0,)) is None


def test_a_search_leaves_out_what_such_keys_make_meaningless() -> None:
    by_states, by_keys = (space_of(RamerOptions(type="ramer", keys=keys), 20) for keys in ("states", "learned"))
    assert by_states.keys() - by_keys.keys() == {"rerank", "bimodal"}
    assert [space["k"].high for space in (by_states, by_keys) if isinstance(space["k"], Searched)] == [20, 40]


def test_a_checkpoint_without_its_learned_keys_is_refused() -> None:
    with pytest.raises(ModelError, match="lacks keys_"):
        restored_space(True, {"audio": 3}, {}, "cpu")
