"""The explorer's page: what it holds, what it may do, how large it gets."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.evaluation.bootstrap import Bootstrap
from ramer.files import read_table, write_table
from ramer.modalities import CONDITIONS
from ramer.reporting.explorer.arrays import numbers, packed
from ramer.reporting.explorer.explorer_page import Explored, render_explorer
from ramer.reporting.explorer.state_map import principal
from ramer.reporting.findings import find
from ramer.reporting.results import read_results
from tests.support.simulated import LABELS, METHODS, SimulatedProject

KINDS = {"uint8": "<u1", "int8": "<i1", "uint16": "<u2", "int16": "<i2", "float32": "<f4"}


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> Explored:
    names = ("ramer", "zero_fill", "prior")
    project = SimulatedProject(tmp_path_factory.mktemp("explored"), {n: METHODS[n] for n in names}, 2, 12)
    results = read_results(project, names)
    tables = {name: method.predictions for name, method in results.methods.items()}
    bootstrap = Bootstrap(tables, results.groups, results.label_names, draws=100)
    return Explored(project, results, find(results, bootstrap), bootstrap)


def held(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def unpacked(array: dict[str, Any]) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(array["data"]), dtype=KINDS[array["kind"]])
    return flat.reshape(array["shape"])


def test_an_array_survives_the_way_into_the_page() -> None:
    for values in (np.array([[1, -2], [3, 4]], dtype=np.int16), np.array([0.5, np.nan], dtype=np.float32)):
        np.testing.assert_array_equal(unpacked(dict(packed(values))), values)
    assert [numbers(np.array(v)).dtype.name for v in ([0, 255], [-1, 5], [256], [-1, 200])] == [
        "uint8",
        "int8",
        "uint16",
        "int16",
    ]
    with pytest.raises(ValueError, match=r"expected one of .*, got complex128"):
        packed(np.zeros(2, dtype=complex))


def test_it_holds_what_the_predictions_say(explored: Explored) -> None:
    data = held(render_explorer(explored))
    names = [method["name"] for method in data["methods"]]
    said, right = (unpacked(data["answers"][key]) for key in ("said", "right"))
    proba = unpacked(data["answers"]["probabilities"])
    assert data["ids"] == explored.project.ids  # type: ignore[attr-defined]
    for m, name in enumerate(names):
        table = explored.results.methods[name].predictions
        for c, condition in enumerate(CONDITIONS):
            rows = table[table["condition"] == condition]
            mean = rows.groupby("id")[[f"p/{label}" for label in LABELS]].mean()
            np.testing.assert_allclose(proba[m, c] / 255, mean, atol=0.003)
            np.testing.assert_array_equal(said[m, c], mean.to_numpy().argmax(axis=1))
            hits = (rows["predicted"] == rows["label"]).groupby(rows["id"]).sum()
            np.testing.assert_array_equal(right[m, c], hits)
    compared = explored.bootstrap.compare("prior", [("weighted_f1", "avg6")], ["ramer"])[0]
    cell = unpacked(data["differences"])[names.index("ramer"), names.index("prior"), -1]
    np.testing.assert_allclose(cell, [compared.difference, compared.low, compared.high], rtol=1e-5)


def test_only_its_own_script_may_run_and_nothing_is_asked_for(explored: Explored) -> None:
    page = render_explorer(explored)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]
    for tag, kind in (("script", "script-src"), ("style", "style-src")):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert len(inside) == 1
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy[1]
    assert not re.search(r"""\b(src|srcset)=|@import|url\(|fetch\(|XMLHttpRequest""", page)


def test_names_cannot_end_the_data_or_inject_markup(explored: Explored) -> None:
    name = "</script><script>alert(1)</script>"
    corpus = explored.results.corpus.model_copy(update={"name": name})
    changed = replace(explored, results=replace(explored.results, corpus=corpus))
    page = render_explorer(changed)
    assert name not in page
    assert held(page)["corpus"] == name


def test_a_corpus_that_does_not_fit_is_a_stated_sample(explored: Explored) -> None:
    whole = render_explorer(explored)
    assert held(whole)["total"] == len(held(whole)["ids"])
    most = len(whole.encode()) - 3000
    page = render_explorer(explored, most)
    data = held(page)
    assert len(page.encode()) <= most
    assert 1 < len(data["ids"]) < data["total"] == len(held(whole)["ids"])
    assert set(data["ids"]) < set(held(whole)["ids"])
    assert page == render_explorer(explored, most)


def test_why_a_modality_is_missing_is_told_where_it_is_known(explored: Explored) -> None:
    path: Path = explored.project.prepared / "rows.parquet"
    rows = read_table(path)
    lacking = np.arange(len(rows)) % 3
    try:
        write_table(path, rows.assign(available_audio=lacking == 0, zeros_audio=lacking == 1, available_text=True))
        data = held(render_explorer(explored))
    finally:
        write_table(path, rows)
    reasons = np.array(data["reasons"])[unpacked(data["lacks"])]
    assert reasons[:3, 0].tolist() == ["held", "all zeros", "no vector"]
    assert set(reasons[:, 2]) == {"held"}


def test_the_map_holds_the_principal_components() -> None:
    states = np.random.default_rng(0).normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
    flat = principal(states).astype(float)
    from sklearn.decomposition import PCA

    expected = PCA(2).fit_transform(states)
    for i in range(2):
        assert abs(np.corrcoef(flat[:, i], expected[:, i])[0, 1]) > 0.9999
    assert np.abs(flat).max() == 32000
