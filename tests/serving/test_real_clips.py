"""A real clip through ``ramer evaluate`` and through ``ramer serve``, as its extracted features go."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from ramer.files import read_table
from ramer.modalities import CONDITIONS
from ramer.pipeline.new_clips import EVALUATION_FILE, Evaluation
from ramer.project import Project
from ramer.serving.predictor import Predictor
from ramer.serving.raw_clips import ClipReader
from tests.support.closure import ROOT
from tests.support.commands import call, refused
from tests.support.light import LABELS, TRANSCRIPT, build_light_project
from tests.support.media import require_extraction
from tests.support.web_servers import port_of

pytestmark = pytest.mark.slow
CLIPS = ("one", "two", "three")
TRUTH = ("calm", "cross", "glad")


@pytest.fixture(scope="module")
def light(speech_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_extraction()
    return build_light_project(tmp_path_factory.mktemp("light") / "project", speech_clip)


@pytest.fixture(scope="module")
def media(speech_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder ``clips`` of three raw clips, one of them in a folder of its own, with their labels and transcripts."""
    folder = tmp_path_factory.mktemp("media")
    for name in CLIPS:
        (folder / "clips" / "day").mkdir(parents=True, exist_ok=True)
        shutil.copy(speech_clip, folder / "clips" / "day" / f"{name}{speech_clip.suffix}")
    rows = [f"day/{name},{label}" for name, label in zip(CLIPS, TRUTH, strict=True)]
    (folder / "labels.csv").write_text("\n".join(["clip,label", *rows]), "utf-8")
    (folder / "words.csv").write_text(f'clip,sentence\nday/one,"{TRANSCRIPT}"\n', "utf-8")
    return folder


def test_raw_clips_with_labels_are_scored_as_their_features_predict(
    light: Path, media: Path, speech_clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked: list[str | Path] = ["evaluate", media / "clips", "--model", light, "--labels", media / "labels.csv"]
    code, said, told = call(*asked, "--transcripts", media / "words.csv", "--out", out)
    assert code == 0, told
    assert f"3 clips -> {out}" in said
    done = Evaluation.read(out / EVALUATION_FILE)
    assert (done.clips, done.source) == (3, str(media / "clips"))
    assert {score.condition for score in done.scores} >= set(CONDITIONS)
    table = read_table(Project(out).method_results(done.method) / "predictions.parquet")
    assert set(table["id"]) == {f"day/{name}" for name in CLIPS}
    predictor = Predictor.load(light)
    with_words, without = (ClipReader(predictor).read(speech_clip, words).vectors for words in (TRANSCRIPT, None))
    assert (with_words["text"] is None, without["text"] is None) == (False, True)
    of_all = table[table["condition"] == "avt"].set_index("id")
    for name, vectors in (("one", with_words), ("two", without)):
        expected = predictor.predict(vectors)
        got = of_all.loc[f"day/{name}", [f"p/{label}" for label in predictor.label_names]]
        np.testing.assert_allclose(got.to_numpy(dtype=float), expected.probabilities[0], atol=1e-5)
    assert dict(zip(of_all.index, of_all["label"], strict=True)) == {
        f"day/{name}": label for name, label in zip(CLIPS, TRUTH, strict=True)
    }
    hits = (of_all["predicted"] == of_all["label"]).groupby(of_all["label"]).mean()
    uar = next(s.value for s in done.scores if (s.metric, s.condition) == ("uar", "avt"))
    assert uar == pytest.approx(float(hits.mean()), abs=1e-6)
    assert Project(out).report.is_file()
    made = {p: p.stat().st_mtime_ns for p in (tmp_path / "out.features").rglob("*.npy")}
    assert made
    assert call(*asked, "--transcripts", media / "words.csv", "--out", out)[0] == 0
    assert {p: p.stat().st_mtime_ns for p in made} == made  # features are not made twice


def test_raw_clips_without_labels_or_with_foreign_ones_are_refused(light: Path, media: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "expected --labels" in refused("evaluate", media / "clips", "--model", light, "--out", out)
    pd.read_csv(media / "labels.csv").replace("glad", "joyful").to_csv(tmp_path / "labels.csv", index=False)
    asked: list[str | Path] = ["evaluate", media / "clips", "--model", light, "--out", out]
    asked += ["--labels", tmp_path / "labels.csv"]
    code, said, told = call(*asked)
    assert (code, said) == (2, "")
    assert told.splitlines()[-1].startswith("error: ")
    assert "joyful" in told.splitlines()[-1]
    assert not out.exists()
    assert call(*asked, "--map", "joyful=glad")[0] == 0
    assert Evaluation.read(out / EVALUATION_FILE).mapping == {"joyful": "glad"}


@contextlib.contextmanager
def serving(model: Path) -> Iterator[int]:
    """``ramer serve`` in a process of its own: its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ramer.cli", "serve", "--model", str(model), "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield port_of(process)
    finally:
        process.terminate()
        process.communicate(timeout=60)


def upload(port: int, name: str, data: bytes, transcript: str = "") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    with contextlib.closing(connection):
        path = f"/predict?name={name}&transcript={quote(transcript)}"
        connection.request("POST", path, data, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        return answer.status, dict(json.loads(answer.read()))


def test_an_uploaded_clip_is_answered_as_its_features_are(light: Path, speech_clip: Path) -> None:
    predictor = Predictor.load(light)
    expected = {
        words: predictor.predict(ClipReader(predictor).read(speech_clip, words or None).vectors)
        for words in (TRANSCRIPT, "")
    }
    with serving(light) as port:
        for words, missing in ((TRANSCRIPT, []), ("", ["text"])):
            status, told = upload(port, f"clip{speech_clip.suffix}", speech_clip.read_bytes(), words)
            assert status == 200, told
            (answer,) = told["answers"]
            assert answer["missing"] == missing
            assert set(answer["probabilities"]) == set(LABELS)
            got = [answer["probabilities"][label] for label in predictor.label_names]
            np.testing.assert_allclose(got, expected[words].probabilities[0], atol=1e-5)
            assert answer["predicted"] == expected[words].labels[0]
        status, told = upload(port, "torn.mp4", speech_clip.read_bytes()[:5000])
        assert status == 400
        assert "torn.mp4" in told["error"]
        assert "\n" not in told["error"]
        # Nothing of the refused clip stays: the next one is answered as before.
        status, told = upload(port, f"clip{speech_clip.suffix}", speech_clip.read_bytes(), TRANSCRIPT)
        assert (status, told["answers"][0]["predicted"]) == (200, expected[TRANSCRIPT].labels[0])
