"""A whole corpus: layout, manifest, reruns, killed runs, odd names."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.errors import ConfigError, CorpusError, ModelError
from ramer.extraction.corpus_features import Summary, extract_corpus
from ramer.extraction.extractor import Extractor
from ramer.extraction.settings import (
    AudioSettings,
    ExtractionSettings,
    Model,
    RecognitionSettings,
    TextSettings,
    VideoSettings,
)

MakeWav = Callable[..., Path]
MakeTone = Callable[..., np.ndarray]

SEEKING = {"detector", "detections_per_second", "face", "margin", "min_face_share"}
SOUND_AND_TEXT = ExtractionSettings(video=None)


def run(media: Path, out: Path, settings: ExtractionSettings = SOUND_AND_TEXT, **options: Any) -> Summary:
    return extract_corpus(Extractor(settings, device="cpu"), media, out, **options)


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "features" / "manifest.json").read_text("utf-8"))
    return found


def files(out: Path) -> dict[str, int]:
    """Feature files with the time of their last change."""
    return {str(p.relative_to(out)): p.stat().st_mtime_ns for p in (out / "features").rglob("*") if p.is_file()}


def table(path: Path, rows: list[tuple[str, str]], encoding: str = "utf-8") -> Path:
    lines = [f'"{clip}","{sentence}"' for clip, sentence in [("clip", "sentence"), *rows]]
    path.write_text("\n".join(lines) + "\n", encoding)
    return path


@pytest.fixture
def media(tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone) -> Path:
    """Three sounds and a broken file."""
    folder = tmp_path / "media"
    for number, name in enumerate(("a", "b", "c")):
        make_wav(folder / f"{name}.wav", make_tone(0.5, 200 + 50 * number))
    (folder / "broken.mp4").write_bytes(b"not a video")
    return folder


def test_the_real_clip_in_the_merbench_layout(media_folder: Path, tmp_path: Path) -> None:
    sentences = table(tmp_path / "t.csv", [("speech", "Kids are talking by the door.")])
    settings = ExtractionSettings(per_frame=True)
    summary = run(media_folder, tmp_path / "out", settings, transcripts=sentences)
    assert summary.counts == {m: {"extracted": 1} for m in ("audio", "video", "text")}
    features = tmp_path / "out" / "features"
    shapes = {str(p.relative_to(features)): np.load(p).shape for p in sorted(features.rglob("*.npy"))}
    assert shapes.pop("egemaps-FRA/speech.npy")[1] == 25
    assert shapes == {
        "egemaps-UTT/speech.npy": (88,),
        "face_hog_lbp-FRA/speech.npy": (17, 1060),
        "face_hog_lbp-UTT/speech.npy": (1060,),
        "minilm-FRA/speech.npy": (7, 384),
        "minilm-UTT/speech.npy": (384,),
    }
    again = Extractor.from_manifest(tmp_path / "out", device="cpu").extract_clip(
        media_folder / "speech.mp4", "Kids are talking by the door."
    )
    for modality, folder in (("audio", "egemaps"), ("video", "face_hog_lbp"), ("text", "minilm")):
        np.testing.assert_array_equal(again.vectors[modality], np.load(features / f"{folder}-UTT" / "speech.npy"))


def test_one_bad_clip_is_reported_and_skipped(media: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sentences = table(tmp_path / "t.csv", [("a", "孩子们在说话"), ("b", ""), ("only words", "no media")])
    with caplog.at_level(logging.INFO, logger="ramer.extraction"):
        summary = run(media, tmp_path / "out", transcripts=sentences)
    assert summary.counts == {
        "audio": {"extracted": 3, "missing": 1, "failed": 1},
        "text": {"extracted": 2, "missing": 3},
    }
    lines = [record.getMessage() for record in caplog.records]
    assert len([line for line in lines if line.startswith("broken: audio: the file cannot be read: ")]) == 1
    assert "b: text: empty transcript" in lines
    clips = manifest(tmp_path / "out")["clips"]
    assert clips["only words"]["audio"] == {
        "reason": "no media file",
        "sha256": None,
        "source": None,
        "status": "missing",
    }
    assert clips["broken"]["audio"]["status"] == "failed"
    names = {p.name for p in (tmp_path / "out" / "features" / "egemaps-UTT").iterdir()}
    assert names == {"a.npy", "b.npy", "c.npy"}


def test_a_rerun_does_only_what_is_new_has_changed_or_failed(
    media: Path, tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone
) -> None:
    out = tmp_path / "out"
    sentences = table(tmp_path / "t.csv", [("a", "one"), ("b", "two")])
    run(media, out, transcripts=sentences)
    first = files(out)
    assert run(media, out, transcripts=sentences).done == 1  # the broken one is tried again
    second = files(out)
    assert {k: v for k, v in second.items() if k.endswith(".npy")} == {
        k: v for k, v in first.items() if k.endswith(".npy")
    }
    make_wav(media / "a.wav", make_tone(0.5, 333))
    make_wav(media / "d.wav", make_tone(0.5, 444))
    make_wav(media / "c.wav", np.zeros(8000))
    (media / "broken.mp4").unlink()
    table(sentences, [("a", "one"), ("b", "changed")])
    summary = run(media, out, transcripts=sentences)
    assert (summary.done, summary.gone) == (4, 1)
    third = files(out)
    changed = {name for name in third if third[name] != second.get(name) and name.endswith(".npy")}
    assert changed == {"features/egemaps-UTT/a.npy", "features/egemaps-UTT/d.npy", "features/minilm-UTT/b.npy"}
    assert "features/egemaps-UTT/c.npy" not in third  # silent now


def test_the_same_corpus_gives_the_same_bytes(media: Path, tmp_path: Path) -> None:
    sentences = table(tmp_path / "t.csv", [("a", "one")])
    for name in ("x", "y"):
        run(media, tmp_path / name, transcripts=sentences)
    run(media, tmp_path / "y", transcripts=sentences)
    for path in files(tmp_path / "x"):
        assert (tmp_path / "x" / path).read_bytes() == (tmp_path / "y" / path).read_bytes(), path
    assert set(files(tmp_path / "x")) == set(files(tmp_path / "y"))


def test_other_settings_replace_the_features_of_one_modality(media: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sentences = table(tmp_path / "t.csv", [("a", "one"), ("b", "two")])
    run(media, out, transcripts=sentences)
    before = files(out)
    louder = AudioSettings(silence_dbfs=-3.0)  # every clip is silent by this measure
    shutil.rmtree(media)
    media.mkdir()
    with pytest.raises(CorpusError, match="no clip found"):
        run(media, out, ExtractionSettings(audio=louder, video=None))
    assert files(out) == before
    (media / "a.wav").write_bytes(b"")
    run(media, out, ExtractionSettings(audio=louder, video=None), transcripts=sentences)
    after = files(out)
    assert [name for name in after if "egemaps" in name] == []
    assert after["features/minilm-UTT/b.npy"] == before["features/minilm-UTT/b.npy"]


def test_a_modality_can_be_added_later(media: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(media, out, ExtractionSettings(video=None, text=None))
    sentences = table(tmp_path / "t.csv", [("a", "one")])
    run(media, out, ExtractionSettings(audio=None, video=None), transcripts=sentences)
    found = manifest(out)
    assert set(found["modalities"]) == {"audio", "text"}
    assert found["clips"]["a"]["audio"]["status"] == found["clips"]["a"]["text"]["status"] == "extracted"


def test_gone_clips_are_kept_unless_pruned(media: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(media, out)
    (media / "b.wav").unlink()
    assert run(media, out).gone == 1
    assert (out / "features/egemaps-UTT/b.npy").exists()
    assert "b" in manifest(out)["clips"]
    run(media, out, prune=True)
    assert not (out / "features/egemaps-UTT/b.npy").exists()
    assert "b" not in manifest(out)["clips"]


def test_names_with_spaces_unicode_folders_and_brackets(tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone) -> None:
    names = [
        "two words",
        "孩子 01",
        "sub/inner clip",
        "[red]a[/red]",
        "a..b",
        "x.y.z",
        "100%",
        "colon:name",
        "back\\slash",
    ]
    for name in names:
        make_wav(tmp_path / "media" / f"{name}.wav", make_tone(0.3))
    run(tmp_path / "media", tmp_path / "out")
    made = (tmp_path / "out/features/egemaps-UTT").rglob("*.npy")
    assert sorted(str(p.relative_to(tmp_path / "out/features/egemaps-UTT")) for p in made) == sorted(
        f"{name}.npy" for name in names
    )
    assert sorted(manifest(tmp_path / "out")["clips"]) == sorted(names)


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "a/../../evil", "..", "a//b", "bell\x07", "x" * 300])
def test_a_name_that_leads_elsewhere_is_left_out(
    name: str, media: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sentences = table(tmp_path / "t.csv", [("a", "one"), (name, "evil words")])
    summary = run(media, tmp_path / "out", transcripts=sentences)
    assert len(summary.left_out) == 1
    assert summary.left_out[0].startswith(f"{sentences}: row 3: clip {name!r}: a name must not")
    assert sorted(manifest(tmp_path / "out")["clips"]) == ["a", "b", "broken", "c"]
    assert not list(tmp_path.rglob("*evil*"))


def test_a_manifest_cannot_lead_elsewhere(media: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(media, out)
    victim = tmp_path / "victim.npy"
    victim.write_bytes(b"precious")
    found = manifest(out)
    found["clips"]["../../../victim"] = found["clips"]["a"]
    (out / "features" / "manifest.json").write_text(json.dumps(found), "utf-8")
    with pytest.raises(CorpusError, match="must not be absolute"):
        run(media, out, prune=True)
    assert victim.exists()


def test_two_files_of_one_name(tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone, speech_clip: Path) -> None:
    media = tmp_path / "media"
    make_wav(media / "x.wav", make_tone())
    shutil.copy(speech_clip, media / "x.mp4")
    (media / "x.avi").write_bytes(b"another")
    summary = run(media, tmp_path / "out", ExtractionSettings(text=None))
    assert summary.counts == {"audio": {"extracted": 1}, "video": {"failed": 1}}
    assert manifest(tmp_path / "out")["clips"]["x"]["audio"]["source"] == "x.wav"
    assert summary.left_out == ("'x.mp4': a second file for the clip 'x', beside 'x.avi'; left out",)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"clip,text\na,b\n", "no column sentence, expected clip, sentence"),
        ("clip,sentence\na,说话\n".encode("gbk"), "not UTF-8"),
        (b"clip,sentence\na,one, two\n", "row 2: more fields than the header names; is a comma not quoted?"),
        (b"clip,sentence\na,x\n ,y\n", "row 3: clip: empty, expected a name"),
        (b"", "no column clip, sentence"),
    ],
)
def test_a_table_that_cannot_be_used(content: bytes, line: str, media: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(CorpusError) as error:
        run(media, tmp_path / "out", transcripts=path)
    assert [fault for fault in error.value.faults if line in fault]
    assert not (tmp_path / "out").exists()


def test_a_table_as_excel_writes_it(media: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("\ufeffclip,sentence\r\na.wav,说话\r\na,twice\r\n".encode())
    summary = run(media, tmp_path / "out", transcripts=path)
    assert summary.counts["text"]["extracted"] == 1
    assert summary.left_out == (f"{path}: row 3: clip 'a' was named before; left out",)


def test_recognised_words_are_kept(whisper: Path, media: Path, tmp_path: Path) -> None:
    settings = ExtractionSettings(audio=None, video=None, recognition=RecognitionSettings(model=str(whisper)))
    sentences = table(tmp_path / "t.csv", [("a", "given")])
    run(media, tmp_path / "out", settings, transcripts=sentences)
    clips = manifest(tmp_path / "out")["clips"]
    assert "recognised" not in clips["a"]["text"]
    assert clips["b"]["text"]["recognised"]
    assert run(media, tmp_path / "out", settings, transcripts=sentences).done == 1  # the broken file


def test_another_model_of_the_same_name_is_refused(llama: Path, tmp_path: Path, media: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(llama, model)
    settings = ExtractionSettings(audio=None, video=None, text=TextSettings(extractor="huggingface", model=str(model)))
    sentences = table(tmp_path / "t.csv", [("a", "the door")])
    run(media, tmp_path / "out", settings, transcripts=sentences)
    (model / "generation_config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match="text: not the model that made the features: sha256"):
        Extractor.from_manifest(tmp_path / "out", device="cpu")
    assert run(media, tmp_path / "out", settings, transcripts=sentences).done == 4  # made again


def test_nothing_at_all(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such folder"):
        run(tmp_path / "none", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match="no clip found"):
        run(tmp_path / "empty", tmp_path / "out")
    (tmp_path / "empty" / "x.mp4").write_bytes(b"x")
    with pytest.raises(CorpusError, match="no clip gave a vector in any modality"):
        run(tmp_path / "empty", tmp_path / "out")


KILLED = """
import sys
from pathlib import Path
from ramer.extraction.extractor import Extractor
from ramer.extraction.corpus_features import extract_corpus
from ramer.extraction.settings import ExtractionSettings
extractor = Extractor(ExtractionSettings(video=None, text=None), device="cpu", batch_size=2)
print("ready", flush=True)
extract_corpus(extractor, Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_a_killed_run_leaves_no_torn_file_and_goes_on(tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone) -> None:
    media, out = tmp_path / "media", tmp_path / "out"
    for number in range(60):
        make_wav(media / f"{number:03}.wav", make_tone(0.4, 150 + number))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(media), str(out)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONWARNINGS": "ignore"},
    )
    folder = out / "features" / "egemaps-UTT"
    deadline = time.monotonic() + 240
    while len(list(folder.glob("*.npy"))) < 6:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    assert 6 <= len(kept) < 60
    for path in kept:
        assert np.load(path).shape == (88,)
    assert not (out / "features" / "manifest.json").exists()
    summary = run(media, out, ExtractionSettings(video=None, text=None))
    assert summary.counts["audio"] == {"extracted": 60}
    assert 60 - len(kept) <= summary.done <= 60 - len(kept) + 1  # one may have been written but not yet noted
    assert sum(path.stat().st_mtime_ns == time_ for path, time_ in kept.items()) >= len(kept) - 1
    assert sorted(p.name for p in (out / "features").iterdir()) == ["egemaps-UTT", "manifest.json"]


