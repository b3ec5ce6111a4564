"""Which files of a folder are clips: any kind that is read, linked folders; what is passed over is named."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ramer.errors import CorpusError
from ramer.extraction.clips import find_clips
from ramer.extraction.media_files import find_media
from tests.support.commands import call


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_kinds_are_told_by_their_endings(tmp_path: Path) -> None:
    found = find_media(touch(tmp_path, "a.MP4", "a.wav", "b.webm", "c.m4a", "d.opus", "e.flv", "s/t/f.ts", "g.m4v"))
    assert sorted(found.videos) == ["a", "b", "e", "g", "s/t/f"]
    assert sorted(found.sounds) == ["a", "c", "d"]
    assert (found.left_out, found.passed_over) == ([], [])


def test_what_is_passed_over_is_named_in_a_count(tmp_path: Path) -> None:
    names = ("._a.mp4", ".DS_Store", "Thumbs.db", "@eaDir/a.mp4", "__MACOSX/a.mp4", ".git/x.mp4", "~$t.mp4")
    found = find_media(touch(tmp_path, "a.mp4", "t.csv", "a.txt", "b.txt", "README", *names))
    assert list(found.videos) == ["a"]
    assert found.passed_over == [
        "7 hidden or system files passed over",
        "4 files of other kinds passed over: 2 .txt, 1 without an ending, 1 .csv",
    ] or found.passed_over[1].startswith("4 files of other kinds passed over: 2 .txt, ")


def test_links_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    media, elsewhere = touch(tmp_path / "media", "a.mp4"), touch(tmp_path / "elsewhere", "e.mp4", "deep/f.mp4")
    for name in ("session1", "session2"):
        (media / name).symlink_to("../elsewhere")
    (elsewhere / "deep" / "up").symlink_to("../..")
    (media / "gone").symlink_to("nowhere.mp4")
    (media / "linked.mp4").symlink_to("../elsewhere/e.mp4")
    found = find_media(media)
    (first, *rest) = sorted(found.videos)
    assert (first, rest[0]) == ("a", "linked")
    assert {"session1/e", "session1/deep/f", "session2/e", "session2/deep/f"} <= set(rest)
    assert "'gone': a link that leads nowhere; left out" in found.left_out
    assert [line for line in found.left_out if "a link that leads back to a folder above it" in line]


def test_a_folder_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root opens every folder")
    (touch(tmp_path, "a.mp4", "shut/b.mp4") / "shut").chmod(0)
    assert find_media(tmp_path).left_out == ["'shut': cannot be opened: Permission denied; left out"]


@pytest.mark.slow
def test_twenty_thousand_files_are_listed_in_seconds(tmp_path: Path) -> None:
    source = tmp_path / "x.mp4"
    source.touch()
    for number in range(20_000):
        if number % 1000 == 0:
            (tmp_path / "media" / str(number // 1000)).mkdir(parents=True)
        os.link(source, tmp_path / "media" / str(number // 1000) / f"{number}.mp4")
    start = time.process_time()
    found = find_clips(tmp_path / "media", None)
    assert len(found.clips) == 20_000
    assert time.process_time() - start < 5  # 0.3 s on an idle core


def test_the_command_tells_what_it_passed_over(
    tmp_path: Path, make_wav: Callable[..., Path], make_tone: Callable[..., object]
) -> None:
    make_wav(tmp_path / "media/a.wav", make_tone(0.5))
    touch(tmp_path / "media", ".hidden.wav", "b.xyz")
    code, out, _ = call("extract", tmp_path / "media", tmp_path / "out", "--video", "none", "--text", "none")
    assert code == 0
    assert "1 hidden or system file passed over" in out.splitlines()
    assert "1 file of other kinds passed over: 1 .xyz" in out.splitlines()


@pytest.fixture
def silent(tmp_path: Path) -> Path:
    return touch(tmp_path / "media", *(f"{n}.mp4" for n in range(4)))


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["clip,sentence", *(f"{row},words" for row in rows)]) + "\n", "utf-8")
    return path


def test_rows_without_media_are_clips_where_they_are_few(silent: Path, tmp_path: Path) -> None:
    found = find_clips(silent, write(tmp_path / "t.csv", "0", "1", "words alone"))
    assert [clip.name for clip in found.clips] == ["0", "1", "2", "3", "words alone"]


@pytest.mark.parametrize("rows", [("0", "x", "y"), ("x",)])
def test_many_rows_without_media_have_to_be_asked_for(rows: tuple[str, ...], silent: Path, tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", *rows)
    with pytest.raises(CorpusError, match=r"rows name none of the media files, such as 'x'.*; --words-alone takes"):
        find_clips(silent, table)
    assert {clip.name for clip in find_clips(silent, table, words_alone=True).clips} >= set(rows)


def test_a_folder_of_other_kinds_is_no_corpus_of_words(tmp_path: Path) -> None:
    media = touch(tmp_path / "media", "a.xyz", "b.xyz")
    table = write(tmp_path / "t.csv", "a", "b")
    with pytest.raises(CorpusError, match=r"no media file; --words-alone takes"):
        find_clips(media, table)
    found = find_clips(media, table, words_alone=True)
    assert found.clips[0].problems["audio"] == "no media file (a.xyz is of no kind that is read)"
    with pytest.raises(CorpusError, match=r"no clip found, .*; 2 files of other kinds passed over: 2 .xyz"):
        find_clips(media, None)
