"""A raw clip over HTTP, as the command line predicts it."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ramer.cli import app
from ramer.modalities import CONDITIONS, LETTERS
from ramer.serving.clips import ClipReader
from ramer.serving.predictor import Predictor
from tests.serving.light import TRANSCRIPT, build_light_project
from tests.tracking.registered import ask, run_report, run_track, serving

for _package in ("av", "cv2", "opensmile", "skimage", "transformers"):
    pytest.importorskip(_package, reason=f"{_package} is not installed (extra: extract)")

CLIP = Path(__file__).parents[2] / ".." / "shared" / "media" / "speech_clip.mp4"
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")]


@pytest.mark.skipif(not CLIP.exists(), reason="the real speech clip is not there (../shared/media/speech_clip.mp4)")
def test_a_raw_clip_is_answered_over_http_as_on_the_command_line(new_store: Path, tmp_path: Path) -> None:
    root = build_light_project(tmp_path / "project", CLIP)
    shutil.copy(new_store, root / "mlflow.db")
    run_report(root)
    run_track(root)
    vectors = ClipReader(Predictor.load(root)).read(CLIP, TRANSCRIPT).vectors
    whole = {m: v.tolist() for m, v in vectors.items() if v is not None}
    assert set(whole) == set(LETTERS)
    with serving(root) as url:
        for condition in CONDITIONS:
            record = {m: v if LETTERS[m] in condition else None for m, v in whole.items()}
            (answer,) = ask(url, dataframe_records=[record])
            dropped = "".join(set("avt") - set(condition))
            arguments = ["predict", str(CLIP), "--transcript", TRANSCRIPT, "--model", str(root), "--drop", dropped]
            (row,) = csv.DictReader(io.StringIO(CliRunner().invoke(app, arguments).stdout))
            scores = {key: float(value) for key, value in row.items() if key.startswith("p/")}
            assert {key: answer[key] for key in scores} == pytest.approx(scores, abs=1e-6)
            assert (answer["available"], answer["predicted"]) == (condition, row["predicted"])
