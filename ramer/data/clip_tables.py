"""Tables with a row per clip that somebody else wrote as CSV: what cannot be read is said with row and cause."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ramer.data.corpus import FAULT_LIMIT, cut_faults
from ramer.data.packed_keys import meant_for
from ramer.errors import CorpusError, raise_if_scarce
from ramer.opening import read_regular

_MOST_BYTES = 1 << 28
_MOST_ROWS = 1_000_000  # the field's largest corpora have some 200,000 clips
_PIECE = 1 << 20
_OF_FEW_VALUES = ("label", "speaker", "split")
_LONGEST_NAME = 100
_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_KEYS = {"clip": "ids", "speaker": "speaker", "split": "split", "label": "label"}  # as packed_keys calls the columns
_SENTENCES = frozenset(
    "sentences text texts transcript transcripts transcription utterance words chinese english".split()
)


@dataclass(frozen=True)
class ClipTable:
    """A table with a row per clip.

    Attributes:
        path: of the file.
        columns: their names, as the caller knows them; all that the file has.
        rows: number (the header is row 1) and cells of the columns that were asked for; ``clip`` is never empty.
        notes: what a reader should know: columns that look meant and are not read.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]
    notes: tuple[str, ...]


def read_clip_table(path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> ClipTable:
    """Read a UTF-8 CSV with commas (a byte order mark is allowed); capitals in a column's name do not matter.

    Raises:
        CorpusError: not there, not UTF-8, not these columns, damaged quoting, or a row that is too long, too short or
            without a clip; one line per fault, of the first ones. Or there are more than a million rows.
    """
    content = _content(path, required)
    _check_text(path, content)
    return _table(path, content, "utf-8-sig", required, optional)


def read_official_table(path: Path, required: tuple[str, ...]) -> tuple[tuple[int, dict[str, str]], ...]:
    """Rows of a table that a corpus' owners hand out, with their numbers; what is not UTF-8 is read as Windows-1252.

    Raises:
        CorpusError: as ``read_clip_table``.
    """
    content = _content(path, required)
    return _table(path, content, "utf-8-sig" if _no_utf8(content) is None else "cp1252", required, ()).rows


def _content(path: Path, required: tuple[str, ...]) -> bytes:
    try:
        return read_regular(path, _MOST_BYTES)
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file, expected a CSV with {', '.join(required)}") from None
    except OSError as error:
        raise_if_scarce(error)
        raise CorpusError(f"{path}: cannot be read: {error.strerror}") from None


def _table(
    path: Path, content: bytes, encoding: str, required: tuple[str, ...], optional: tuple[str, ...]
) -> ClipTable:
    known = (*required, *optional)
    records = _records(path, content, encoding)
    columns = _columns(path, next(records, (1, []))[1], known, required)
    kept = [(place, name) for place, name in enumerate(columns) if name in known]
    # Of a column few cells differ, but for the clips' names and what they say: each is kept once.
    once: dict[str, dict[str, str]] = {name: {} for name in known if name in _OF_FEW_VALUES}
    faults: list[str] = []
    faulty = 0
    rows: list[tuple[int, dict[str, str]]] = []
    for number, cells in records:
        fault = _row_fault(cells, columns)
        if fault:
            faulty += 1
            if len(faults) < FAULT_LIMIT:
                faults.append(f"{path}: row {number}: {fault}")
        elif len(rows) == _MOST_ROWS:
            raise CorpusError(f"{path}: row {number}: more than {_MOST_ROWS:,} rows")
        elif not faults:
            row = {name: cells[place].strip() if name == "clip" else cells[place] for place, name in kept}
            rows.append((number, {name: _once(cell, once.get(name)) for name, cell in row.items()}))
    if faults:
        raise CorpusError(cut_faults(faults, faulty))
    notes = [
        f"{path}: the column {name!r} is not read: {wanted} is the name of that column"
        for wanted in optional
        if wanted not in columns
        for name in _meant(wanted, columns, known)
    ]
    return ClipTable(path, tuple(columns), tuple(rows), tuple(notes))


def _row_fault(cells: list[str], columns: list[str]) -> str | None:
    if len(cells) != len(columns):
        return _length_fault(len(cells), len(columns))
    if "clip" in columns and not cells[columns.index("clip")].strip():
        return "clip: empty, expected a name"
    return None


def _once(cell: str, held: dict[str, str] | None) -> str:
    return cell if held is None or len(cell) > _LONGEST_NAME else held.setdefault(cell, cell)


def _check_text(path: Path, content: bytes) -> None:
    place = _no_utf8(content)
    if place is not None:
        row = content[:place].count(b"\n") + 1
        raise CorpusError(f"{path}: not UTF-8 (row {row}, byte {place}): {_encoding(content)}; save it as UTF-8")
    if b"\0" in content:
        raise CorpusError(f"{path}: not UTF-8 text: it holds NUL characters{_utf16_without_mark(content)}")


def _no_utf8(content: bytes) -> int | None:
    """Where the first byte stands that is not UTF-8; a piece at a time, for a text may be larger than its bytes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(content), _PIECE):
        begun = len(decoder.getstate()[0])  # bytes of a character that the piece before ends in
        try:
            decoder.decode(content[start : start + _PIECE], final=start + _PIECE >= len(content))
        except UnicodeDecodeError as error:
            return start - begun + error.start
    return None


def _encoding(content: bytes) -> str:
    """What a text that is not UTF-8 looks like."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "it looks like UTF-16 (Excel's 'Unicode text')"
    for name, encoding in (("GB 18030 (Chinese)", "gb18030"), ("Shift JIS (Japanese)", "shift_jis")):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(content[:_PIECE])
        except UnicodeDecodeError:
            continue
        beyond = [c for c in text if ord(c) > 127]
        if sum("\u3040" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef" for c in beyond) > 0.9 * len(beyond) > 3:
            return f"it looks like {name}"
    return "it looks like Windows-1252 or Latin-1"


def _utf16_without_mark(content: bytes) -> str:
    return ", it looks like UTF-16; save it as UTF-8" if content.count(0) > len(content) // 4 else ""


def _records(path: Path, content: bytes, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with their numbers, one at a time; those in which nothing stands are passed over."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding, "replace", newline="")
    reader = csv.reader(text, strict=True)
    number, line = 1, 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield number, cells
            number, line = number + 1, reader.line_num + 1
    except csv.Error as error:
        raise CorpusError(f"{path}: row {number} (from line {line}): {_quoting_fault(str(error))}") from None


def _quoting_fault(said: str) -> str:
    if "unexpected end" in said:
        return "a quotation mark is opened and never closed"
    if "expected after" in said:
        return 'a quotation mark within a quoted cell, expected "" for one that belongs to the text'
    if "field larger" in said:
        return f"a cell of more than {csv.field_size_limit():,} characters: is a quotation mark never closed?"
    return f"cannot be read as CSV: {said}"


def _columns(path: Path, header: list[str], known: tuple[str, ...], required: tuple[str, ...]) -> list[str]:
    names = {name.casefold(): name for name in known}
    columns = [names.get(cell.strip().casefold(), cell.strip()) for cell in header]
    lacking = [name for name in required if name not in columns]
    if lacking:
        raise CorpusError(
            f"{path}: no column {', '.join(lacking)}, expected {', '.join(required)}; found "
            f"{', '.join(map(repr, columns)) or 'nothing'}{_cause(header, required, columns)}"
        )
    twice = sorted({name for name in known if columns.count(name) > 1})
    if twice:
        raise CorpusError(f"{path}: two columns {', '.join(twice)}, expected each once")
    return columns


def _cause(header: list[str], required: tuple[str, ...], columns: list[str]) -> str:
    """Why the columns are not there, as far as it can be guessed."""
    line = ",".join(header)
    if re.fullmatch(r"sep=.", line.strip()):
        return ": Excel's mark of a separator, expected the names of the columns in the first line, and commas"
    for delimiter, name in _DELIMITERS.items():
        if {*required} & {cell.strip().strip('"').casefold() for cell in line.split(delimiter)} and delimiter in line:
            return f": the cells are separated by {name}, expected commas"
    guess = {name: _meant(name, columns, required) for name in required if name not in columns}
    told = [f"{' or '.join(map(repr, found))} to {name}" for name, found in guess.items() if found]
    return f"; rename {', '.join(told)}?" if told else ""


def _meant(wanted: str, columns: list[str], taken: tuple[str, ...]) -> list[str]:
    if wanted in _KEYS:
        return meant_for(_KEYS[wanted], columns, taken)
    return [name for name in columns if name not in taken and name.casefold() in _SENTENCES]


def _length_fault(cells: int, columns: int) -> str:
    if cells > columns:
        return "more fields than the header names; is a comma not quoted?"
    return f"{cells} of {columns} fields; expected a comma for each that is empty"
