"""Symbolic links out of a folder: refused in a model that is passed on, followed and named where corpora are linked."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from ramer import Predictor
from ramer.data.merbench_features import FolderSource
from ramer.errors import ModelError
from ramer.extraction.media_files import find_media
from ramer.project import Project
from ramer.serving.features import read_features
from ramer.serving.modelfiles import export_model
from tests.support.commands import refused
from tests.support.served_project import raw_features, rows_of, save_npz


@pytest.fixture
def exported(served: Path, tmp_path: Path) -> Path:
    export_model(served, tmp_path / "model", "rebuilt")
    return tmp_path / "model"


def linked(path: Path, elsewhere: Path) -> None:
    """Move what is there elsewhere, and leave a link."""
    elsewhere.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("part", ["model.json", "encoders", "database/text.npy"])
def test_an_exported_model_with_a_link_out_of_it_is_refused_in_one_line(
    served: Path, exported: Path, part: str, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / "x"
    linked(exported / part, elsewhere)
    clips = save_npz(tmp_path / "clips.npz", served, rows_of(served)[:2], ids=np.array(["new1", "new2"]))
    for command in (("predict", clips), ("database", "add", "--features", clips)):
        line = refused(*command, "--model", exported)
        assert line.startswith(f"{exported / part}: a link out of the model, to {elsewhere}; "), line
        assert "cp -rL" in line
    with pytest.raises(ModelError, match="a link out of the model"):
        Predictor.load(exported, verify=False)
    shutil.copytree(exported, tmp_path / "copy")  # as cp -rL does
    assert Predictor.load(tmp_path / "copy").label_names


def test_a_link_to_a_device_is_refused_and_not_read(exported: Path) -> None:
    (exported / "model.json").unlink()
    (exported / "model.json").symlink_to("/dev/zero")
    with pytest.raises(ModelError):
        Predictor.load(exported)


def test_links_within_a_model_and_to_it_are_none_of_them(exported: Path, tmp_path: Path) -> None:
    linked(exported / "database/text.npy", exported / "database/real.npy")
    (tmp_path / "link").symlink_to(exported)
    assert Predictor.load(tmp_path / "link").label_names


def test_a_project_whose_outputs_are_links_is_read_and_says_so_once(
    served: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = shutil.copytree(served, tmp_path / "project")
    asked = raw_features(served, rows_of(served))
    expected = Predictor.load(served).predict(asked).probabilities
    caplog.clear()
    for i, path in enumerate(sorted(Project(root).encoders("audio").glob("*.safetensors"))):
        linked(path, tmp_path / "store" / str(i))
    np.testing.assert_array_equal(Predictor.load(root).predict(asked).probabilities, expected)
    (line,) = [message for message in caplog.messages if "link" in message]
    assert line.startswith(f"warning: {root}: 2 links lead out of the folder, such as '")
    assert f" to {tmp_path}/store/0; what they lead to is read" in line


def test_links_out_of_feature_and_media_folders_are_followed_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, store = tmp_path / "features" / "audio", tmp_path / "store"
    folder.mkdir(parents=True)
    store.mkdir()
    for name in ("a", "b"):
        np.save(store / f"{name}.npy", np.ones(3, np.float32))
        (folder / f"{name}.npy").symlink_to(store / f"{name}.npy")
    (folder / "c.npy").symlink_to("a.npy")  # through another link
    np.save(folder / "d.npy", np.ones(3, np.float32))
    said = f"3 links lead out of the folder, such as 'a.npy' to {store}/a.npy; what they lead to is read"
    ids, _ = read_features(tmp_path / "features", {"audio": "audio"})
    assert ids == ["a", "b", "c", "d"]
    assert caplog.messages == [f"{folder}: {said}"]
    source = FolderSource(folder, np.array(ids), tmp_path / "cache")
    assert source.notes == (f"{folder}: {said}",)
    media = tmp_path / "media"
    media.mkdir()
    (store / "film.mp4").touch()
    os.symlink(store, media / "all")
    found = find_media(media)
    assert list(found.videos) == ["all/film"]
    assert found.passed_over[0] == f"1 link leads out of the folder, 'all' to {store}; what it leads to is read"