class Killed(BaseException):
    """In place of a signal: nothing after it runs but what closes files."""


def run_killed(media: Path, out: Path, settings: ExtractionSettings, after: int) -> None:
    """A run that ends after so many clips."""

    def progress(done: int, total: int) -> None:
        if done == after:
            raise Killed

    extractor = Extractor(settings, device="cpu", batch_size=1)
    with pytest.raises(Killed):
        extract_corpus(extractor, media, out, progress=progress)


def sound(**options: Any) -> ExtractionSettings:
    return ExtractionSettings(audio=AudioSettings(**options), video=None, text=None)


OLD, NEW = sound(silence_dbfs=-60.0), sound(silence_dbfs=-50.0)


@pytest.fixture
def sounds(media: Path) -> Path:
    """Three sounds."""
    (media / "broken.mp4").unlink()
    return media


def assert_whole(out: Path) -> None:
    """The manifest names every vector that is there, and no other."""
    named = {
        f"{section['folder']}/{clip}.npy"
        for modality, section in manifest(out)["modalities"].items()
        for clip, found in manifest(out)["clips"].items()
        if found.get(modality, {}).get("status") == "extracted"
    }
    assert named == {name.removeprefix("features/") for name in files(out) if name.endswith(".npy")}


def test_a_run_of_other_settings_goes_on_after_it_was_killed(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_killed(sounds, out, OLD, after=3)
    run_killed(sounds, out, NEW, after=2)
    before = files(out)
    assert run(sounds, out, NEW).done == 1
    after = files(out)
    for clip in ("a", "b"):
        assert after[f"features/egemaps-UTT/{clip}.npy"] == before[f"features/egemaps-UTT/{clip}.npy"]
    assert_whole(out)


def test_a_torn_line_costs_only_itself(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_killed(sounds, out, OLD, after=1)
    with (out / "features/.extracting/journal.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"clip": "b", "moda')
    run_killed(sounds, out, OLD, after=2)
    assert run(sounds, out, OLD).done == 1


def test_a_clip_that_is_gone_is_not_extracted_without_its_file(sounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_killed(sounds, out, OLD, after=3)
    run_killed(sounds, out, NEW, after=1)
    (sounds / "c.wav").unlink()
    run(sounds, out, OLD)
    assert sorted(manifest(out)["clips"]) == ["a", "b"]
    assert_whole(out)


@pytest.mark.parametrize("then", [OLD, NEW], ids=["old", "new"])
def test_a_run_that_is_killed_while_it_makes_room(
    then: ExtractionSettings, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ramer.extraction.feature_store import FeatureStore

    out = tmp_path / "out"
    run(sounds, out, OLD)
    removed: list[str] = []

    def remove(self: FeatureStore, modality: str, clip: str) -> None:
        if removed:
            raise Killed
        removed.append(clip)
        original(self, modality, clip)

    original = FeatureStore._remove
    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "_remove", remove)
        with pytest.raises(Killed):
            run(sounds, out, NEW)
    assert len([name for name in files(out) if name.endswith(".npy")]) == 2
    (sounds / f"{removed[0]}.wav").unlink()
    run(sounds, out, then)
    assert removed[0] not in manifest(out)["clips"]
    assert_whole(out)


def test_a_killed_run_of_another_extractor_takes_nothing_away(sounds: Path, tmp_path: Path, hubert: Path) -> None:
    out = tmp_path / "out"
    other = sound(extractor="huggingface", model=str(hubert))
    run(sounds, out, other)
    before = files(out)
    run_killed(sounds, out, OLD, after=2)
    (sounds / "b.wav").unlink()
    assert run(sounds, out, other).done == 0
    kept = {name: time_ for name, time_ in before.items() if name.endswith(".npy")}
    assert kept.items() <= files(out).items()
    assert manifest(out)["clips"]["b"]["audio"]["status"] == "extracted"


@pytest.fixture
def spoken(media: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Sound and transcripts of two clips, extracted by ``light``: the corpus and the table of transcripts."""
    sentences = table(tmp_path / "t.csv", [("a", "one"), ("b", "two")])
    run(media, tmp_path / "out", transcripts=sentences)
    return tmp_path / "out", sentences


def test_nothing_is_removed_before_the_new_features_can_be_made(media: Path, spoken: tuple[Path, Path]) -> None:
    out, sentences = spoken
    before = files(out)
    deeper = ExtractionSettings(audio=AudioSettings(layers=99), video=None, text=TextSettings(layers=99))
    with pytest.raises(ConfigError, match=r"layers: 99 asked for, but .* has 6"):
        run(media, out, deeper, transcripts=sentences)
    assert files(out) == before


def test_nothing_is_removed_before_every_model_is_loaded(media_folder: Path, tmp_path: Path, llama: Path) -> None:
    out = tmp_path / "out"
    run(media_folder, out, OLD)
    before = files(out)
    unseeing = VideoSettings(extractor="huggingface", model=str(llama))
    with pytest.raises(ModelError, match=r"cannot be loaded|not a vision model"):
        run(media_folder, out, ExtractionSettings(audio=NEW.audio, video=unseeing, text=None))
    assert files(out) == before


def test_an_option_that_an_extractor_does_not_use_makes_nothing_again(media: Path, spoken: tuple[Path, Path]) -> None:
    out, sentences = spoken
    before = files(out)
    fewer = ExtractionSettings(audio=AudioSettings(layers=2), video=None, text=TextSettings(layers=2))
    run(media, out, fewer, transcripts=sentences)
    changed = {name for name, time_ in files(out).items() if time_ != before.get(name)}
    assert changed == {"features/manifest.json", "features/minilm-UTT/a.npy", "features/minilm-UTT/b.npy"}


@pytest.mark.parametrize(
    ("base", "idle"),
    [
        (AudioSettings(), {"layers", "chunk_seconds", "dtype"}),
        (AudioSettings(extractor="huggingface", model="x"), set()),
        (VideoSettings(), {"dtype"}),
        (VideoSettings(crop="frame"), {"dtype", *SEEKING}),
        (VideoSettings(extractor="huggingface", model="x"), set()),
        (TextSettings(), set()),
    ],
)
def test_what_decides_features_is_everything_that_an_extractor_uses(base: Model, idle: set[str]) -> None:
    others = {
        "layers": 2,
        "chunk_seconds": 7.0,
        "dtype": "float16",
        "silence_dbfs": -9.0,
        "frames_per_second": 2.0,
        "detector": "haar",
        "detections_per_second": None,
        "face": "central",
        "margin": 0.5,
        "min_face_share": 0.3,
        "max_tokens": 9,
    }
    options = [name for name in others if name in type(base).model_fields]
    same = {name for name in options if base.model_copy(update={name: others[name]}).deciding == base.deciding}
    assert same == idle


def test_one_run_at_a_time(media: Path, tmp_path: Path) -> None:
    import fcntl

    lock = tmp_path / "out" / "features" / ".extracting" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CorpusError, match="another run is writing here"):
            run(media, tmp_path / "out")


@pytest.mark.slow
def test_two_thousand_files(tmp_path: Path, hubert: Path, make_wav: MakeWav, make_tone: MakeTone) -> None:
    media = tmp_path / "media"
    source = make_wav(tmp_path / "tone.wav", make_tone(0.2))
    media.mkdir()
    for number in range(2000):
        os.link(source, media / f"{number}.wav")
    audio = AudioSettings(extractor="huggingface", model=str(hubert))
    settings = ExtractionSettings(audio=audio, video=None, text=None)
    extractor = Extractor(settings, device="cpu", batch_size=64)
    steps: list[tuple[int, int]] = []
    summary = extract_corpus(
        extractor, media, tmp_path / "out", progress=lambda done, total: steps.append((done, total))
    )
    assert summary.counts["audio"] == {"extracted": 2000}
    assert steps[-1] == (2000, 2000)
    assert steps == sorted(steps)
    assert run(media, tmp_path / "out", settings).done == 0
