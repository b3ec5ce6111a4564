"""Parts of a corpus that are made side by side are, once merged, what one run makes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.extraction_scale import cut_clips
from ramer.extraction.shards import shards_of
from tests.support.closure import ROOT
from tests.support.commands import call

MakeWav = Callable[..., Path]
MakeTone = Callable[..., np.ndarray]

SOUND = ("--video", "none", "--text", "none")


@pytest.fixture
def media(tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone) -> Path:
    folder = tmp_path / "media"
    for number in range(12):
        make_wav(
            folder / f"s{number % 3}" / f"clip{number}.wav", make_tone(0.2 + 0.05 * (number % 4), 200 + 30 * number)
        )
    (folder / "broken.wav").write_bytes(b"")
    return folder


def whole_run(media: Path, out: Path, *options: str | Path) -> Path:
    """The features of one process."""
    assert call("extract", media, out, *(options or SOUND))[0] == 0
    return out / "features"


def assert_same(ours: Path, theirs: Path) -> None:
    """The same manifest, the same files, and vectors that differ by rounding at most."""
    assert json.loads((ours / "manifest.json").read_text()) == json.loads((theirs / "manifest.json").read_text())
    names = sorted(path.relative_to(theirs) for path in theirs.rglob("*"))
    assert sorted(path.relative_to(ours) for path in ours.rglob("*")) == names
    for name in (name for name in names if name.suffix == ".npy"):
        np.testing.assert_allclose(np.load(ours / name), np.load(theirs / name), atol=1e-5, err_msg=str(name))


def test_every_name_is_in_one_shard_whatever_else_there_is() -> None:
    names = [f"s{n % 7}/clip{n}" for n in range(3000)]
    held = [[name for name in names if shard.holds(name)] for shard in shards_of(8)]
    assert sorted(name for part in held for name in part) == sorted(names)
    assert all(300 < len(part) < 450 for part in held)


def test_shards_are_made_in_any_order_and_merged(media: Path, tmp_path: Path) -> None:
    theirs = whole_run(media, tmp_path / "whole")
    for number in (3, 1, 2, 1):
        assert call("extract", media, tmp_path / "out", *SOUND, "--shard", f"{number}/3")[0] == 0
    code, out, _ = call("extract", media, tmp_path / "out", *SOUND, "--merge")
    assert (code, out.splitlines()[0]) == (0, "13 clips, of all shards")
    assert_same(tmp_path / "out" / "features", theirs)
    assert call("extract", media, tmp_path / "out", *SOUND)[1].startswith("13 clips, 1 of them new")  # the broken one


def test_what_was_there_is_not_made_again(media: Path, tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone) -> None:
    features = whole_run(media, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in features.rglob("*.npy")}
    make_wav(media / "new.wav", make_tone(0.3, 500))
    told = [call("extract", media, tmp_path / "out", *SOUND, "--shard", f"{n}/2")[1] for n in (1, 2)]
    assert sum(int(text.split(", ")[1].split()[0]) for text in told) == 2  # the new one, and the broken one again
    assert call("extract", media, tmp_path / "out", *SOUND, "--merge")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert (features / "egemaps-UTT" / "new.npy").exists()


def test_a_killed_shard_goes_on_where_it_was(media: Path, tmp_path: Path) -> None:
    theirs = whole_run(media, tmp_path / "whole")
    command = [sys.executable, "-m", "ramer", "extract", str(media), str(tmp_path / "out"), *SOUND, "--batch-size", "1"]
    journal = tmp_path / "out/features/.shards/1-of-1/journal.jsonl"
    with subprocess.Popen([*command, "--shard", "1/1"], stdout=subprocess.DEVNULL) as run:
        while not journal.exists() or journal.read_text().count("\n") < 3:
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
    settled = journal.read_text().count('"extracted"')
    code, _, err = call("extract", media, tmp_path / "out", *SOUND, "--merge")
    assert (code, "shard 1/1 was not finished" in err) == (2, True)
    out = call("extract", media, tmp_path / "out", *SOUND, "--shard", "1/1")[1]
    assert out.startswith(f"13 clips, {13 - settled} of them")
    assert call("extract", media, tmp_path / "out", *SOUND, "--merge")[0] == 0
    assert_same(tmp_path / "out" / "features", theirs)


@pytest.mark.parametrize("asked", ["5/4", "0/4", "1", "a/b", "-1/4", "1/4/4", "1/10000", "1/1٢"])
def test_a_shard_that_is_none_is_one_line(asked: str, media: Path, tmp_path: Path) -> None:
    code, _, err = call("extract", media, tmp_path / "out", f"--shard={asked}")
    told = f"error: shard: expected I/N with I from 1 to N, at most 9999, as 1/4 or 4/4, got {asked!r}"
    assert (code, err.splitlines()) == (2, [told])
    assert not (tmp_path / "out").exists()


def _shard(media: Path, out: Path, shard: str, *options: str) -> tuple[int, str, str]:
    return call("extract", media, out, *SOUND, "--shard", shard, *options)


def test_shards_that_are_missing_are_named(media: Path, tmp_path: Path) -> None:
    out, features = tmp_path / "out", tmp_path / "out" / "features"
    assert call("extract", media, out, *SOUND, "--merge")[2].splitlines() == [
        f"error: {features}: no shards here, expected those of `ramer extract MEDIA OUT --shard I/N`"
    ]
    _shard(media, out, "2/4")
    _shard(media, out, "4/4")
    code, _, err = call("extract", media, out, *SOUND, "--merge")
    assert (code, err.splitlines()) == (
        2,
        [f"error: {features}: shard {n}/4 is missing: `ramer extract MEDIA OUT --shard {n}/4`" for n in (1, 3)],
    )
    assert not (features / "manifest.json").exists()


def test_very_many_missing_shards_are_told_at_once(media: Path, tmp_path: Path) -> None:
    """Also of a folder of before there was a largest number."""
    out, features = tmp_path / "out", tmp_path / "out" / "features"
    _shard(media, out, "1/1")
    (features / ".shards/1-of-1").rename(features / ".shards/1-of-9999999")
    begun = time.process_time()
    code, _, err = call("extract", media, out, *SOUND, "--merge")
    assert time.process_time() - begun < 2
    told = err.splitlines()
    assert (code, told[0].split("features: ")[1]) == (
        2,
        "shard 2/9999999 is missing: `ramer extract MEDIA OUT --shard 2/9999999`",
    )
    assert (len(told), told[-1]) == (21, f"error: {features}: 9999978 more shards are missing")


@pytest.mark.parametrize("kind", ["UTT", "FRA"])
def test_a_shard_that_lost_a_file_is_named_and_makes_it_again(media: Path, tmp_path: Path, kind: str) -> None:
    theirs = whole_run(media, tmp_path / "whole", *SOUND, "--frames")
    out, features = tmp_path / "out", tmp_path / "out" / "features"
    for number in (1, 2):
        assert _shard(media, out, f"{number}/2", "--frames")[0] == 0
    (lost,) = features.glob(f"*-{kind}/s1/clip4.npy")
    lost.unlink()
    shard = next(shard for shard in shards_of(2) if shard.holds("s1/clip4"))
    code, said, err = call("extract", media, out, *SOUND, "--frames", "--merge")
    told = f"shard {shard} has lost 1 of its files, the first egemaps-{kind}/s1/clip4.npy"
    assert (code, said, err.splitlines()) == (
        2,
        "",
        [f"error: {features}: {told}: `ramer extract MEDIA OUT --shard {shard}`"],
    )
    assert not (features / "manifest.json").exists()
    assert _shard(media, out, str(shard), "--frames")[0] == 0
    assert call("extract", media, out, *SOUND, "--frames", "--merge")[0] == 0
    assert_same(features, theirs)


def test_lost_files_that_a_run_does_not_make_are_told(media: Path, tmp_path: Path) -> None:
    features = whole_run(media, tmp_path / "out")
    (features / "egemaps-UTT/s1/clip4.npy").unlink()
    transcripts = tmp_path / "transcripts.csv"
    transcripts.write_text("clip,sentence\ns1/clip4,\n", "utf-8")
    options = ("--transcripts", transcripts, "--audio", "none", "--video", "none")
    code, _, err = call("extract", media, tmp_path / "out", *options)
    assert (code, f"{features}: audio: the vectors of 1 clips are gone, the first 's1/clip4'" in err) == (0, True)


_WAYS: list[tuple[str, ...]] = [(), ("--shard", "1/1"), ("--merge",)]


@pytest.mark.parametrize(
    ("way", "options", "environment", "told"),
    [
        *(
            (way, (), {"RAMER_ENGINE": "bogus"}, "RAMER_ENGINE: expected one of serial, local, ray, got 'bogus'")
            for way in _WAYS  # not --engine, which goes before the variable
        ),
        *(
            (way, (), {"RAMER_WORKERS": "0"}, "RAMER_WORKERS: expected a whole number of at least 1, got '0'")
            for way in [*_WAYS, ("--engine", "serial")]
        ),
        *(
            (way, ("--device", "bogus"), {}, "device: unknown name 'bogus', expected auto, cpu, cuda or cuda:N")
            for way in [*_WAYS, ("--engine", "ray")]
        ),
    ],
)
def test_what_is_given_is_checked_before_any_work(
    way: tuple[str, ...],
    options: tuple[str, ...],
    environment: dict[str, str],
    told: str,
    media: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAMER_ENGINE", "")  # set back after the command has set it
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    code, _, err = call("extract", media, tmp_path / "out", *SOUND, *way, *options)
    assert (code, err.splitlines()) == (2, [f"error: {told}"])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", "Local", "spark"])
def test_an_engine_that_is_none_is_one_line(name: str, media: Path, tmp_path: Path) -> None:
    code, _, err = call("extract", media, tmp_path / "out", *SOUND, f"--engine={name}")
    told = (
        f"engine: expected one of serial, local, ray, got {name!r}"
        if name
        else "--engine: empty text, expected a value"
    )
    assert (code, err.splitlines()) == (2, [f"error: {told}"])
    assert not (tmp_path / "out").exists()


def test_shards_of_other_settings_or_numbers_are_refused(media: Path, tmp_path: Path, hubert: Path) -> None:
    out, features = tmp_path / "out", tmp_path / "out" / "features"
    _shard(media, out, "1/2")
    _shard(media, out, "2/2", "--frames")
    code, _, err = call("extract", media, out, *SOUND, "--merge")
    told = f"error: {features}: shard 2/2: made with other settings than shard 1/2 (frames)"
    assert (code, err.splitlines()) == (2, [told])
    assert _shard(media, out, "1/3")[0] == 2
    told = f"error: {features}: shards are not merged: `ramer extract MEDIA OUT --merge`, or remove .shards"
    assert call("extract", media, out, *SOUND)[2].splitlines() == [told]


def test_a_clip_that_came_later_is_in_no_shard(
    media: Path, tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone
) -> None:
    _shard(media, tmp_path / "out", "1/1")
    make_wav(media / "late.wav", make_tone(0.3))
    code, _, err = call("extract", media, tmp_path / "out", *SOUND, "--merge")
    assert code == 2
    assert "1 clips are in no shard, the first 'late'" in err
    assert len(err.splitlines()) == 1


def test_features_of_other_settings_stay(media: Path, tmp_path: Path, hubert: Path) -> None:
    options = ("--video", "none", "--text", "none", "--audio", hubert)
    features = whole_run(media, tmp_path / "out", *options)
    before = {path: path.read_bytes() for path in features.rglob("*.*")}
    code, _, err = call("extract", media, tmp_path / "out", *options, "--layers", "2", "--shard", "1/2")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "holds features of other settings, which shards do not replace" in err
    assert {path: path.read_bytes() for path in features.rglob("*.*") if path.is_file()} == before


@pytest.mark.parametrize(
    "options", [("--shard", "1/2", "--merge"), ("--merge", "--engine", "ray"), ("--shard", "1/2", "--prune")]
)
def test_options_that_exclude_one_another(options: tuple[str, ...], media: Path, tmp_path: Path) -> None:
    code, _, err = call("extract", media, tmp_path / "out", *SOUND, *options)
    assert (code, len(err.splitlines())) == (2, 1)


def test_processes_of_this_machine_make_the_same(
    media: Path, tmp_path: Path, hubert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ramer.engine import processes
    from ramer.extraction import parts

    options = ("--video", "none", "--text", "none", "--audio", hubert)
    theirs = whole_run(media, tmp_path / "whole", *options)
    monkeypatch.setattr(parts, "_BATCHES", 1)
    monkeypatch.setattr(processes, "START_SECONDS", 0.0)
    monkeypatch.setenv("RAMER_WORKERS", "2")
    monkeypatch.setenv("RAMER_ENGINE", "")  # set back after the command has set it
    code, out, _ = call("extract", media, tmp_path / "out", *options, "--batch-size", "3", "--engine", "local")
    assert (code, out.splitlines()[0]) == (0, "13 clips, 13 of them new, changed or tried again")
    assert_same(tmp_path / "out" / "features", theirs)


_TWO_WORKERS = """
import sys, time
from pathlib import Path
from ramer.engine import processes
from ramer.extraction import corpus_features
processes.START_SECONDS = 0.0
store = corpus_features._store
def store_and_wait(*given):
    store(*given)  # until the other one, which starts slower than all is done, has begun a part
    while len(list(Path(sys.argv[1]).glob("*/journal.jsonl"))) < 2:
        time.sleep(0.01)
