"""From a raw clip to a prediction in one step, with the features that the model's corpus had."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ramer import Predictor
from ramer.errors import RamerError
from ramer.files import read_json
from ramer.modalities import CONDITIONS, LETTERS
from ramer.serving.modelfiles import export_model
from tests.support.commands import call, refused
from tests.support.exported import edit_description
from tests.support.light import TRANSCRIPT, build_light_project
from tests.support.media import require_extraction

require_extraction()
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def light(speech_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model."""
    folder = tmp_path_factory.mktemp("light")
    export_model(build_light_project(folder / "project", speech_clip), folder / "model")
    return folder / "model"


def unpredicted(*arguments: str | Path) -> str:
    return refused("predict", *arguments)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_clip_is_predicted_as_its_extracted_features_are(light: Path, speech_clip: Path, condition: str) -> None:
    from ramer.extraction.extractor import Extractor

    dropped = "".join(set("avt") - set(condition))
    code, out, err = call("predict", speech_clip, "--transcript", TRANSCRIPT, "--model", light, "--drop", dropped)
    assert (code, err) == (0, "")
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["id"], row["available"]) == ("speech_clip", condition)
    vectors = Extractor.preset("light", device="cpu").extract_clip(speech_clip, TRANSCRIPT).vectors
    features = {m: vector for m, vector in vectors.items() if LETTERS[m] in condition}
    expected = Predictor.load(light).predict(features)
    got = [float(row[f"p/{label}"]) for label in expected.label_names]
    np.testing.assert_allclose(got, expected.probabilities[0], atol=1e-6)
    assert row["predicted"] == expected.labels[0]


def test_what_a_clip_lacks_is_said_and_missing(light: Path, speech_clip: Path, tmp_path: Path) -> None:
    code, out, err = call("predict", speech_clip, "--model", light)
    (row,) = csv.DictReader(io.StringIO(out))
    assert (code, row["available"], err) == (0, "av", "text is missing: no transcript\n")
    code, out, err = call("predict", "--transcript", TRANSCRIPT, "--model", light, "-o", tmp_path / "out.csv")
    assert (code, out) == (0, f"1 clips -> {tmp_path / 'out.csv'}\n")
    assert err.splitlines() == ["audio is missing: no media file", "video is missing: no media file"]
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8")))
    assert (row["id"], row["available"]) == ("transcript", "t")


def test_a_clip_that_cannot_be_read_is_one_line(light: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"not a film")
    line = unpredicted(tmp_path / "broken.mp4", "--model", light)
    assert line.startswith(f"{tmp_path / 'broken.mp4'}: nothing to predict from: audio: the file cannot be read: ")
    assert "no such file" in unpredicted(tmp_path / "absent.mp4", "--model", light)
    assert "expected a clip, an npz or a folder" in unpredicted("--model", light)


def test_features_of_another_extractor_are_refused(
    light: Path, speech_clip: Path, served: Path, tmp_path: Path
) -> None:
    assert "name its manifest with --manifest, or a preset with --preset" in unpredicted(speech_clip, "--model", served)
    line = "audio: the model expects 10 numbers, this extractor makes 88"
    code, _, err = call("predict", speech_clip, "--model", served, "--preset", "light", "--transcript", TRANSCRIPT)
    assert code == 2
    assert err.splitlines()[0] == f"error: {speech_clip}: {line}"
    other = tmp_path / "other"
    shutil.copytree(light, other)
    extraction = read_json(other / "model.json")["extraction"]
    extraction["modalities"]["audio"]["dim"] = 1024
    edit_description(other, extraction=extraction)
    assert unpredicted(speech_clip, "--model", other) == (
        "audio: the model expects 88 numbers, the manifest's extractor (egemaps) makes 1024"
    )
    extraction["modalities"]["text"]["extractor"]["name"] = "another"
    extraction["modalities"]["audio"]["dim"] = 88
    edit_description(other, extraction=extraction)
    assert unpredicted(speech_clip, "--model", other).startswith("text: not the model that made the features: name ")


def test_a_manifest_can_be_named(light: Path, speech_clip: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(light, plain)
    described = read_json(plain / "model.json")
    (tmp_path / "manifest.json").write_text(json.dumps(described["extraction"]), "utf-8")
    edit_description(plain, extraction=None)
    told = call("predict", speech_clip, "--model", plain, "--manifest", tmp_path / "manifest.json")
    assert told == call("predict", speech_clip, "--model", light)
    assert told[0] == 0


def test_options_of_raw_clips_are_refused_for_features(light: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", ids=["a"], A=np.ones((1, 88)))
    assert "this holds features" in unpredicted(tmp_path / "x.npz", "--transcript", "hello", "--model", light)


def test_a_reader_refuses_a_model_that_shares_no_modality_with_its_manifest(light: Path, tmp_path: Path) -> None:
    from ramer.serving.raw_clips import ClipReader

    predictor = Predictor.load(light)
    raw = read_json(light / "model.json")["extraction"]
    raw["settings"] |= dict.fromkeys(raw["modalities"])
    raw["modalities"] = {}
    (tmp_path / "manifest.json").write_text(json.dumps(raw), "utf-8")
    with pytest.raises(RamerError, match="of which the manifest makes nothing"):
        ClipReader(predictor, manifest=tmp_path)
