"""Many raw clips in one command: a row for each, and a rerun that makes only what is new."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ramer.cli import app
from ramer.serving.predictor import Predictor
from ramer.serving.raw_clips import ClipReader
from tests.support.light import TRANSCRIPT, build_light_project
from tests.support.media import require_extraction

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def light(speech_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_extraction()
    return build_light_project(tmp_path_factory.mktemp("light") / "project", speech_clip)


def test_a_folder_of_clips_is_a_csv_with_a_row_for_each(light: Path, speech_clip: Path, tmp_path: Path) -> None:
    media = tmp_path / "clips"
    (media / "day1").mkdir(parents=True)
    shutil.copy(speech_clip, media / "day1" / f"one{speech_clip.suffix}")
    (media / "torn.mp4").write_bytes(b"no film at all")
    (tmp_path / "t.csv").write_text(f'clip,sentence\nday1/one,"{TRANSCRIPT}"\n')
    out = tmp_path / "emotions.csv"
    asked = ["predict", str(media), "--model", str(light), "--transcripts", str(tmp_path / "t.csv"), "-o", str(out)]
    ran = CliRunner().invoke(app, asked)
    assert ran.exit_code == 0, ran.output
    table = pd.read_csv(out, keep_default_na=False).set_index("id")
    assert list(table.index) == ["day1/one", "torn"]
    assert list(table["available"]) == ["avt", ""]
    predictor = Predictor.load(light)
    made = ClipReader(predictor).read(speech_clip, TRANSCRIPT)
    said = predictor.predict(made.vectors)
    columns = [c for c in table if str(c).startswith("p/")]
    np.testing.assert_allclose(table[columns].to_numpy(dtype=float)[0], said.probabilities[0], atol=1e-5)
    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "emotions.features").rglob("*.npy")}
    assert written
    assert CliRunner().invoke(app, asked).exit_code == 0
    assert {p: p.stat().st_mtime_ns for p in written} == written  # nothing was made again


def test_many_clips_need_a_file_to_go_to(light: Path, speech_clip: Path, tmp_path: Path) -> None:
    shutil.copy(speech_clip, tmp_path / speech_clip.name)
    ran = CliRunner().invoke(app, ["predict", str(tmp_path), "--model", str(light)])
    assert ran.exit_code == 2
    assert "many clips: expected -o FILE" in ran.stderr
    ran = CliRunner().invoke(app, ["predict", "clips.npz", "--model", str(light), "--transcripts", "t.csv"])
    assert (ran.exit_code, "--transcripts is for a folder of clips" in ran.stderr) == (2, True)
