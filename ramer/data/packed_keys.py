"""The keys of a packed corpus: what each has to hold, and keys of other names that look as if they were meant."""

from __future__ import annotations

from collections.abc import Collection

from ramer.data.npy import MOST_BYTES, Archive, Header
from ramer.data.pickled_arrays import PickledArray
from ramer.data.pickled_objects import MOST_PICKLED_BYTES
from ramer.data.unpickle import read_pickle
from ramer.modalities import PACKED_KEYS

COLUMNS = ("ids", "label", "label_names", "split", "speaker")
MATRICES = tuple(PACKED_KEYS.values())
_REQUIRED = ("ids", "label")
_MOST_ROWS = 5_000_000
_MOST_CHARACTERS = 4096
_WIDEST = 1 << 18  # numbers in a vector; the widest set of the field has some 10,000
_MOST_FORTRAN_BYTES = 1 << 31
# Other names of the same thing, in lower case: of other packed corpora, of pandas' columns, and slips.
_ALIASES: dict[str, frozenset[str]] = {
    "A": frozenset("a audio audios acoustic acoustics sound speech voice audio_features feature_audio".split()),
    "V": frozenset(
        "v video videos vision visual visuals face faces image images f video_features feature_video".split()
    ),
    "L": frozenset("l t text texts language lexical transcript transcripts words text_features feature_text".split()),
    "ids": frozenset("id name names clip clips clip_id file files filename filenames utterance utterances".split()),
    "label": frozenset("labels y emotion emotions target targets class emo".split()),
    "label_names": frozenset("label_name labels_names labelnames classes class_names emotion_names names".split()),
    "split": frozenset("splits fold folds partition partitions set sets subset mode".split()),
    "speaker": frozenset("speakers spk subject subjects actor actors speaker_id speaker_ids group groups".split()),
}
_SCALE = ": a class is a number or a name; numbers on a scale have to be cut, as into negative and nonnegative"
_KINDS: dict[str, tuple[str, str]] = {
    "ids": ("UOSiu", "strings or integers"),
    "speaker": ("UOSiu", "strings or integers"),
    "label": ("iuUOS", "integers"),
    "label_names": ("UOS", "strings"),
    "split": ("UOS", "strings"),
}


def meant_for(key: str, held: Collection[str], taken: Collection[str]) -> list[str]:
    """Keys in ``held`` that look as if ``key`` was meant; none of those in ``taken``."""
    alias = _ALIASES[key] | {key.lower()}
    return [name for name in held if name not in taken and name.lower() in alias]


def meant_notes(held: Collection[str], read: Collection[str], *, beside: bool = False) -> list[str]:
    """One line per key that is not read though it looks meant for one that the file lacks.

    Args:
        beside: also for a modality that the file has; in a corpus such keys hold what people read, as words.
    """
    return [
        f"the key {name} is not read: {key} is the key of {_what(key)}"
        for key in (*COLUMNS, *MATRICES)
        if key not in read or (beside and key in MATRICES)
        for name in meant_for(key, held, (*COLUMNS, *MATRICES))
    ]


def missing_faults(held: Collection[str]) -> list[str]:
    """One line per key that the file has to hold and lacks, with the key that looks meant."""
    return [
        f"{key}: missing key, expected it{_hint(meant_for(key, held, (*COLUMNS, *MATRICES)))}"
        for key in _REQUIRED
        if key not in held
    ]


def modalities_expected(held: Collection[str]) -> str:
    """What a file without any modality should have held, and what looks meant for it."""
    meant = [name for key in MATRICES for name in meant_for(key, held, COLUMNS)]
    return f"the keys {', '.join(MATRICES)}{_hint(meant)}"


def shape_faults(key: str, header: Header, rows: int) -> list[str]:
    """What is wrong with a key's type, shape or size; ``rows`` as ``ids`` has them."""
    kinds, noun = _KINDS.get(key, ("fiu", "numbers"))
    shape, dtype = header.shape, header.dtype
    if dtype.kind not in kinds:
        if dtype.hasobject:
            return ["holds pickled objects, expected plain numbers"]
        return [f"expected {noun}, got {dtype}{_SCALE if (key, dtype.kind) == ('label', 'f') else ''}"]
    if key in MATRICES:
        good, expected = len(shape) == 2 and shape[0] == rows and shape[1] > 0, f"[{rows}, dim]"
    elif key == "label_names":
        good, expected = len(shape) == 1, "[classes]"
    else:
        good, expected = shape == (rows,) and rows > 0, f"[{rows}], one entry per row" if rows else "[rows]"
    return (
        [_too_large(key, header)]
        if good and _too_large(key, header)
        else ([] if good else [f"expected shape {expected}, got {list(shape)}"])
    )


def read_column(archive: Archive, key: str) -> list[object]:
    """The entries of a column: strings, numbers and None; raises one of ``UNREADABLE``."""
    header = archive.header(key)
    if not header.dtype.hasobject:
        values = archive.array(key).ravel().tolist()
        return [value.decode("utf-8") if isinstance(value, bytes) else value for value in values]
    _, data = archive.pickled(key, MOST_PICKLED_BYTES)
    held = read_pickle(data)
    if not isinstance(held, PickledArray):
        raise ValueError("holds pickled objects that are no array")
    odd = next((v for v in held.values if not isinstance(v, str | int | float | None)), None)
    if odd is not None:
        raise ValueError(f"holds pickled objects, expected strings or numbers in them, got {type(odd).__name__}")
    return held.values


def _too_large(key: str, header: Header) -> str:
    """Why an array is beyond what is read, "" where it is not."""
    if key not in MATRICES:
        if header.shape[0] > _MOST_ROWS:
            return f"{header.shape[0]:,} entries, expected at most {_MOST_ROWS:,}"
        wide = header.dtype.kind in "US" and header.dtype.itemsize > 4 * _MOST_CHARACTERS
        return (
            f"strings of {header.dtype}, expected at most {_MOST_CHARACTERS} characters"
            if wide
            else (f"{header.bytes:,} bytes, expected at most {MOST_BYTES:,}" if header.bytes > MOST_BYTES else "")
        )
    if header.shape[1] > _WIDEST:
        return f"vectors of {header.shape[1]:,} numbers, expected at most {_WIDEST:,}"
    if header.fortran and header.bytes > _MOST_FORTRAN_BYTES:
        return f"{header.bytes:,} bytes with columns first, expected rows first (numpy.ascontiguousarray)"
    return ""


def _what(key: str) -> str:
    named = {"A": "the audio's matrix", "V": "the video's matrix", "L": "the text's matrix", "ids": "the clips' names"}
    return named.get(key, {"label_names": "the names of the classes", "split": "the splits"}.get(key, f"the {key}s"))


def _hint(meant: list[str]) -> str:
    return f"; the file holds {', '.join(meant)}, not read" if meant else ""
