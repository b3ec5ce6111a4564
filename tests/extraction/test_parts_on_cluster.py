"""A cluster extracts what one process does, and goes on where a machine was lost."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.closure import ROOT
from tests.support.commands import call
from tests.support.ray_cluster import ray_cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]
SOUND = ("--video", "none", "--text", "none", "--batch-size", "1")
CLIPS = 24


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:3"])
def test_no_cluster_is_one_line_and_no_gpu_is_looked_for_here(
    device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_wav: Callable[..., Path]
) -> None:
    make_wav(tmp_path / "media" / "a.wav", np.zeros(1600))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("RAMER_ENGINE", "")  # set back after the command has set it
    options = ("--engine", "ray", "--device", device)
    code, _, err = call("extract", tmp_path / "media", tmp_path / "out", *SOUND, *options)
    assert (code, len(err.splitlines())) == (2, 1)
    assert err.startswith("error: RAY_ADDRESS: no cluster at '127.0.0.1:1'")
    assert not (tmp_path / "out").exists()


def test_both_machines_are_lost_and_nothing_is_made_twice(
    tmp_path: Path, make_wav: Callable[..., Path], make_tone: Callable[..., np.ndarray]
) -> None:
    media, ours, theirs = tmp_path / "media", tmp_path / "out" / "features", tmp_path / "one" / "features"
    for number in range(CLIPS):
        make_wav(media / f"clip{number}.wav", make_tone(8.0, 200 + 20 * number))
    assert call("extract", media, tmp_path / "one", *SOUND)[0] == 0
    with ray_cluster() as cluster:
        command = [
            sys.executable,
            "-m",
            "ramer",
            "extract",
            str(media),
            str(tmp_path / "out"),
            *SOUND,
            "--engine",
            "ray",
        ]
        environment = {**os.environ, "RAY_ADDRESS": cluster.address}
        run = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        while not any(journal.stat().st_size for journal in ours.glob(".shards/*/journal.jsonl")):
            assert run.poll() is None, run.stderr and run.stderr.read()
            time.sleep(0.02)
        for _ in range(2):
            cluster.kill_node()
        made = {path: path.stat().st_mtime_ns for path in ours.rglob("*.npy") if path.parent.name.endswith("-UTT")}
        _, said = run.communicate()
    assert run.returncode == 0, said
    assert 0 < len(made) < CLIPS
    told, wanted = (json.loads((folder / "manifest.json").read_text()) for folder in (ours, theirs))
    assert told == wanted
    assert len(wanted["clips"]) == CLIPS
    for path in theirs.rglob("*.npy"):
        np.testing.assert_allclose(np.load(ours / path.relative_to(theirs)), np.load(path), atol=1e-5)
    # What a killed worker had written, and not yet noted, is the one thing that is made anew: at most a clip each.
    assert sum(path.stat().st_mtime_ns != before for path, before in made.items()) <= 2
