"""A pool that comes after training: nothing is learnt from it, the database grows, and the report draws the curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ramer.evaluation.pool import POOL, POOL_FILE, SHUFFLED_POOL, pool_curve
from ramer.files import read_json, read_table
from ramer.methods import build_method, load_method, method_options
from ramer.methods.shared.fitting import fit_replicate
from ramer.methods.shared.pool_curve import predict_by_pool
from ramer.methods.shared.scoring import held_out_rows
from ramer.modalities import MODALITIES
from ramer.project import Project
from ramer.training.fitted import History
from ramer.training.workspace import Workspace
from tests.support.served_project import build_project, run_report
from tests.support.tiny_workspace import tiny_config

METHODS: dict[str, dict[str, Any]] = {
    "plus": {"type": "ramer_plus", "k": 5},
    "late": {"type": "ramer_plus", "k": 5, "pool": "late"},
    "zero_fill": {"type": "zero_fill"},
}
SIZES = (0, 20)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_project(
        tmp_path_factory.mktemp("late"), METHODS, evaluate={"pool_sizes": list(SIZES)}, report={"draws": 200}
    )


def test_the_whole_pool_gives_the_predictions_of_the_method_and_methods_without_one_have_no_curve(
    project: Path,
) -> None:
    results = Project(project)
    assert not (results.method_results("zero_fill") / POOL_FILE).exists()
    for name in ("plus", "late"):
        grown = read_table(results.method_results(name) / POOL_FILE)
        said = read_table(results.method_results(name) / "predictions.parquet")
        sizes = sorted(set(grown[POOL]))
        assert tuple(sizes[:-1]) == SIZES
        whole = grown[(grown[POOL] == sizes[-1]) & ~grown[SHUFFLED_POOL]].reset_index(drop=True)
        columns = [c for c in said.columns if c.startswith("p/")]
        np.testing.assert_allclose(whole[columns], said[columns], atol=1e-6)
        least = grown[(grown[POOL] == 0) & ~grown[SHUFFLED_POOL]].reset_index(drop=True)
        assert not np.allclose(least[columns], said[columns], atol=1e-4)


def test_a_smaller_pool_is_a_part_of_a_larger_one_and_no_other_pool_row_is_found(project: Path) -> None:
    workspace = Workspace(Project(project))
    replicate = workspace.corpus.replicates[0]
    method = load_method(Project(project).method("late") / f"{replicate.name}.safetensors")
    data = workspace.replicate(replicate, method.reads)
    pool = set(workspace.corpus.rows_in(replicate, "pool"))
    part = data.with_pool(np.array(sorted(pool))[:7])
    held = np.flatnonzero(part.database_for(method.reads).available.any(axis=1))
    assert len(pool & set(held)) <= 7
    train = set(workspace.corpus.rows_in(replicate, "train"))
    assert set(held) - pool <= train
    test = held_out_rows(method, data)
    table = predict_by_pool(method, test, (5,))
    assert table is not None
    assert len(table) == 2 * 2 * 7 * len(test)


def test_what_is_trained_for_a_late_pool_has_not_seen_it(project: Path, tmp_path: Path) -> None:
    fits = []
    for spoil in (False, True):
        workspace = Workspace(Project(project))
        corpus, replicate = workspace.corpus, workspace.corpus.replicates[0]
        if spoil:
            pool = corpus.rows_in(replicate, "pool")
            for m in MODALITIES:
                corpus.features[m] = np.array(corpus.features[m])
                corpus.features[m][pool] = 3 - 2 * corpus.features[m][pool]
        options = method_options("late", METHODS["late"])
        method = build_method(options, workspace.shape(), tiny_config({"prior": {"type": "prior"}}).train)
        fit_replicate(method, workspace.replicate(replicate, method.reads), History())
        method.save(tmp_path / f"{spoil}.safetensors")
        fits.append((tmp_path / f"{spoil}.safetensors").read_bytes())
    assert fits[0] == fits[1]


def test_the_report_draws_the_curve_with_intervals(project: Path) -> None:
    run_report(project)
    results = Project(project)
    curves = read_json(results.summary)["pool"]
    assert set(curves) == {"plus", "late"}
    for name, points in curves.items():
        assert [point["pool"] for point in points][:-1] == list(SIZES)
        scores = read_json(results.method_results(name) / "metrics.json")
        assert points[-1]["avg6"]["mean"] == pytest.approx(scores["avg6/weighted_f1"])
        assert points[0]["to_smallest"] is None
        for point in points[1:]:
            gain = point["to_smallest"]
            assert gain["low"] <= gain["difference"] <= gain["high"]
            assert gain["difference"] == pytest.approx(point["avg6"]["mean"] - points[0]["avg6"]["mean"], abs=1e-6)
            control = point["to_shuffled"]["difference"]
            assert control == pytest.approx(point["avg6"]["mean"] - point["shuffled"]["mean"], abs=1e-6)
    page = results.report.read_text("utf-8")
    assert "A pool that grows after training" in page
    assert "trained without a pool" in page
    assert (results.plots / "pool.png").stat().st_size > 5000


def test_pools_of_folds_that_lie_around_a_size_leave_it_out_and_keep_the_rest(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus = Workspace(Project(project)).corpus
    first = read_table(Project(project).method_results("late") / POOL_FILE)
    first = first[first["replicate"] == "fold0_seed0"]
    whole = int(first[POOL].max())
    second = first[first[POOL] != 20].assign(replicate="fold0_seed1", seed=1)
    second[POOL] = second[POOL].where(second[POOL] == 0, 15)  # its pool is smaller than the second size
    groups = dict(zip(corpus.ids, corpus.speakers, strict=True))
    table = pd.concat([first, second], ignore_index=True)
    points = pool_curve(table, groups, corpus.label_names, "speaker", draws=50)
    assert [(point["pool"], point["rows"]) for point in points] == [(0, 0.0), ("all", (whole + 15) / 2)]
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"warning: pools of 15 to {whole} rows: size 20 of evaluate.pool_sizes")
    same = pool_curve(first, groups, corpus.label_names, "speaker", draws=50)
    assert [point["pool"] for point in same] == [0, 20, "all"]
    second[POOL] = second[POOL].where(second[POOL] == 0, 20)  # a pool of exactly that size
    points = pool_curve(pd.concat([first, second], ignore_index=True), groups, corpus.label_names, "speaker", draws=50)
    assert [(point["pool"], point["rows"]) for point in points] == [(0, 0.0), (20, 20.0), ("all", (whole + 20) / 2)]
