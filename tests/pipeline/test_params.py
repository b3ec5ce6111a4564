"""``params.yaml`` says everything that can be set, with the value that is used where it is left out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ramer.config import Config, load_config, parse_config
from ramer.errors import ConfigError
from ramer.pipeline.check import check
from ramer.project import Project
from tests.support.closure import ROOT

LINES = Project(ROOT).params.read_text("utf-8").splitlines()


def raw_params() -> dict[str, Any]:
    return YAML(typ="safe", pure=True).load("\n".join(LINES))


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return leaves


def test_every_key_appears_with_its_default() -> None:
    written = raw_params()
    methods = written.pop("methods")
    defaults = Config(methods=methods).model_dump(mode="json")
    del defaults["methods"]
    assert flat(written) == flat(defaults)


def test_keys_stand_in_the_order_of_the_models() -> None:
    written = raw_params()
    defaults = Config(methods=written["methods"]).model_dump()
    assert list(flat(written)) == list(flat(defaults))


def test_every_key_has_a_comment_on_its_own_line() -> None:
    bare = [line for line in LINES if ":" in line and " # " not in line and not line.startswith("#")]
    assert not bare


def test_lists_and_mappings_are_in_block_style() -> None:
    assert not [line for line in LINES if line.split(" #")[0].rstrip().endswith(("]", "}"))]


def test_dvc_changes_the_one_line_that_it_was_asked_to() -> None:
    editor = YAML()
    editor.default_flow_style = False  # as DVC sets it
    written = io.StringIO()
    editor.dump(editor.load("\n".join(LINES)), written)
    assert written.getvalue().splitlines() == LINES


def test_the_parameters_as_shipped_are_accepted(tmp_path: Path) -> None:
    check(load_config(Project(ROOT).params), Project(tmp_path))
    assert Project(tmp_path).checked.read_text("utf-8") == "ok\n"


@pytest.mark.parametrize(
    ("methods", "others", "said"),
    [
        ({"mine": {"type": "rammer"}}, {}, "methods.mine.type: unknown method type 'rammer', expected one of "),
        ({"mine": {"type": "zero_fill", "kk": 3}}, {}, "methods.mine.kk: unknown key"),
        ({"mine": {"type": "ramer", "k": 51}}, {}, "methods.mine.k: 51 needs retrieval.width of at least 51, got 50"),
        (
            {"mine": {"type": "ramer", "k": 50, "drop_first": True}},
            {},
            "methods.mine.k: 50 needs retrieval.width of at least 51 (one more",
        ),
        ({"mine": {"type": "ramer", "k": "5"}}, {}, "methods.mine.k: "),
        ({"mine": {"type": "ramer", "taus": [-0.1]}}, {}, "methods.mine.taus.0: "),
        ({"mine": {"type": "late_product", "inverse_penalties": [0]}}, {}, "methods.mine.inverse_penalties.0: "),
        (
            {"mine": {"type": "ramer", "database": "shuffled"}},
            {},
            "serve.method: 'mine' is a control, its database is shuffled",
        ),
        ({"mine": {"type": "primd", "memory": "empty"}}, {}, "serve.method: 'mine' is a control, its memory is empty"),
        ({"mine": {"type": "oracle"}}, {"serve": {"method": "mine"}}, "serve.method: 'mine' cannot be deployed"),
        ({"mine": {"type": "ramer", "rebuild_every": 2}}, {}, "methods.mine: rebuild_every needs encoder: finetune"),
        (
            {"mine": {"type": "prior"}},
            {"corpus": {"kind": "cvs"}},
            "corpus.kind: unknown kind 'cvs', expected one of synthetic, npz, merbench",
        ),
        ({"mine": {"type": "prior"}}, {"runtime": {"device": "cuda:7"}}, "runtime.device: cuda:7 was asked for"),
    ],
)
def test_what_no_stage_could_run_is_refused_in_one_line(
    methods: dict[str, Any], others: dict[str, Any], said: str, tmp_path: Path
) -> None:
    config = parse_config({"methods": methods, "serve": {"method": "mine"}, **others})
    with pytest.raises(ConfigError) as caught:
        check(config, Project(tmp_path))
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith(f"params.yaml: {said}")
    assert not Project(tmp_path).checked.exists()


@pytest.mark.parametrize("options", [{"encoder": "finetune", "rebuild_every": 5}, {"retrieve": "features"}])
def test_a_method_with_encoders_of_its_own_may_be_served(options: dict[str, Any], tmp_path: Path) -> None:
    check(
        parse_config({"methods": {"mine": {"type": "ramer", **options}}, "serve": {"method": "mine"}}),
        Project(tmp_path),
    )
    assert Project(tmp_path).checked.exists()


def test_the_served_method_is_named() -> None:
    with pytest.raises(ConfigError, match=r"serve\.method: 'best_baseline' is not under methods: mine"):
        parse_config({"methods": {"mine": {"type": "prior"}}, "serve": {"method": "best_baseline"}})


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    config = parse_config(
        {"methods": {"one": {"type": "rammer"}, "two": {"type": "ramer", "k": 99}}, "serve": {"method": "two"}}
    )
    with pytest.raises(ConfigError) as caught:
        check(config, Project(tmp_path))
    assert len(caught.value.faults) == 2
