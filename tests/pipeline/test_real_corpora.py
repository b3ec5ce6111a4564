"""The whole pipeline on real corpora, as a user runs it on a file of their own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from ramer.modalities import CONDITIONS, LETTERS, MISSING_CONDITIONS
from tests.support.clone import Clone
from tests.support.closure import ROOT

CORPORA = ROOT.parent / "shared" / "corpora"
PACKED = {"audio": "A", "video": "V", "text": "L"}
NEURAL = ("ramer", "ramer_literal", "zero_fill", "mean_fill", "random_neighbours")
pytestmark = pytest.mark.slow


class FullClone(Clone):
    """The default parameters with one seed, so that the two corpora take a minute or two."""

    def change_params(self) -> None:
        file, editor = self.project.params, YAML()
        params = editor.load(file.read_text("utf-8"))
        params["prepare"]["seeds"] = [0]
        with file.open("w", encoding="utf-8") as stream:
            editor.dump(params, stream)


def run_on(name: str, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """``dvc exp run --temp`` on a corpus, its results applied to the workspace."""
    path = CORPORA / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{name}.npz is not here")
    project = FullClone.create(tmp_path_factory.mktemp(name), tmp_path_factory.mktemp("home"))
    settings = ("--set-param", "corpus.kind=npz", "--set-param", f"corpus.path={path}")
    project.run("dvc", "exp", "run", "--temp", "--name", name, *settings)
    project.run("dvc", "exp", "apply", name)
    return project


@pytest.fixture(scope="module")
def ravdess(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return run_on("ravdess_meld", tmp_path_factory)


@pytest.fixture(scope="module")
def mosi(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return run_on("mosi", tmp_path_factory)


def summary(project: Clone) -> dict:
    return json.loads(project.text("results/summary.json"))


def assert_complete(project: Clone) -> None:
    methods = set(YAML(typ="safe").load(project.text("params.yaml"))["methods"])
    found = summary(project)["methods"]
    assert set(found) == methods
    for scores in found.values():
        assert all(0 <= scores[c]["weighted_f1"]["mean"] <= 1 for c in (*CONDITIONS, "avg6"))


def product_reference(path: Path) -> dict[str, float]:
    """Product of scikit-learn's unimodal logistic regressions, weighted F1 per condition on the test split."""
    with np.load(path) as file:
        train, test = (file["split"] == name for name in ("train", "test"))
        labels = file["label"]
        logs = {}
        for modality, key in PACKED.items():
            scaler = StandardScaler().fit(file[key][train])
            features = np.clip(scaler.transform(file[key]), -10, 10)
            model = LogisticRegression(C=0.01, max_iter=2000).fit(features[train], labels[train])
            logs[LETTERS[modality]] = model.predict_log_proba(features[test])
    prior = np.log(np.bincount(labels[train]) / train.sum())
    scores = {}
    for condition in CONDITIONS:
        total = sum(logs[letter] for letter in condition) - (len(condition) - 1) * prior
        scores[condition] = float(f1_score(labels[test], total.argmax(axis=1), average="weighted"))
    return scores


def test_ravdess_meld_gives_results_for_every_method_and_condition(ravdess: Clone) -> None:
    assert_complete(ravdess)


def test_mosi_gives_results_for_every_method_and_condition(mosi: Clone) -> None:
    assert_complete(mosi)


def test_the_product_agrees_with_scikit_learn(ravdess: Clone) -> None:
    expected = product_reference(CORPORA / "ravdess_meld.npz")
    ours = summary(ravdess)["methods"]["late_product"]
    assert ours["avg6"]["weighted_f1"]["mean"] == pytest.approx(
        np.mean([expected[c] for c in MISSING_CONDITIONS]), abs=0.02
    )
    assert ours["avt"]["weighted_f1"]["mean"] == pytest.approx(expected["avt"], abs=0.02)


@pytest.mark.parametrize("method", NEURAL)
def test_neural_methods_hold_up_with_every_modality(ravdess: Clone, method: str) -> None:
    assert summary(ravdess)["methods"][method]["avt"]["weighted_f1"]["mean"] >= 0.62


def test_the_report_says_how_far_methods_are_from_the_product(ravdess: Clone) -> None:
    page = ravdess.text("results/report.html")
    assert "<code>late_product</code> is the plainest thing that works: one logistic regression per modality" in page
    methods = summary(ravdess)["methods"]
    product = methods["late_product"]["avg6"]["weighted_f1"]["mean"]
    for name in (name for name, scores in methods.items() if scores["deployable"] and name != "late_product"):
        gap = 100 * (methods[name]["avg6"]["weighted_f1"]["mean"] - product)
        told = re.search(rf"<code>{name}</code> \((\W?)([0-9.]+)", page)
        assert told is not None, name
        assert float(told[2]) * (1 if told[1] == "+" else -1) == pytest.approx(gap, abs=0.051)
