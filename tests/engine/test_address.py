"""The parameters may name a cluster, and no result depends on what they name."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ramer.config import Engine
from ramer.pipeline.track import track
from ramer.project import Project
from tests.support.closure import ROOT
from tests.support.stages import start_stage
from tests.support.tiny_workspace import tiny_config
from tests.support.tree import build

METHODS = {"prior": {"type": "prior"}}


@pytest.mark.parametrize(
    ("named", "environment", "expected"),
    [
        ("head:6379", {}, "head:6379"),
        ("head:6379", {"RAY_ADDRESS": ""}, "head:6379"),
        ("head:6379", {"RAY_ADDRESS": "other:1"}, "other:1"),
        (None, {}, None),
    ],
)
def test_the_environment_goes_before_the_parameters(
    named: str | None, environment: dict[str, str], expected: str | None
) -> None:
    Engine(ray_address=named).name_cluster(environment)
    assert environment.get("RAY_ADDRESS") == expected


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.parametrize(
    ("address", "device"),
    [
        ("127.0.0.1:1", "cpu"),
        ("ray://me:hunter%2F2@127.0.0.1:1", "auto"),
        ("127.0.0.1:1", "cuda"),  # which the cluster may have where this machine has none
    ],
)
def test_a_stage_goes_to_the_cluster_that_the_parameters_name(
    workspace_root: Path, tmp_path: Path, address: str, device: str
) -> None:
    root = shutil.copytree(workspace_root, tmp_path / "project")
    config = tiny_config(METHODS, engine={"ray_address": address}, runtime={"device": device})
    raw = config.model_dump(mode="json")
    Project(root).params.write_text(json.dumps(raw), "utf-8")
    with start_stage(root, "pretrain audio", RAMER_ENGINE="ray", RAY_ADDRESS="") as stage:
        _, said = stage.communicate()
    assert stage.returncode == 2
    assert re.search(r"params.yaml: engine.ray_address: no cluster at '(ray://)?127.0.0.1:1'", said)
    assert "hunter" not in said
    assert "Traceback" not in said


def test_no_stage_depends_on_it() -> None:
    stages: dict[str, Any] = yaml.safe_load(Project(ROOT).pipeline.read_text("utf-8"))["stages"]
    read = [key for stage in stages.values() for key in stage.get("do", stage).get("params", [])]
    assert "runtime" in read
    assert not [key for key in read if key.split(".")[0] == "engine"]


def test_the_receipt_is_that_of_a_run_elsewhere(tmp_path: Path) -> None:
    receipts = []
    for address in (None, "head:6379"):
        config = build(tmp_path / str(address))
        changed = {
            "engine": Engine(ray_address=address),
            "tracking": config.tracking.model_copy(update={"enabled": False}),
        }
        project = Project(tmp_path / str(address))
        track(config.model_copy(update=changed), project, {})
        receipts.append(project.receipt.read_text("utf-8"))
    assert receipts[0] == receipts[1]
