"""Each corpus on a tree of empty files with its owners' names and tables."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ramer.cli import app
from ramer.data.corpora import CORPORA, table
from ramer.data.releases import RELEASES
from ramer.data.releases.release import Release
from ramer.errors import CorpusError
from tests.support.closure import ROOT

SIX = ["neutral", "angry", "happy", "sad", "worried", "surprise"]


def _tree(root: Path, names: list[str]) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def _csv(path: Path, columns: str, rows: list[list[Any]], encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([columns.split(","), *rows])


def _read(corpus: str, folder: Path, media: Path | None = None) -> Release:
    return RELEASES[corpus](folder, media)


def _cells(release: Release) -> list[tuple[str, str, str, str]]:
    return [(row.clip, row.label, row.group, row.split) for row in release.rows]


def _ravdess(modality: str, actor: int) -> list[str]:
    """A speaker's 60 performances; neutral has no strong intensity."""
    return [
        f"{modality}-01-{emotion:02}-{strength:02}-{statement:02}-{repetition:02}-{actor:02}"
        for emotion in range(1, 9)
        for strength in (1, 2)[: 1 if emotion == 1 else 2]
        for statement in (1, 2)
        for repetition in (1, 2)
    ]


def test_ravdess_as_it_is_unpacked(tmp_path: Path) -> None:
    """Videos of the whole cast: 1440 performances, each there with sound and without."""
    for actor in range(1, 25):
        names = _ravdess("01", actor) + _ravdess("02", actor)
        _tree(tmp_path / f"Actor_{actor:02}", [f"{name}.mp4" for name in names])
    _tree(tmp_path, ["Actor_01/01-02-03-01-01-01-01.mp4", "Actor_01/.DS_Store", "Actor_01/notes.mp4"])
    release = _read("ravdess", tmp_path)
    assert len(release.rows) == 1440
    assert len({row.group for row in release.rows}) == 24
    held = {label: sum(row.label == label for row in release.rows) for label in {row.label for row in release.rows}}
    assert held == {"neutral": 96} | dict.fromkeys(
        ["calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"], 192
    )
    assert all(row.clip.split("/")[1].startswith("01-01-") for row in release.rows)
    assert release.notes == (
        "24 of 24 actors, 1440 of 1440 performances",
        "1440 more files of the same performances are left out",
        "1 songs are left out",
        "1 files of other names are left out, such as 'Actor_01/notes'",
    )


def test_ravdess_name_by_name(tmp_path: Path) -> None:
    _tree(tmp_path, ["Actor_12/03-01-06-01-02-01-12.wav", "Actor_01/01-01-01-01-01-01-01.mp4"])
    rows = _read("ravdess", tmp_path).rows
    assert [(r.clip, r.label, r.group, r.sentence) for r in rows] == [
        ("Actor_01/01-01-01-01-01-01-01", "neutral", "actor01", "Kids are talking by the door"),
        ("Actor_12/03-01-06-01-02-01-12", "fearful", "actor12", "Dogs are sitting by the door"),
    ]
    for wrong in ("01-01-09-01-01-01-01", "01-01-01-01-01-01-25", "01-01-01-01-01-01", "1-1-1-1-1-1-1"):
        _tree(tmp_path / wrong, [f"{wrong}.mp4"])
        with pytest.raises(CorpusError, match=f"no speech of RAVDESS, expected files named like .*, found '{wrong}'"):
            _read("ravdess", tmp_path / wrong)


def test_cremad(tmp_path: Path) -> None:
    names = ["1001_DFA_ANG_XX", "1001_IEO_HAP_LO", "1091_WSI_NEU_XX", "1076_MTI_SAD_XX"]
    _tree(tmp_path, [f"{folder}{name}{end}" for name in names
                     for folder, end in (("AudioWAV/", ".wav"), ("VideoFlash/", ".flv"))])  # fmt: skip
    release = _read("cremad", tmp_path)
    assert release.media == tmp_path / "VideoFlash"
    assert _cells(release) == [
        ("1001_DFA_ANG_XX", "anger", "1001", ""),
        ("1001_IEO_HAP_LO", "happy", "1001", ""),
        ("1076_MTI_SAD_XX", "sad", "1076", ""),
        ("1091_WSI_NEU_XX", "neutral", "1091", ""),
    ]
    assert release.rows[1].sentence == "It's eleven o'clock"
    assert _read("cremad", tmp_path, tmp_path / "AudioWAV").media == tmp_path / "AudioWAV"
    with pytest.raises(CorpusError, match=r"no clip of CREMA-D, expected files named like 1001_DFA_ANG_XX\.wav"):
        _read("cremad", ROOT / "ramer", ROOT / "ramer")


