"""A model whose inverted lists are on disk predicts, is exported and is checked as one that has them in memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ramer import Predictor
from ramer.errors import ModelError
from ramer.project import Project
from ramer.serving.additions import add_to_database
from ramer.serving.modelfiles import export_model
from tests.support.contents import contents
from tests.support.served_project import build_project, raw_features, rows_of

INDEX = {"kind": "ivf_flat", "nlist": 4, "nprobe": 2}


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same project with its lists in memory and on disk."""
    root = tmp_path_factory.mktemp("lists")
    methods = {"ramer": {"type": "ramer", "k": 3}}
    return {kept: build_project(root / kept, methods, index=INDEX | {"lists": kept}) for kept in ("memory", "disk")}


def test_predictions_are_those_of_lists_in_memory_also_exported(projects: dict[str, Path], tmp_path: Path) -> None:
    export_model(projects["disk"], tmp_path / "model")
    shutil.move(tmp_path / "model", tmp_path / "elsewhere")
    for condition in ("a", "vt"):
        asked = raw_features(projects["disk"], rows_of(projects["disk"]), condition)
        expected = Predictor.load(projects["memory"]).predict(asked).probabilities
        for model in (projects["disk"], tmp_path / "elsewhere"):
            np.testing.assert_array_equal(Predictor.load(model).predict(asked).probabilities, expected)


def test_a_changed_bit_of_the_lists_is_noticed(projects: dict[str, Path], tmp_path: Path) -> None:
    project = shutil.copytree(projects["disk"], tmp_path / "project")
    export_model(project, tmp_path / "model")
    for lists in (Project(project).indexes("audio"), tmp_path / "model" / "index" / "audio"):
        path = lists / "fold0_seed0.ivfdata"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    for model in (project, tmp_path / "model"):
        with pytest.raises(ModelError, match=r"fold0_seed0\.ivfdata: damaged"):
            Predictor.load(model)


def test_adding_clips_is_refused_in_one_line_and_changes_nothing(projects: dict[str, Path], tmp_path: Path) -> None:
    export_model(projects["disk"], tmp_path / "model")
    before = contents(tmp_path, "model")
    clips: dict[str, np.ndarray | None] = {
        m: vectors[:2] for m, vectors in raw_features(projects["disk"], rows_of(projects["disk"])).items()
    }
    told = "its indexes have their lists on disk, which take no more keys: add the clips to the corpus"
    with pytest.raises(ModelError, match=told) as caught:
        add_to_database(tmp_path / "model", ["one", "two"], clips)
    assert len(caught.value.faults) == 1
    assert contents(tmp_path, "model") == before