corpus_features._store = store_and_wait
from ramer.cli import app
app(sys.argv[2:])
"""


@pytest.mark.slow
def test_after_a_killed_worker_the_next_run_makes_what_is_left(
    media: Path, tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        make_wav(media / f"long{number}.wav", make_tone(4.0, 200 + 20 * number))
    theirs, features = whole_run(media, tmp_path / "whole"), tmp_path / "out" / "features"
    options = [str(media), str(tmp_path / "out"), *SOUND, "--batch-size", "1", "--engine", "local"]
    monkeypatch.setenv("RAMER_WORKERS", "2")
    with subprocess.Popen(
        [sys.executable, "-c", _TWO_WORKERS, str(features / ".shards"), "extract", *options],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        while len(list(features.glob(".shards/*/journal.jsonl"))) < 2:  # of this process and of the other one
            assert run.poll() is None
            time.sleep(0.01)
        (worker,) = (
            int(pid) for path in Path(f"/proc/{run.pid}/task").glob("*/children") for pid in path.read_text().split()
        )
        os.kill(worker, signal.SIGKILL)
        _, said = run.communicate()
    assert run.returncode == 2
    assert said.splitlines()[-1].startswith("error: a worker process was killed, most likely for want of memory")
    made = {path: path.stat().st_mtime_ns for path in features.glob("egemaps-UTT/**/*.npy")}
    assert 0 < len(made) < 18
    monkeypatch.setenv("RAMER_WORKERS", "1")
    monkeypatch.setenv("RAMER_ENGINE", "")  # set back after the command has set it
    assert call("extract", *options)[0] == 0
    assert_same(features, theirs)
    # What the killed worker had written, and not yet noted, is the one thing that is made anew.
    assert sum(path.stat().st_mtime_ns != before for path, before in made.items()) <= 1


@pytest.mark.slow
def test_cut_real_clips_are_the_same(speech_clip: Path, tmp_path: Path) -> None:
    media = cut_clips(speech_clip, tmp_path / "media", 4)
    theirs = whole_run(media, tmp_path / "whole", "--text", "none")
    for number in (1, 2, 3):
        assert call("extract", media, tmp_path / "out", "--text", "none", "--shard", f"{number}/3")[0] == 0
    assert call("extract", media, tmp_path / "out", "--text", "none", "--merge")[0] == 0
    assert_same(tmp_path / "out" / "features", theirs)
