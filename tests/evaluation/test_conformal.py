"""Sets hold the true class as often as asked for every set of modalities, and answers are wrong as seldom as asked."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ramer.errors import ModelError, RamerError
from ramer.evaluation.conformal import judge, least_confidence, risk_bound, rows_needed
from ramer.evaluation.conformal_record import MOST_ROWS, ConformalScores, PatternScores, conformal_scores
from ramer.modalities import CONDITIONS

CLASSES, DRAWS, ROWS, COVERAGE = 5, 200, 60, 0.9
# How well a set of modalities tells the classes apart: from hardly to almost surely.
CLARITY = dict(zip(CONDITIONS, (0.2, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0), strict=True))


def drawn(rng: np.random.Generator, clarity: float, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that say more than they should, and labels: whatever they are worth, the rows are exchangeable."""
    labels = rng.integers(CLASSES, size=rows)
    logits = rng.normal(size=(rows, CLASSES))
    logits[np.arange(rows), labels] += clarity
    powers = np.exp(2.0 * logits)
    return powers / powers.sum(axis=1, keepdims=True), labels


def scores(proba: np.ndarray, labels: np.ndarray) -> PatternScores:
    truth = proba[np.arange(len(labels)), labels]
    return PatternScores(
        truth=tuple(truth.tolist()),
        confidence=tuple(proba.max(axis=1).tolist()),
        right=tuple((proba.argmax(axis=1) == labels).tolist()),
    )


def joined(parts: list[PatternScores]) -> PatternScores:
    return PatternScores(
        truth=sum((p.truth for p in parts), ()),
        confidence=sum((p.confidence for p in parts), ()),
        right=sum((p.right for p in parts), ()),
    )


def covered(pooled: bool) -> dict[str, float]:
    """Share of new clips whose set holds the truth, by what they hold, over all draws."""
    hits = dict.fromkeys(CONDITIONS, 0)
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        known = {c: scores(*drawn(rng, clarity, ROWS)) for c, clarity in CLARITY.items()}
        if pooled:
            known = dict.fromkeys(CONDITIONS, joined(list(known.values())))
        for c, clarity in CLARITY.items():
            proba, labels = drawn(rng, clarity, ROWS)
            members = judge(known, proba, [c] * ROWS, coverage=COVERAGE).members
            assert members is not None
            hits[c] += int(members[np.arange(ROWS), labels].sum())
    return {c: found / (DRAWS * ROWS) for c, found in hits.items()}


def test_coverage_holds_for_every_set_of_modalities_and_pooling_them_would_not_hold_it() -> None:
    # Of one draw the share varies as a beta law of its ROWS calibration rows, and with its ROWS clips.
    spread = math.sqrt(COVERAGE * (1 - COVERAGE) * (1 / ROWS + 1 / (ROWS + 2)) / DRAWS)
    own = covered(pooled=False)
    for condition, share in own.items():
        assert share >= COVERAGE - 3 * spread, condition
        # Exact is at most 1 / (n + 1) above; the most probable class, never left out, adds where classes are clear.
        if CLARITY[condition] < 2:
            assert share <= COVERAGE + 1 / (ROWS + 1) + 3 * spread, condition
    together = covered(pooled=True)
    assert min(together.values()) < COVERAGE - 10 * spread
    assert max(together.values()) > COVERAGE + 10 * spread


def test_too_few_rows_give_the_whole_set_and_say_so() -> None:
    rng = np.random.default_rng(0)
    known = {"a": scores(*drawn(rng, 5.0, rows_needed(0.9) - 1)), "t": scores(*drawn(rng, 5.0, rows_needed(0.9)))}
    proba, _ = drawn(rng, 5.0, 4)
    said = judge(known, proba, ["a", "t", "v", ""], coverage=0.9)
    assert said.members is not None
    assert said.members.sum(axis=1).tolist()[0] == CLASSES
    assert said.members.sum(axis=1).tolist()[2:] == [CLASSES, CLASSES]
    assert said.members.sum(axis=1).tolist()[1] < CLASSES
    assert list(said.notes) == [
        "a: 8 validation rows, expected 9 for 0.9: sets hold all classes",
        "v: 0 validation rows, expected 9 for 0.9: sets hold all classes",
    ]


