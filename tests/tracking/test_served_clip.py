"""A raw clip over HTTP, as the command line predicts it."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest

from ramer.modalities import CONDITIONS, LETTERS
from ramer.serving.predictor import Predictor
from ramer.serving.raw_clips import ClipReader
from tests.support.commands import call
from tests.support.light import TRANSCRIPT, build_light_project
from tests.support.media import require_extraction
from tests.support.registered import ask, run_track, serving
from tests.support.served_project import run_report

require_extraction()
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")]


def test_a_raw_clip_is_answered_over_http_as_on_the_command_line(
    speech_clip: Path, new_store: Path, tmp_path: Path
) -> None:
    root = build_light_project(tmp_path / "project", speech_clip)
    shutil.copy(new_store, root / "mlflow.db")
    run_report(root)
    run_track(root)
    vectors = ClipReader(Predictor.load(root)).read(speech_clip, TRANSCRIPT).vectors
    whole = {m: v.tolist() for m, v in vectors.items() if v is not None}
    assert set(whole) == set(LETTERS)
    with serving(root) as url:
        for condition in CONDITIONS:
            record = {m: v if LETTERS[m] in condition else None for m, v in whole.items()}
            (answer,) = ask(url, dataframe_records=[record])
            dropped = "".join(set("avt") - set(condition))
            _, out, _ = call("predict", speech_clip, "--transcript", TRANSCRIPT, "--model", root, "--drop", dropped)
            (row,) = csv.DictReader(io.StringIO(out))
            scores = {key: float(value) for key, value in row.items() if key.startswith("p/")}
            assert {key: answer[key] for key in scores} == pytest.approx(scores, abs=1e-6)
            assert (answer["available"], answer["predicted"]) == (condition, row["predicted"])
