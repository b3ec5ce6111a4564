from __future__ import annotations

from pathlib import Path

import pytest

from ramer.data.clip_tables import read_clip_table
from ramer.errors import CorpusError


def _read(path: Path, content: str | bytes, required: tuple[str, ...] = ("clip", "sentence")) -> list[dict[str, str]]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [row for _, row in read_clip_table(path, required, ("speaker", "split")).rows]


@pytest.mark.parametrize(
    "content",
    [
        "clip,sentence\na,Hi\n",
        "\ufeffclip,sentence\r\na,Hi\r\n",
        "Clip , SENTENCE\n a ,Hi\n\n,\n",
        '"clip","sentence"\n"a","Hi"',
        "clip,sentence\ra,Hi\r",
    ],
)
def test_the_ways_to_write_one_table(content: str, tmp_path: Path) -> None:
    assert _read(tmp_path / "t.csv", content) == [{"clip": "a", "sentence": "Hi"}]


def test_cells_may_hold_commas_quotes_and_lines(tmp_path: Path) -> None:
    (row,) = _read(tmp_path / "t.csv", 'clip,sentence\na,"Hi, ""you""\nthere"\n')
    assert row["sentence"] == 'Hi, "you"\nthere'


FAULTS: dict[str, tuple[str | bytes, str]] = {
    "semicolons": ("clip;sentence\na;Hi, there\n", "found 'clip;sentence': the cells are separated by semicolons"),
    "a comma among semicolons": ("clip;a,b;sentence\n", "separated by semicolons, expected commas"),
    "tabs": ("clip\tsentence\na\tHi\n", "separated by tabs, expected commas"),
    "bars": ("clip|sentence\na|Hi\n", "separated by bars, expected commas"),
    "other columns": (
        "name,chinese,english\na,x,y\n",
        "no column clip, sentence, expected clip, sentence; found 'name', 'chinese', 'english'; "
        "rename 'name' to clip, 'chinese' or 'english' to sentence?",
    ),
    "Excel's mark of a separator": ("sep=;\nclip;sentence\na;Hi\n", "found 'sep=;': Excel's mark of a separator"),
    "nothing": ("", "no column clip, sentence, expected clip, sentence; found nothing"),
    "a stray quote": (
        'clip,sentence\na,Hi\nb,"He said "no" to me"\nc,Ho\n',
        "row 3 (from line 3): a quotation mark within a quoted cell",
    ),
    "an open quote": (
        'clip,sentence\na,"two\nlines"\n\nb,"Hi there\nc,What?\n',
        "row 4 (from line 5): a quotation mark is opened and never closed",
    ),
    "an open quote in a large file": (
        'clip,sentence\na,"Hi there\n' + "b,What?\n" * 30_000,
        "row 2 (from line 2): a cell of more than 131,072 characters: is a quotation mark never closed?",
    ),
    "a comma not quoted": ("clip,sentence\na,Hi, there\n", "row 2: more fields than the header names"),
    "a cell too few": ("clip,sentence\na,Hi\nb\n", "row 3: 1 of 2 fields; expected a comma for each that is empty"),
    "no clip": ("clip,sentence\n\n,Hi\n", "row 3: clip: empty, expected a name"),
    "a column twice": ("clip,sentence,Clip\na,Hi,b\n", "two columns clip, expected each once"),
    "Excel's Unicode text": ("clip,sentence\na,Hi\n".encode("utf-16"), "it looks like UTF-16 (Excel's 'Unicode text')"),
    "the same without its mark": (
        "clip,sentence\na,Hi\n".encode("utf-16-le"),
        "it looks like UTF-16; save it as UTF-8",
    ),
    "the encoding of MELD's tables": (
        "clip,sentence\na,Hi\nb,It’s fine\n".encode("cp1252"),
        "not UTF-8 (row 3, byte 23): it looks like Windows-1252 or Latin-1; save it as UTF-8",
    ),
    "the encoding of Chinese Excel": (
        "clip,sentence\na,今天天气真好\n".encode("gb18030"),
        "not UTF-8 (row 2, byte 16): it looks like GB 18030 (Chinese); save it as UTF-8",
    ),
}


@pytest.mark.parametrize(("content", "line"), FAULTS.values(), ids=FAULTS)
def test_what_cannot_be_read_is_said_with_its_row_and_its_cause(
    content: str | bytes, line: str, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError) as caught:
        _read(tmp_path / "t.csv", content)
    (fault,) = caught.value.faults
    assert fault.startswith(f"{tmp_path / 't.csv'}: ")
    assert line in fault


def test_a_column_that_looks_meant_is_named(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("clip,label,Actor,fold,mood\na,x,1,train,5\n")
    table = read_clip_table(tmp_path / "l.csv", ("clip", "label"), ("speaker", "split"))
    assert [note.split(": ", 1)[1] for note in table.notes] == [
        "the column 'Actor' is not read: speaker is the name of that column",
        "the column 'fold' is not read: split is the name of that column",
    ]


def test_a_character_across_two_pieces_is_one(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    start = b"clip,sentence\na,"
    filler = b"x" * 100_000 + b"\nb,"
    body = start + filler * 10
    body += b"y" * ((1 << 20) - 1 - len(body)) + "字".encode()
    path.write_bytes(body)
    assert read_clip_table(path, ("clip", "sentence")).rows[-1][1]["sentence"].endswith("y字")
    path.write_bytes(body[:-1])
    with pytest.raises(CorpusError, match=rf"not UTF-8 \(row 12, byte {(1 << 20) - 1}\)"):
        read_clip_table(path, ("clip", "sentence"))


def test_columns_that_nobody_asked_for_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("Clip,other,sentence\na,b,c\n", "utf-8")
    assert read_clip_table(path, ("clip", "sentence")).rows == ((2, {"clip": "a", "sentence": "c"}),)
