"""``serve.method: best``: chosen on validation rows, named wherever something is predicted."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from ramer import Predictor
from ramer.config import parse_config
from ramer.errors import ConfigError, ModelError
from ramer.files import read_json
from ramer.pipeline.check import check
from ramer.project import Project
from ramer.serving.modelfiles import export_model
from ramer.training.best_method import choose_served
from ramer.training.method_record import METHOD_FILE, ScoredMethod, TrainedMethod
from tests.support.commands import call, refused
from tests.support.served_project import raw_features, rows_of, save_npz
from tests.support.simulated import METHODS, SimulatedProject


def about(score: float, *, deployable: bool = True, numbers: int = 1) -> ScoredMethod:
    return ScoredMethod(
        name="", type="", options={}, deployable=deployable, retrieval=False,
        validation_selection=score, numbers=numbers,
    )  # fmt: skip


def test_the_best_on_validation_is_served_whatever_test_rows_say() -> None:
    known = {"oracle": about(0.9, deployable=False), "first": about(0.5), "second": about(0.6), "third": about(0.55)}
    assert choose_served("best", known) == "second"
    assert choose_served("third", known) == "third"
    with pytest.raises(ModelError, match=r"^serve.method: best: none of oracle can be deployed$"):
        choose_served("best", {"oracle": known["oracle"]})


def test_of_equals_the_cheaper_one_is_served() -> None:
    known = {"large": about(0.60004, numbers=1000), "small": about(0.6, numbers=10), "worse": about(0.5998, numbers=1)}
    assert choose_served("best", known) == "small"


@pytest.fixture
def choosing(served: Path, tmp_path: Path) -> Path:
    """The served project with ``serve.method: best``, and the name of its best method on validation."""
    root = tmp_path / "project"
    shutil.copytree(served, root)
    params = Project(root).params
    raw = json.loads(params.read_text("utf-8"))
    raw["serve"]["method"] = "best"
    params.write_text(json.dumps(raw), "utf-8")
    return root


def expected_best(root: Path) -> str:
    known = {p.parent.name: TrainedMethod.read(p) for p in Project(root).all_methods.glob(f"*/{METHOD_FILE}")}
    scores = {name: m.validation_selection for name, m in known.items() if m.deployable}
    return max(scores, key=lambda name: scores[name])


def test_a_project_serves_its_best_method_and_every_prediction_names_it(choosing: Path, tmp_path: Path) -> None:
    best = expected_best(choosing)
    rows = rows_of(choosing)
    said = Predictor.load(choosing).predict(raw_features(choosing, rows, "av"))
    named = Predictor.load(choosing, best).predict(raw_features(choosing, rows, "av"))
    assert said.method == named.method == best
    np.testing.assert_array_equal(said.probabilities, named.probabilities)
    export_model(choosing, tmp_path / "model")
    assert read_json(tmp_path / "model/model.json")["method"] == best
    code, lines, _ = call("predict", save_npz(tmp_path / "clips.npz", choosing, rows), "--model", choosing)
    assert code == 0
    assert {line.split(",")[3] for line in lines.splitlines()[1:]} == {best}


def test_without_all_methods_the_best_is_not_known(choosing: Path) -> None:
    shutil.rmtree(Project(choosing).method("prior"))
    told = refused("export", "out", "--project", choosing)
    assert told.startswith("serve.method: best: prior: not trained yet")


def test_the_report_says_which_method_best_is(tmp_path: Path) -> None:
    project = SimulatedProject(tmp_path, METHODS, seeds=2, speakers=12)
    page = (project.run(serve={"method": "best"}) / "report.html").read_text("utf-8")
    assert re.search(r"<code>ramer predict</code> already loads it", page)


def test_best_needs_a_method_that_can_be_deployed_and_is_no_methods_name(tmp_path: Path) -> None:
    shuffled = {"mine": {"type": "ramer", "database": "shuffled"}, "oracle": {"type": "oracle"}}
    with pytest.raises(ConfigError, match=r"serve\.method: best: none of mine, oracle can be deployed"):
        check(parse_config({"methods": shuffled}), Project(tmp_path))
    with pytest.raises(ConfigError, match=r"methods\.best: expected another name"):
        parse_config({"methods": {"best": {"type": "prior"}}})
