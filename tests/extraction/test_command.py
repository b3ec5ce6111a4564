"""The command line: what a user types, sees and gets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import call

MakeWav = Callable[..., Path]
MakeTone = Callable[..., np.ndarray]


@pytest.fixture
def media(tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone) -> Path:
    make_wav(tmp_path / "media" / "[bold]a.wav", make_tone(0.5))
    make_wav(tmp_path / "media" / "b.wav", make_tone(0.5, 440))
    (tmp_path / "media" / "[red]broken.wav").write_bytes(b"")
    return tmp_path / "media"


def test_a_run_tells_what_it_did(media: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("clip,label\n[bold]a,sad\nb,happy\n", "utf-8")
    code, out, err = call("extract", media, tmp_path / "out", "--video", "none", "--text", "none", "--labels", labels)
    assert code == 0
    assert out.splitlines() == [
        "3 clips, 3 of them new, changed or tried again",
        "audio: 2 extracted, 0 missing, 1 failed; 88 values",
        f"features and manifest -> {tmp_path / 'out' / 'features'}",
        f"packed -> {tmp_path / 'out' / 'corpus.npz'}",
    ]
    assert err.splitlines() == ["[red]broken: audio: the file cannot be read: Invalid data found when processing input"]


def test_models_and_options_reach_the_manifest(media: Path, tmp_path: Path, hubert: Path) -> None:
    import json

    options = ("--video", "none", "--text", "none", "--layers", "2", "--frames")
    assert call("extract", media, tmp_path / "out", "--audio", hubert, *options)[0] == 0
    manifest = json.loads((tmp_path / "out" / "features" / "manifest.json").read_text("utf-8"))
    assert manifest["settings"]["audio"]["layers"] == 2
    assert manifest["modalities"]["audio"]["folder"] == "tiny-hubert-UTT"
    assert (tmp_path / "out" / "features" / "tiny-hubert-FRA" / "b.npy").exists()
    assert call("extract", media, tmp_path / "like", "--like", tmp_path / "out")[0] == 0
    for name in ("manifest.json", "tiny-hubert-UTT/b.npy"):
        assert (tmp_path / "like/features" / name).read_bytes() == (tmp_path / "out/features" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--preset", "heavy"), "error: preset: unknown name 'heavy', expected one of light, mer2024"),
        (("--layers", "0"), "error: extract: audio.layers: input should be greater than or equal to 1, got 0"),
        (("--language", "zh"), "error: language: is for speech recognition, expected --recognise with a Whisper model"),
        (
            ("--audio", "none", "--video", "none", "--text", "none"),
            "error: extract: every modality is left out, nothing to do",
        ),
        (
            ("--like", "nowhere.json"),
            "error: nowhere.json: no such file, expected the manifest that ramer extract wrote",
        ),
        (("--device", "gpu"), "error: device: unknown name 'gpu', expected auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_line(
    arguments: tuple[str, ...], line: str, media: Path, tmp_path: Path
) -> None:
    code, _, err = call("extract", media, tmp_path / "out", *arguments)
    assert code == 2
    assert line in err.splitlines()
    assert not (tmp_path / "out").exists()


def test_importing_the_command_is_cheap() -> None:
    heavy = ("av", "cv2", "torch", "transformers", "numpy", "pydantic", "rich.progress")
    code = f"import sys, ramer.commands.extract; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
