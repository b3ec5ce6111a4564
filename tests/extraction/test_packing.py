"""What is written can be read by the pipeline: as feature folders, and packed with labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ramer.data.npz import read_npz
from ramer.errors import CorpusError
from ramer.extraction.clips import find_clips
from ramer.extraction.corpus_features import extract_corpus
from ramer.extraction.extractor import Extractor
from ramer.extraction.packing import check_labels, pack_corpus
from ramer.extraction.settings import ExtractionSettings

MakeWav = Callable[..., Path]
MakeTone = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory, make_wav: MakeWav, make_tone: MakeTone) -> Path:
    root = tmp_path_factory.mktemp("packing")
    for name in ("a", "b", "c"):
        make_wav(root / "media" / f"{name}.wav", make_tone(0.5, 200 + 10 * ord(name)))
    make_wav(root / "media" / "quiet.wav", np.zeros(8000))
    (root / "t.csv").write_text("clip,sentence\na,one\nb,two\n", "utf-8")
    extractor = Extractor(ExtractionSettings(video=None), device="cpu")
    extract_corpus(extractor, root / "media", root / "out", transcripts=root / "t.csv")
    return root / "out" / "features"


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_a_packed_corpus_is_read_by_the_pipeline(features: Path, tmp_path: Path) -> None:
    labels = write(
        tmp_path / "labels.csv",
        "clip,label,speaker,split\nb,sad,s1,train\na,happy,s2,test\nquiet,sad,s1,val\nc,,s3,\n",
    )
    pack_corpus(features, labels, tmp_path / "corpus.npz")
    corpus = read_npz(tmp_path / "corpus.npz")
    assert list(corpus.ids) == ["b", "a", "quiet", "c"]
    assert corpus.label_names == ("happy", "sad")
    assert list(corpus.labels) == [1, 0, 1, -1]
    assert list(corpus.speakers) == ["s1", "s2", "s1", "s3"]
    assert corpus.splits is not None
    assert list(corpus.splits) == ["train", "test", "val", "pool"]
    audio, video, text = (corpus.sources[m] for m in ("audio", "video", "text"))
    assert audio is not None
    assert text is not None
    assert video is None
    sounds = np.concatenate(list(audio.blocks()))
    words = np.concatenate(list(text.blocks()))
    np.testing.assert_array_equal(sounds[0], np.load(features / "egemaps-UTT" / "b.npy"))
    np.testing.assert_array_equal(np.isnan(sounds).all(axis=1), [False, False, True, False])
    np.testing.assert_array_equal(np.isnan(words).all(axis=1), [False, False, True, True])


def test_the_same_labels_give_the_same_bytes(features: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "clip,label\na,x\nb,y\n")
    for name in ("1.npz", "2.npz"):
        pack_corpus(features, labels, tmp_path / name)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()
    with np.load(tmp_path / "1.npz") as file:
        assert set(file) == {"ids", "label", "label_names", "A", "L"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("clip,label\na,x\nz,y\n", "row 3: clip: 'z' was not extracted"),
        ("clip,label\na,x\na,y\n", "row 3: clip: 'a' was named before"),
        ("clip,label,split\na,x,dev\nb,y,test\n", "row 2: split: 'dev', expected one of train, val, test, pool"),
        ("clip,label\na,x\nb,x\n", "label: expected at least two classes, got 1"),
        (
            "clip,emotion\na,x\n",
            "no column label, expected clip, label; found 'clip', 'emotion'; rename 'emotion' to label?",
        ),
        ("clip,label\n", "no row, expected one per clip"),
    ],
)
def test_labels_that_do_not_fit(text: str, line: str, features: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", text)
    with pytest.raises(CorpusError) as error:
        pack_corpus(features, labels, tmp_path / "corpus.npz")
    assert error.value.faults == [f"{labels}: {line}"]
    assert not (tmp_path / "corpus.npz").exists()


@pytest.mark.parametrize("content", [None, b"PK\x03\x04 and no more"])
def test_a_vector_that_cannot_be_read_is_one_line(content: bytes | None, features: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "clip,label\na,x\nb,y\n")
    shutil.copytree(features, tmp_path / "features")
    damaged = tmp_path / "features" / "egemaps-UTT" / "b.npy"
    damaged.unlink()
    if content is not None:
        damaged.write_bytes(content)
    with pytest.raises(CorpusError) as error:
        pack_corpus(tmp_path / "features", labels, tmp_path / "corpus.npz")
    (line,) = error.value.faults
    assert line.startswith(f"{damaged}: not a whole .npy file: ")


def test_clips_in_sub_folders_arrive_on_every_way(tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone) -> None:
    from ramer.data.merbench_features import FolderSource
    from ramer.serving.features import read_features

    for name in ("x", "s1/y", "s1/deep/z.1"):
        make_wav(tmp_path / "media" / f"{name}.wav", make_tone(0.5))
    extractor = Extractor(ExtractionSettings(video=None, text=None), device="cpu")
    extract_corpus(extractor, tmp_path / "media", tmp_path / "out")
    features = tmp_path / "out" / "features"
    ids, read = read_features(features, {"audio": "egemaps-UTT"})
    assert ids == ["s1/deep/z.1", "s1/y", "x"]
    source = FolderSource(features / "egemaps-UTT", np.array(ids[:2], dtype=object), tmp_path / "cache")
    assert read["audio"] is not None
    np.testing.assert_array_equal(np.concatenate(list(source.blocks())), read["audio"][:2])
    assert np.isfinite(read["audio"]).all()


def test_the_folders_are_read_as_merbench_features(features: Path, tmp_path: Path) -> None:
    from ramer.data.merbench_features import FolderSource

    ids = np.array(["a", "quiet", "c"], dtype=object)
    rows = np.concatenate(list(FolderSource(features / "egemaps-UTT", ids, tmp_path / "cache").blocks()))
    np.testing.assert_array_equal(rows[2], np.load(features / "egemaps-UTT" / "c.npy"))
    assert np.isnan(rows[1]).all()


def test_a_few_rows_whose_clip_was_not_extracted_are_left_out_and_said(
    features: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = write(tmp_path / "labels.csv", "clip,label\na,x\nb,y\nc,x\nz,only\n")
    pack_corpus(features, labels, tmp_path / "corpus.npz")
    corpus = read_npz(tmp_path / "corpus.npz")
    assert corpus.ids.tolist() == ["a", "b", "c"]
    assert corpus.label_names == ("x", "y")
    assert "1 of 4 rows name none of the clips that were extracted, such as 'z'" in caplog.text


def test_labels_that_are_no_classes_are_refused(features: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "clip,label\na,-1.6\nb,2.4\nc,\n")
    with pytest.raises(CorpusError, match=r"label: '-1\.6' \(1 row\), '2\.4' \(1 row\): numbers on a scale"):
        pack_corpus(features, labels, tmp_path / "corpus.npz")
    assert not (tmp_path / "corpus.npz").exists()


def test_a_label_table_may_write_the_ending_of_the_file(features: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "clip,label\na.wav,x\nb.WAV,y\n")
    pack_corpus(features, labels, tmp_path / "corpus.npz")
    assert read_npz(tmp_path / "corpus.npz").ids.tolist() == ["a", "b"]


def test_an_accent_of_one_character_or_two_is_one_name(
    tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone, caplog: pytest.LogCaptureFixture
) -> None:
    """macOS writes names of files in two characters an accent, spreadsheets in one."""
    for name in ("cafe\u0301", "\u9ad8\u5174"):
        make_wav(tmp_path / "media" / f"{name}.wav", make_tone(0.3))
    table = write(tmp_path / "t.csv", "clip,sentence\ncaf\u00e9.wav,one\n\u9ad8\u5174,two\n")
    clips, left_out, _ = find_clips(tmp_path / "media", table)
    assert {clip.name: clip.transcript for clip in clips} == {"cafe\u0301": "one", "\u9ad8\u5174": "two"}
    assert left_out == []
    assert not caplog.text


@pytest.mark.parametrize(
    ("speakers", "said"),
    [
        (("1", "1.0", "2"), "labels.csv: speaker: '1', '1.0': taken as 2 speakers; write one in one way"),
        (("Anna", "anna ", "Bo"), "labels.csv: speaker: 'Anna', 'anna': taken as 2 speakers; write one in one way"),
        (("10", "1", "01 b"), None),
    ],
)
def test_a_speaker_written_in_two_ways_is_said(
    speakers: tuple[str, ...], said: str | None, features: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = "".join(f"{clip},{label},{s}\n" for clip, label, s in zip("abc", "xyx", speakers, strict=True))
    pack_corpus(features, write(tmp_path / "labels.csv", f"clip,label,speaker\n{rows}"), tmp_path / "corpus.npz")
    assert "taken as" not in caplog.text if said is None else said in caplog.text


def test_whole_numbers_that_pandas_wrote_with_a_point_are_told(features: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "clip,label\na,0.0\nb,1.0\nc,\n")
    with pytest.raises(CorpusError, match=r"or, where they number the classes, write them whole \(0, 1, 2\)"):
        pack_corpus(features, labels, tmp_path / "corpus.npz")


def test_labels_that_name_other_clips_say_why(features: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "clip,label\nA,x\nB,y\n")
    with pytest.raises(CorpusError) as error:
        pack_corpus(features, labels, tmp_path / "corpus.npz")
    assert "likely cause: upper and lower case ('A' is 'a'?, 'B' is 'b'?)" in error.value.faults[0]


def test_clips_without_a_row_and_columns_that_look_meant_are_said(
    features: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    labels = write(tmp_path / "labels.csv", "clip,label,actor\na,x,1\nb,y,2\n")
    pack_corpus(features, labels, tmp_path / "corpus.npz")
    assert "2 of 4 clips that were extracted have none of the rows, such as 'c', 'quiet'" in caplog.text
    assert "the column 'actor' is not read: speaker is the name of that column" in caplog.text


def test_transcripts_that_name_no_media_are_refused_and_a_few_are_said(
    tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("0001", "0002", "0003"):
        make_wav(tmp_path / "media" / "train" / f"{name}.wav", make_tone(0.5))
    with pytest.raises(CorpusError) as error:
        find_clips(tmp_path / "media", write(tmp_path / "t.csv", "clip,sentence\n1,one\n2,two\n3,three\n"))
    (line,) = error.value.faults
    assert line.startswith(f"{tmp_path / 't.csv'}: 3 of 3 rows name none of the media files, such as '1', '2', '3'; ")
    assert "likely cause: leading zeros and sub-folders ('1' is 'train/0001'?" in line
    table = write(tmp_path / "t.csv", "clip,sentence\ntrain/0001,one\ntrain/0002,nan\nwords,three\n")
    clips, left_out, _ = find_clips(tmp_path / "media", table)
    assert [clip.name for clip in clips] == ["train/0001", "train/0002", "train/0003", "words"]
    assert left_out == []
    assert "1 of 3 rows name none of the media files, such as 'words'" in caplog.text
    assert "1 sentences read 'nan' (the first in row 3) and are taken as spoken" in caplog.text


def test_labels_of_other_clips_are_refused_before_anything_is_extracted(
    tmp_path: Path, make_wav: MakeWav, make_tone: MakeTone
) -> None:
    for name in ("0001", "0002"):
        make_wav(tmp_path / "media" / f"{name}.wav", make_tone(0.5))
    labels = write(tmp_path / "labels.csv", "clip,label\n1,x\n2,y\n")
    with pytest.raises(CorpusError, match=r"2 of 2 rows name none of the clips, .*likely cause: leading zeros"):
        check_labels(labels, tmp_path / "media")
    transcripts = write(tmp_path / "t.csv", "clip,sentence\n1,one\n2.wav,two\n")
    check_labels(labels, tmp_path / "media", transcripts)  # clips of words alone
    check_labels(write(tmp_path / "labels.csv", "clip,label\n0001.wav,x\n0002,y\n"), tmp_path / "media")
    with pytest.raises(CorpusError, match=r"row 3: clip: '0001' was named before"):
        check_labels(write(tmp_path / "labels.csv", "clip,label\n0001,x\n0001.wav,y\n"), tmp_path / "media")
    with pytest.raises(CorpusError, match=r"'2' is '0002'\?"):
        check_labels(write(tmp_path / "labels.csv", "clip,label\n0001,x\n2,y\n"), tmp_path / "media")
    (tmp_path / "media" / "0002.wav").unlink()
    table = write(tmp_path / "labels.csv", "clip,label\n0001,x\n0003,y\n")
    with pytest.raises(CorpusError, match="1 of 2 rows name none of the clips"):
        check_labels(table, tmp_path / "media")