def test_answers_are_wrong_no_more_often_than_asked() -> None:
    risk, rows, broken, given = 0.2, 400, 0, 0
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        known = {"a": scores(*drawn(rng, 1.5, rows))}
        proba, labels = drawn(rng, 1.5, 4000)
        answered = judge(known, proba, ["a"] * len(proba), risk=risk).answered
        assert answered is not None
        wrong = proba.argmax(axis=1) != labels
        given += int(answered.sum())
        broken += bool(answered.any() and wrong[answered].mean() > risk)
    assert broken / DRAWS <= 0.1
    assert given > 0.2 * DRAWS * 4000  # it is not silent altogether
    assert wrong.mean() > risk  # nor is every answer good enough


def test_no_answer_where_none_can_be_good_enough() -> None:
    said = judge({"a": scores(*drawn(np.random.default_rng(0), 0.0, 200))}, np.eye(CLASSES), ["a"] * CLASSES, risk=0.1)
    assert said.answered is not None
    assert not said.answered.any()
    assert said.notes == ("a: no confidence at which at most 0.1 of the answers would be wrong: none is given",)
    assert least_confidence(None, 0.5) == math.inf


def test_the_bound_of_a_risk_is_the_binomial_one() -> None:
    for wrong, answers in ((0, 10), (3, 20), (19, 20), (50, 400)):
        bound = risk_bound(wrong, answers, 0.05)
        chance = sum(math.comb(answers, k) * bound**k * (1 - bound) ** (answers - k) for k in range(wrong + 1))
        assert chance == pytest.approx(0.05, abs=1e-6)
    assert risk_bound(5, 5, 0.05) == 1.0


@pytest.mark.parametrize("given", [{"coverage": 0.0}, {"coverage": 1.5}, {"risk": -1.0}, {"risk": math.nan}])
def test_what_is_no_share_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(RamerError, match="expected a share between 0 and 1"):
        judge({}, np.zeros((0, CLASSES)), [], **given)


def table(rows: int, folds: int, seeds: int) -> pd.DataFrame:
    rng, lines = np.random.default_rng(0), []
    for fold in range(folds):
        for seed in range(seeds):
            for condition in CONDITIONS:
                proba = rng.dirichlet(np.ones(2), size=rows)
                for row in range(rows):
                    labels = {"label": "joy" if row % 2 else "calm", "p/joy": proba[row, 0], "p/calm": proba[row, 1]}
                    lines.append({"id": f"{fold}x{row}", "fold": fold, "seed": seed, "condition": condition} | labels)
    return pd.DataFrame(lines)


def test_scores_are_means_over_seeds_and_a_row_counts_only_where_it_holds_what_is_asked(
    tmp_path: Path,
) -> None:
    predictions = table(4, folds=2, seeds=3)
    held = {f"{fold}x{row}": "avt" if row else "at" for fold in range(2) for row in range(4)}
    found = conformal_scores(predictions, held, ["joy", "calm"], "digest")
    assert {len(found.folds["0"][c].truth) for c in ("a", "t", "at")} == {4}
    assert {len(found.folds["1"][c].truth) for c in ("v", "av", "vt", "avt")} == {3}
    own = predictions[(predictions["id"] == "0x1") & (predictions["condition"] == "v")]
    assert found.folds["0"]["v"].truth[0] == pytest.approx(own["p/joy"].mean(), abs=1e-6)
    assert len(found.pooled["a"].truth) == 8
    found.write(tmp_path / "conformal.json")
    assert ConformalScores.read_verified(tmp_path / "conformal.json") == found
    text = (tmp_path / "conformal.json").read_text()
    (tmp_path / "conformal.json").write_text(text.replace("true", "false", 1))
    with pytest.raises(ModelError, match="damaged or edited"):
        ConformalScores.read_verified(tmp_path / "conformal.json")


def test_a_large_corpus_keeps_a_sample() -> None:
    lines = table(2, 1, 1).iloc[[0]]
    many = pd.concat([lines.assign(id=str(i)) for i in range(MOST_ROWS + 5)], ignore_index=True)
    found = conformal_scores(many, {str(i): "a" for i in range(MOST_ROWS + 5)}, ["joy", "calm"], "")
    assert len(found.folds["0"]["a"].truth) == MOST_ROWS