MELD = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"


@pytest.fixture
def meld(tmp_path: Path) -> Path:
    folders = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
    for split, folder in folders.items():
        rows = [
            [n, f"It\x92s {n}", "Ross", "joy" if n % 2 else "neutral", "x", n // 2, n % 2, 1, 1, "0", "1"]
            for n in range(8)
        ]
        _csv(tmp_path / f"{split}_sent_emo.csv", MELD, rows)
        _tree(tmp_path / "MELD.Raw" / folder, [f"dia{n // 2}_utt{n % 2}.mp4" for n in range(8)])
    _tree(tmp_path / "MELD.Raw" / folders["test"], ["final_videos_testdia1_utt0.mp4", "._dia1_utt0.mp4"])
    return tmp_path


def test_meld(meld: Path) -> None:
    release = _read("meld", meld)
    assert len(release.rows) == 24
    assert release.rows[9] == type(release.rows[9])(
        "MELD.Raw/dev_splits_complete/dia0_utt1", "joy", "val_dia0", "val", "It’s 1"
    )
    assert len({row.group for row in release.rows}) == 12  # dialogue 0 of each split is another one
    assert release.notes == ()
    (meld / "MELD.Raw" / "dev_splits_complete" / "dia3_utt1.mp4").unlink()  # as one is in the release
    release = _read("meld", meld)
    assert len(release.rows) == 23
    assert "1 of 8 rows name none of the media files, such as 'dia3_utt1'; rows without a file" in release.notes[0]


def test_meld_in_windows_encoding_and_incomplete(meld: Path) -> None:
    path = meld / "dev_sent_emo.csv"
    path.write_bytes(path.read_text("utf-8").replace("\x92", "’").encode("cp1252"))
    assert _read("meld", meld).rows[8].sentence == "It’s 0"
    path.rename(meld / "other.csv")
    with pytest.raises(CorpusError, match=r"no dev_sent_emo\.csv in it or below, expected MELD's three tables"):
        _read("meld", meld)


def test_sims_numbers_clips_in_two_ways(tmp_path: Path) -> None:
    rows = [
        [f"video_{v:04}", n, "好", label, 0, 0, 0, "x", mode]
        for v, mode in enumerate(("train", "valid", "test"), 1)
        for n, label in ((1, -0.4), (2, 0.0), (13, 1.0))
    ]
    _csv(tmp_path / "label.csv", "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode", rows)
    _tree(tmp_path / "Raw", [f"video_{v:04}/{n:04}.mp4" for v in (1, 2, 3) for n in (1, 2, 13)])
    release = _read("sims", tmp_path)
    assert release.media == tmp_path / "Raw"
    assert release.notes == ()
    assert _cells(release)[:4] == [
        ("video_0001/0001", "negative", "video_0001", "train"),
        ("video_0001/0002", "nonnegative", "video_0001", "train"),
        ("video_0001/0013", "nonnegative", "video_0001", "train"),
        ("video_0002/0001", "negative", "video_0002", "val"),
    ]


@pytest.mark.parametrize("form", ["{video}/{clip}", "Segmented/{video}_{clip}"])
def test_mosi_in_both_forms(form: str, tmp_path: Path) -> None:
    rows = [
        [v, n, "WORDS", label, "x", m]
        for v, m in (("03bSnISJMiM", "train"), ("-t217m3on-s", "test"), ("_dI--eQ6qVU", "valid"))
        for n, label in ((1, -1.6), (12, 2.4))
    ]
    _csv(tmp_path / "label.csv", "video_id,clip_id,text,label,annotation,mode", rows)
    _tree(tmp_path / "Raw", [form.format(video=row[0], clip=row[1]) + ".mp4" for row in rows])
    release = _read("mosi", tmp_path)
    assert [(row.clip, row.group) for row in release.rows] == [
        (form.format(video=row[0], clip=row[1]), row[0]) for row in rows
    ]
    assert [row.label for row in release.rows] == ["negative", "nonnegative"] * 3
    rows[1][3], rows[2][5] = "high", "holdout"
    _csv(tmp_path / "label.csv", "video_id,clip_id,text,label,annotation,mode", rows)
    with pytest.raises(CorpusError) as caught:
        _read("mosi", tmp_path)
    assert [fault.split("label.csv: ")[1] for fault in caught.value.faults] == [
        "row 3: label: 'high', expected a number",
        "row 4: mode: 'holdout', expected one of train, valid, val, dev, test",
    ]


@pytest.fixture
def iemocap(tmp_path: Path) -> Path:
    for session in range(1, 6):
        dialogue = f"Ses0{session}F_impro01"
        labels = ["neu", "hap", "exc", "sad", "ang", "fru", "xxx", "oth"]
        names = [f"{dialogue}_{'FM'[n % 2]}{n:03}" for n in range(8)]
        base = tmp_path / f"Session{session}"
        _tree(base, [f"sentences/wav/{dialogue}/{name}.wav" for name in names])
        _tree(base, [f"dialog/wav/{dialogue}.wav", f"dialog/avi/DivX/{dialogue}.avi"])
        text = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        for n, (name, label) in enumerate(zip(names, labels, strict=True)):
            text += f"[{n}.2901 - {n + 1}.2357]\t{name}\t{label}\t[2.5, 2.5, 2.5]\nC-E2:\tNeutral;\t()\n\n"
        words = "".join(f"{name} [{n:03}.2901-{n + 1:03}.2357]: Words {n}.\n" for n, name in enumerate(names))
        for kind, content in (("EmoEvaluation", text), ("transcriptions", words)):
            (base / "dialog" / kind).mkdir(parents=True)
            (base / "dialog" / kind / f"{dialogue}.txt").write_text(content)
            (base / "dialog" / kind / f"._{dialogue}.txt").write_bytes(b"\xff\x00")
    return tmp_path


def test_a_folder_of_several_corpora_is_refused(tmp_path: Path) -> None:
    for corpus in ("MOSEI", "MOSI"):
        _tree(tmp_path, [f"{corpus}/Raw/{corpus}/1.mp4"])
        rows = [[corpus, 1, "words", 1.0, "", "train"]]
        _csv(tmp_path / corpus / "label.csv", "video_id,clip_id,text,label,annotation,mode", rows)
    told = "several different label.csv below it, such as MOSEI/label.csv, MOSI/label.csv; name the folder of one"
    with pytest.raises(CorpusError, match=told):
        _read("mosi", tmp_path)
    assert len(_read("mosi", tmp_path / "MOSI").rows) == 1


def test_iemocap(iemocap: Path) -> None:
    four = _read("iemocap4", iemocap)
    assert len(four.rows) == 25
    clip = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F002"
    assert (clip, "happy", "session1", "") in _cells(four)  # excited counts as happy
    assert next(row.sentence for row in four.rows if row.clip == clip) == "Words 2."
    assert four.notes == ("15 utterances of other labels, or of none that judges agree on, are left out",)
    six = _read("iemocap6", iemocap)
    assert len(six.rows) == 30
    assert (clip, "excited", "session1", "") in _cells(six)
    assert {row.group for row in six.rows} == {f"session{n}" for n in range(1, 6)}
    clips = iemocap / "clips"  # only the sentences, as the documentation links them together
    for session in range(1, 6):
        clips.mkdir(exist_ok=True)
        (clips / f"Session{session}").symlink_to(iemocap / f"Session{session}" / "sentences" / "wav")
    linked = _read("iemocap4", iemocap, clips)
    assert linked.rows[0].clip == "Session1/Ses01F_impro01/Ses01F_impro01_F000"
    with pytest.raises(CorpusError, match="expected the whole release of IEMOCAP"):
        _read("iemocap4", clips)


def _mer(root: Path, train: str, candidates: str) -> list[str]:
    names = [f"samplenew3_{n:08}" for n in range(40)]
    _tree(root, [f"{folder}/{name}.{end}" for name in names for folder, end in (("video", "mp4"), ("audio", "wav"))])
    _csv(root / train, "name,discrete", [[name, SIX[n % 6]] for n, name in enumerate(names[:12])])
    _csv(root / candidates, "name,discrete", [[name, "neutral"] for name in names[12:20]])
    _csv(root / "subtitle_chieng.csv", "name,chinese,english", [[n, f"你好{n[-2:]}", "hello"] for n in names])
    return names


@pytest.mark.parametrize(
    ("year", "train", "candidates", "test"),
    [
        ("MER2025", "track1_train_disdim.csv", "track_all_candidates.csv", "track1_test_dis.csv"),
        ("MER2026", "track1_train.csv", "track1_track2_candidate.csv", "track1_test.csv"),
    ],
)
def test_mer_of_each_year_in_both_forms(year: str, train: str, candidates: str, test: str, tmp_path: Path) -> None:
    names = _mer(tmp_path, train, candidates)
    release = _read("mer", tmp_path)
    assert release.media == tmp_path / "video"
    assert release.notes[0] == f"{year}, the participants' form: 12 labelled clips, 28 in the pool"
    assert _cells(release)[0] == (names[0], "neutral", "", "train")
    assert {row.label for row in release.rows if row.split == "pool"} == {""}  # never the candidates' placeholder
    assert sorted(row.clip for row in release.rows) == names
    assert release.rows[3].sentence == "你好03"
    assert release.faces is None
    (tmp_path / "openface_face").mkdir()
    assert _read("mer", tmp_path).faces == tmp_path / "openface_face"
    _csv(tmp_path / test, "name,discrete", [[name, SIX[n % 6]] for n, name in enumerate(names[12:18])])
    release = _read("mer", tmp_path)
    assert release.notes[0] == f"{year}, the organisers' form: 18 labelled clips, 22 in the pool"
    assert [row.clip for row in release.rows if row.split == "test"] == names[12:18]
    _csv(tmp_path / train, "name,discrete", [[names[0], "Happy"]])
    with pytest.raises(CorpusError, match="row 2: discrete: 'Happy', expected one of neutral, angry, happy, sad"):
        _read("mer", tmp_path)


def test_mer_as_the_toolkit_processed_it(tmp_path: Path, save_labels: Any) -> None:
    members = {
        "train_corpus": {f"t{n}": {"emo": SIX[n % 6], "val": -10} for n in range(12)},
        "test1_corpus": {f"p{n}": {"emo": "neutral", "val": -10} for n in range(9)},
    }
    path = save_labels(members).rename(tmp_path / "merbench" / "label-6way.npz")
    _tree(path.parent / "video", [f"{name}.mp4" for member in members.values() for name in member])
    release = _read("mer", path.parent)
    assert [sum(row.split == split for row in release.rows) for split in ("train", "test", "pool")] == [12, 0, 9]
    assert any("participants' placeholder" in note for note in release.notes)
    with pytest.raises(CorpusError, match=r"no table of MER2023 to MER2026, expected one of track1_train\.csv"):
        _read("mer", tmp_path / "merbench" / "video")


def test_the_command_writes_what_the_extraction_reads(meld: Path, tmp_path: Path, monkeypatch: Any) -> None:
    from ramer.data.label_tables import read_label_table
    from ramer.extraction.clips import find_clips

    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    ran = CliRunner().invoke(app, ["labels", "meld", str(meld)])
    assert ran.exit_code == 0, ran.output
    assert ran.output.splitlines() == [
        "24 clips: 12 joy, 12 neutral",
        "split: 8 train, 8 val, 8 test",
        "labels -> labels.csv, transcripts -> transcripts.csv",
        f"next: ramer extract {meld} FEATURES --labels labels.csv --transcripts transcripts.csv",
    ]
    labels = read_label_table(Path("labels.csv"))
    assert labels.columns == ("clip", "label", "speaker", "split")
    clips = find_clips(meld, Path("transcripts.csv"))[0]
    assert {row["clip"] for _, row in labels.rows} <= {clip.name for clip in clips}
    ran = CliRunner().invoke(app, ["labels", "meld", str(meld)])
    assert ran.exit_code == 2
    assert ran.output.startswith("error: labels.csv: is there already")
    ran = CliRunner().invoke(app, ["labels", "medl", str(meld)])
    assert ran.exit_code == 2
    assert "labels: unknown corpus 'medl', expected one of cremad, iemocap, iemocap4" in ran.output


def test_the_real_clip_has_a_name_of_ravdess(tmp_path: Path) -> None:
    clip = ROOT / "../shared/media/speech_clip.mp4"
    if not clip.exists():
        pytest.skip("the real speech clip is not beside the project")
    (tmp_path / "Actor_01").mkdir()
    (tmp_path / "Actor_01" / "01-01-03-01-01-01-01.mp4").symlink_to(clip.resolve())
    (row,) = _read("ravdess", tmp_path).rows
    assert (row.label, row.group) == ("happy", "actor01")


def test_every_corpus_has_its_facts_and_the_page_shows_them() -> None:
    assert set(RELEASES) == {*CORPORA, "iemocap"}  # which is iemocap4
    assert table() in (ROOT / "docs" / "corpora.md").read_text("utf-8")
