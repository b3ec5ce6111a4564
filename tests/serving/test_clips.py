"""From a raw clip to a prediction in one step, with the features that the model's corpus had."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ramer import Predictor
from ramer.cli import app
from ramer.errors import RamerError
from ramer.files import read_json, write_json
from ramer.modalities import CONDITIONS, LETTERS
from ramer.serving.modelfiles import export_model
from tests.serving.light import TRANSCRIPT, build_light_project

for _package in ("av", "cv2", "opensmile", "skimage", "transformers"):
    pytest.importorskip(_package, reason=f"{_package} is not installed (extra: extract)")

CLIP = Path(__file__).parents[2] / ".." / "shared" / "media" / "speech_clip.mp4"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clip() -> Path:
    if not CLIP.exists():
        pytest.skip("the real speech clip is not there (../shared/media/speech_clip.mp4)")
    return CLIP


@pytest.fixture(scope="module")
def light(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model."""
    folder = tmp_path_factory.mktemp("light")
    export_model(build_light_project(folder / "project", clip), folder / "model")
    return folder / "model"


def call(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def refused(*arguments: str | Path) -> str:
    code, out, err = call("predict", *arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    return line.removeprefix("error: ")


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_clip_is_predicted_as_its_extracted_features_are(light: Path, clip: Path, condition: str) -> None:
    from ramer.extraction.extractor import Extractor

    dropped = "".join(set("avt") - set(condition))
    code, out, err = call("predict", clip, "--transcript", TRANSCRIPT, "--model", light, "--drop", dropped)
    assert (code, err) == (0, "")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["id"], row["available"]) == ("speech_clip", condition)
    vectors = Extractor.preset("light", device="cpu").extract_clip(clip, TRANSCRIPT).vectors
    features = {m: vector for m, vector in vectors.items() if LETTERS[m] in condition}
    expected = Predictor.load(light).predict(features)
    got = [float(row[f"p/{label}"]) for label in expected.label_names]
    np.testing.assert_allclose(got, expected.probabilities[0], atol=1e-6)
    assert row["predicted"] == expected.labels[0]


def test_what_a_clip_lacks_is_said_and_missing(light: Path, clip: Path, tmp_path: Path) -> None:
    code, out, err = call("predict", clip, "--model", light)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (code, row["available"], err) == (0, "av", "text is missing: no transcript\n")
    code, out, err = call("predict", "--transcript", TRANSCRIPT, "--model", light, "-o", tmp_path / "out.csv")
    assert (code, out) == (0, f"1 clips -> {tmp_path / 'out.csv'}\n")
    assert err.splitlines() == ["audio is missing: no media file", "video is missing: no media file"]
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8")))
    assert (row["id"], row["available"]) == ("transcript", "t")


def test_a_clip_that_cannot_be_read_is_one_line(light: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a film")
    line = refused(tmp_path / "broken.mp4", "--model", light)
    assert line.startswith(f"{tmp_path / 'broken.mp4'}: nothing to predict from: audio: the file cannot be read: ")
    assert "no such file" in refused(tmp_path / "absent.mp4", "--model", light)
    assert "expected a clip, an npz or a folder" in refused("--model", light)


def test_features_of_another_extractor_are_refused(light: Path, clip: Path, served: Path, tmp_path: Path) -> None:
    assert "name its manifest with --manifest, or a preset with --preset" in refused(clip, "--model", served)
    line = "audio: the model expects 10 numbers, this extractor makes 88"
    code, _, err = call("predict", clip, "--model", served, "--preset", "light", "--transcript", TRANSCRIPT)
    assert code == 2
    assert err.splitlines()[0] == f"error: {clip}: {line}"
    other = tmp_path / "other"
    shutil.copytree(light, other)
    described = read_json(other / "model.json")
    described["extraction"]["modalities"]["audio"]["dim"] = 1024
    write_json(other / "model.json", described)
    assert refused(clip, "--model", other) == (
        "audio: the model expects 88 numbers, the manifest's extractor (egemaps) makes 1024"
    )
    described["extraction"]["modalities"]["text"]["extractor"]["name"] = "another"
    described["extraction"]["modalities"]["audio"]["dim"] = 88
    write_json(other / "model.json", described)
    assert refused(clip, "--model", other).startswith("text: not the model that made the features: name ")


def test_a_manifest_can_be_named(light: Path, clip: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(light, plain)
    described = read_json(plain / "model.json")
    (tmp_path / "manifest.json").write_text(json.dumps(described["extraction"]), "utf-8")
    write_json(plain / "model.json", described | {"extraction": None})
    told = call("predict", clip, "--model", plain, "--manifest", tmp_path / "manifest.json")
    assert told == call("predict", clip, "--model", light)
    assert told[0] == 0


def test_options_of_raw_clips_are_refused_for_features(light: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", ids=["a"], A=np.ones((1, 88)))
    assert "this holds features" in refused(tmp_path / "x.npz", "--transcript", "hello", "--model", light)


def test_a_reader_refuses_a_model_that_shares_no_modality_with_its_manifest(light: Path, tmp_path: Path) -> None:
    from ramer.serving.clips import ClipReader

    predictor = Predictor.load(light)
    raw = read_json(light / "model.json")["extraction"]
    raw["settings"] |= dict.fromkeys(raw["modalities"])
    raw["modalities"] = {}
    (tmp_path / "manifest.json").write_text(json.dumps(raw), "utf-8")
    with pytest.raises(RamerError, match="of which the manifest makes nothing"):
        ClipReader(predictor, manifest=tmp_path)
