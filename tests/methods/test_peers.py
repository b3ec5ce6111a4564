"""SimMLM, PriMD and ICL-CA: what makes each what it is, and what its control takes away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ramer.methods import Method, method_class, method_options
from ramer.methods.icl_ca import IclCa
from ramer.methods.primd import Primd
from ramer.methods.simmlm import Simmlm, ranking_loss
from ramer.modalities import CONDITIONS, MODALITIES, condition_masks
from ramer.nn.gating import GatedExperts
from ramer.nn.masked import Masked
from ramer.nn.prototypes import PrototypeMemory, dependence
from ramer.retrieval.complete import complete_rows
from ramer.retrieval.structures import Lists, Neighbours
from ramer.training.batches import Batch
from ramer.training.workspace import Workspace
from tests.support.peers import build, data_for, fit, rows_of, training

FEW = training(epochs=3)


def fitted(kind: str, workspace: Workspace, **options: object) -> Method:
    method = build(kind, workspace, FEW, **options)
    fit(method, data_for(kind, workspace))
    return method


def masked(method: Simmlm | Primd, workspace: Workspace, condition: str) -> Masked:
    kind = method.options.type
    return method.masked(rows_of(kind, data_for(kind, workspace), "test").under(condition))


def test_a_gate_weighs_only_the_experts_that_are_there(workspace: Workspace) -> None:
    method = fitted("simmlm", workspace)
    assert isinstance(method, Simmlm)
    network = method.network_
    assert isinstance(network, GatedExperts)
    for condition, mask in zip(CONDITIONS, condition_masks(), strict=True):
        inputs = masked(method, workspace, condition)
        with torch.no_grad():
            gated, own = network(inputs), network.unimodal(inputs)
        some = inputs.available.any(dim=1)
        assert (gated.weights[some][:, ~torch.from_numpy(mask)] == 0).all()
        torch.testing.assert_close(gated.weights.sum(dim=1), torch.ones_like(gated.scores))
        for n in some.nonzero().flatten().tolist():
            expected = sum(gated.weights[n, i] * own[n, i] for i in range(3) if inputs.available[n, i])
            torch.testing.assert_close(gated.scores[n], expected)


def test_more_modalities_are_punished_only_where_they_are_worse() -> None:
    more, fewer = torch.tensor([1.0, 2.0, 0.5]), torch.tensor([1.5, 1.0, 0.1])
    assert ranking_loss(more, fewer).item() == pytest.approx((1.0 + 0.4) / 3)
    assert ranking_loss(fewer, fewer).item() == 0.0


def test_the_ranking_loss_makes_more_modalities_no_worse(workspace: Workspace) -> None:
    worse = {}
    for weight in (0.0, 3.0):
        method = build("simmlm", workspace, training(epochs=8, patience=8), ranking_weight=weight)
        data = data_for("simmlm", workspace)
        fit(method, data)
        rows = rows_of("simmlm", data, "train")
        proba = {c: method.predict_proba(rows.under(c)) for c in CONDITIONS}
        lost = {c: -np.log(p[np.arange(len(rows)), rows.labels]) for c, p in proba.items()}
        pairs = [(m, f) for m in CONDITIONS for f in CONDITIONS if set(f) < set(m)]
        worse[weight] = np.mean([np.clip(lost[m] - lost[f], 0, None).mean() for m, f in pairs])
    assert worse[3.0] < 0.9 * worse[0.0]


def test_a_memory_hands_out_what_a_plain_loop_finds() -> None:
    torch.manual_seed(0)
    memory = PrototypeMemory(width=5, capacity=7, most=3, size=4, temperature=0.5).eval()
    memory.keys.normal_()
    memory.contents.normal_()
    query = torch.randn(4, 5)
    with torch.no_grad():
        found, cost = memory(query, 1)
        for n in range(4):
            logits = memory.key[1](memory.keys[1]) @ memory.query[1](query[n]) / 2.0
            attention = logits.softmax(dim=0)
            best = attention.argsort(descending=True)[:3].tolist()
            chosen = (memory.count[1](query[n]) / 0.5).softmax(dim=0)
            expected, price = torch.zeros(5), 0.0
            for count in (1, 2, 3):
                part = attention[best[:count]]
                mean = (part[:, None] * memory.contents[1][best[:count]]).sum(dim=0) / part.sum()
                expected += chosen[count - 1] * mean
                price += float(chosen[count - 1]) * (np.exp(count / 3) - 1)
            torch.testing.assert_close(found[n], expected)
            assert cost[n].item() == pytest.approx(price, rel=1e-5)


def test_dependence_is_the_trace_of_centred_kernels() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))

    def kernel(v: np.ndarray) -> np.ndarray:
        squared = ((v[:, None] - v[None]) ** 2).sum(axis=2)
        return np.exp(-squared / (2 * np.sort(squared.ravel())[(squared.size - 1) // 2]))  # torch: the lower median

    h = np.eye(40) - 1 / 40
    expected = np.trace(kernel(x) @ h @ kernel(y) @ h) / 39**2
    assert dependence(torch.from_numpy(x), torch.from_numpy(y)).item() == pytest.approx(expected)
    assert dependence(torch.from_numpy(x), torch.from_numpy(x)).item() > 5 * expected
    assert dependence(torch.zeros(1, 3), torch.zeros(1, 3)).item() == 0.0


def memory_of(method: Method) -> PrototypeMemory:
    assert isinstance(method, Primd)
    memory = method.network_.memory
    assert isinstance(memory, PrototypeMemory)
    return memory


def test_controls_spoil_what_is_remembered_and_nothing_else(workspace: Workspace) -> None:
    real, shuffled, empty = (memory_of(fitted("primd", workspace, memory=m)) for m in ("real", "shuffled", "empty"))
    for memory in (shuffled, empty):
        torch.testing.assert_close(memory.keys, real.keys, rtol=0, atol=0)
    torch.testing.assert_close(real.contents, real.keys, rtol=0, atol=0)
    assert (real.contents != 0).any(dim=2).all()
    assert (empty.contents == 0).all()
    for i in range(3):
        before, after = real.contents[i].numpy(), shuffled.contents[i].numpy()
        np.testing.assert_array_equal(np.sort(before, axis=0), np.sort(after, axis=0))
        survived = (np.abs(before[:, None] - after[None]).max(axis=2) < 1e-6).any(axis=1)
        assert survived.mean() < 0.2


def test_the_memory_reaches_only_rows_that_lack_something(workspace: Workspace) -> None:
    method = fitted("primd", workspace)
    batch = rows_of("primd", data_for("primd", workspace), "test")
    whole = batch.under("avt").available.all(axis=1)
    before = {c: method.predict_proba(batch.under(c)) for c in ("avt", "a", "vt")}
    memory_of(method).contents.mul_(-3.0)
    after = {c: method.predict_proba(batch.under(c)) for c in before}
    np.testing.assert_array_equal(after["avt"][whole], before["avt"][whole])
    for condition in ("a", "vt"):
        assert np.abs(after[condition] - before[condition]).max() > 1e-3


@pytest.mark.parametrize(
    ("entry", "deployable"),
    [({"type": "primd"}, True), ({"type": "primd", "memory": "shuffled"}, False),
     ({"type": "primd", "memory": "empty"}, False), ({"type": "icl_ca"}, True),
     ({"type": "icl_ca", "database": "shuffled"}, False), ({"type": "simmlm"}, True)],
)  # fmt: skip
def test_a_control_is_not_for_deployment(entry: dict[str, str], deployable: bool) -> None:
    assert method_class(entry["type"]).deployable_with(method_options("mine", entry)) == deployable


def scores_by_hand(batch: Batch, n: int) -> dict[int, float]:
    """Mean cosine of one query and each complete row of its lists."""
    held = [m for i, m in enumerate(MODALITIES) if batch.available[n, i]]
    near = {int(r) for m in held for r in batch.lists.rows[m][n] if r >= 0}

    def cosine(row: int, modality: str) -> float:
        x, y = batch.states[modality][n], batch.database.states[modality][row]
        return float(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    return {r: float(np.mean([cosine(r, m) for m in held])) for r in near if batch.database.available[r].all()}


def test_complete_rows_equal_a_plain_loop(workspace: Workspace) -> None:
    rows = rows_of("icl_ca", data_for("icl_ca", workspace), "test")
    for condition in ("v", "at", "avt"):
        batch = rows.under(condition)
        found = complete_rows(batch.lists, batch.queries, batch.database, 4)
        for n in range(len(batch)):
            expected = sorted(scores_by_hand(batch, n).items(), key=lambda item: (-item[1], item[0]))[:4]
            got = found.rows[n][found.rows[n] >= 0]
            assert len(got) == len(expected)
            np.testing.assert_allclose(found.scores[n][: len(got)], [s for _, s in expected], atol=1e-5)
            assert set(got) <= set(scores_by_hand(batch, n))


def test_a_context_never_holds_the_row_its_speaker_or_a_held_out_row(workspace: Workspace) -> None:
    method, data = build("icl_ca", workspace), data_for("icl_ca", workspace)
    assert isinstance(method, IclCa)
    groups = data.corpus.groups
    allowed = np.concatenate([data.corpus.rows_in(data.replicate, s) for s in ("train", "pool")])
    for split in ("train", "val", "test"):
        rows = rows_of("icl_ca", data, split)
        for condition in CONDITIONS:
            found = method.found(rows.under(condition))
            assert (found >= 0).any()
            assert np.isin(found[found >= 0], allowed).all()
            for row, near in zip(rows.rows, found, strict=True):
                assert row not in near
                assert groups[row] not in [groups[r] for r in near if r >= 0 and groups[r] is not None]


def without_neighbours(batch: Batch) -> Batch:
    lists = Lists({m: np.full_like(r, -1) for m, r in batch.lists.rows.items()}, batch.lists.scores)
    return replace(batch, neighbours=Neighbours(lists, batch.database))


def test_neighbours_and_their_labels_are_read_and_a_row_can_do_without(workspace: Workspace) -> None:
    told, untold = (fitted("icl_ca", workspace, labels=labels) for labels in (True, False))
    batch = rows_of("icl_ca", data_for("icl_ca", workspace), "test").under("at")
    other = replace(batch.database, labels=np.where(batch.database.labels < 0, -1, 0))
    relabelled = replace(batch, neighbours=Neighbours(batch.lists, other))
    assert not np.array_equal(told.predict_proba(relabelled), told.predict_proba(batch))
    np.testing.assert_array_equal(untold.predict_proba(relabelled), untold.predict_proba(batch))
    for method in (told, untold):
        alone = method.predict_proba(without_neighbours(batch))
        assert np.isfinite(alone).all()
        assert not np.array_equal(alone, method.predict_proba(batch))


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(Exception, match="width 30 must be a multiple of heads 4"):
        method_options("mine", {"type": "icl_ca", "width": 30})
