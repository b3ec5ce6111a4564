"""What a study is of: all that its method reads, the options as they stand, and those that decide something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ramer.config import load_config
from ramer.methods import method_options
from ramer.modalities import MODALITIES
from ramer.pipeline.dump import dump
from ramer.pipeline.index import index
from ramer.pipeline.retrieve import retrieve
from ramer.project import Project
from ramer.training.workspace import Workspace
from tests.support.commands import call
from tests.support.tiny_workspace import ENCODER
from tests.support.tuned import PARAMS, studies_of, trials_of

OTHERS = {
    "other neighbours": "index: {kind: ivf_pq, nlist: 30, nprobe: 1, m: 1, rerank: false}\n",
    "other states": "dump: {crossfit: 3}\n",
}


def _tune(project: Path, method: str, trials: int, *more: str) -> tuple[str, ...]:
    journal = str(project / "j")
    return ("tune", method, "--trials", str(trials), "--journal", journal, "--project", str(project), *more)


@pytest.mark.parametrize("other", OTHERS)
def test_other_data_begin_another_study(other: str, project: Path) -> None:
    pytest.importorskip("optuna")
    assert call(*_tune(project, "label_knn", 2))[0] == 0
    encoders = f"pretrain: {json.dumps(dict.fromkeys(MODALITIES, ENCODER))}\n"  # those of the states that are there
    (project / "params.yaml").write_text(PARAMS + encoders + OTHERS[other], "utf-8")
    config, place = load_config(project / "params.yaml"), Project(project)
    for m in MODALITIES:
        for stage in (dump, index, retrieve):
            stage(config, place, m)
    for _ in range(2):  # and take it up again
        assert call(*_tune(project, "label_knn", 2))[0] == 0
    assert [len(trials) for trials in studies_of(project / "j").values()] == [2, 2]


def test_what_a_method_does_not_read_is_no_part_of_its_study(project: Path) -> None:
    workspace = Workspace(Project(project))
    retrieving = method_options("mine", {"type": "label_knn"}), method_options("mine", {"type": "simmlm"})
    neighbours, plain = (workspace.contents_of(_inputs(options)) for options in retrieving)
    assert {name.split()[0] for name in neighbours} == {"prepared", "states", "neighbours"}
    assert {name.split()[0] for name in plain} == {"prepared", "states"}
    live = method_options("mine", {"type": "ramer", "encoder": "finetune"})
    read = {name.split()[0] for name in workspace.contents_of(_inputs(live))}
    assert read == {"prepared", "states", "neighbours", "encoders", "index"}


def _inputs(options: Any) -> frozenset[str]:
    from ramer.methods import method_class

    return method_class(options.type).inputs_of(options)


def test_the_options_as_they_stand_are_tried_to_the_last_digit(project: Path) -> None:
    pytest.importorskip("optuna")
    entry = "simmlm: {type: simmlm, ranking_weight: 0.123456}"
    text = PARAMS.replace("  prior: {type: prior}\n", f"  {entry}\n  prior: {{type: prior}}\n")
    (project / "params.yaml").write_text(text, "utf-8")
    code, out, _ = call(*_tune(project, "simmlm", 1, "--apply"))
    assert (code, out.splitlines()[-1]) == (0, "nothing to change")
    assert (project / "params.yaml").read_text("utf-8") == text
    assert trials_of(project / "j")["simmlm"][0].params["ranking_weight"] == 0.123456


def test_a_seed_below_zero_is_one_line(project: Path) -> None:
    code, _, told = call(*_tune(project, "label_knn", 1, "--seed", "-1"))
    assert code == 2
    assert "Error: Invalid value for '--seed': " in told


@pytest.mark.parametrize(
    ("entry", "searched"),
    [
        ({"type": "retrieval_distil"}, {"tau", "pool_rows"}),
        ({"type": "retrieval_distil", "fill": "ridge"}, {"pool_rows"}),
        ({"type": "ramer_plus", "fill": "ridge"}, {"pull"}),
        ({"type": "ramer", "aggregate": "mean"}, {"k", "aggregate", "rerank", "bimodal"}),
        ({"type": "ramer", "keys": "learned"}, {"k", "aggregate"}),
    ],
)
def test_options_that_decide_nothing_are_not_looked_for(entry: dict[str, Any], searched: set[str]) -> None:
    from ramer.tuning.spaces import space_of

    assert set(space_of(method_options("mine", entry), 20)) == searched


@pytest.mark.parametrize(
    ("entry", "idle"),
    [
        ({"type": "ramer_plus", "fill": "ridge"}, {"k", "keys", "database"}),
        ({"type": "retrieval_distil", "fill": "ridge"}, {"k", "keys", "key_epochs", "tau", "database"}),
        ({"type": "ramer", "aggregate": "mean", "encoder": "finetune"}, {"tau", "taus"}),
        ({"type": "ramer", "aggregate": "mean"}, {"tau", "taus", "encoder_lr", "rebuild_every"}),
        ({"type": "ramer", "tau": 0.1, "encoder": "finetune"}, {"taus"}),
        ({"type": "distil", "weight": 0.0}, {"temperature", "pool_rows"}),
        ({"type": "ramer"}, {"encoder_lr", "rebuild_every"}),
    ],
)
def test_options_say_which_of_them_decide_nothing(entry: dict[str, Any], idle: set[str]) -> None:
    assert method_options("mine", entry).unsearched == idle
