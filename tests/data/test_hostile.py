"""Files that were made to do harm: one line each, in bounded memory, and no reader waits for ever."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import textwrap
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ramer.data.clip_vectors import load_vector
from ramer.data.npy import read_array
from ramer.data.npz import read_npz
from ramer.data.pickled_objects import read_objects
from ramer.data.unpickle import MOST_VALUES
from ramer.errors import CorpusError

ROOT = Path(__file__).resolve().parents[2]
_MIB = 1 << 20
# In a child: what the reader may take beyond what Python and the packages took before it was called.
_CHILD = """
    import resource, sys
    from pathlib import Path
    from ramer.config import Merbench
    from ramer.data.feature_blocks import write_features
    from ramer.data.clip_vectors import load_vector
    from ramer.data.merbench_labels import read_labels
    from ramer.data.npz import read_npz
    from ramer.errors import RamerError
    from ramer.data.label_tables import read_label_table
    def labels(path): read_labels(path, Merbench())
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        globals()[sys.argv[1]](Path(sys.argv[2]))
    except (RamerError, ValueError) as error:
        print(error)
        sys.exit(2)
"""


def _bounded(reader: str, path: Path, bytes_more: int, most_lines: int = 4) -> str:
    """What the reader says in a child that may take so many bytes more; it has to end with a fault."""
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_CHILD), reader, str(path), str(bytes_more)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 2, ran.stderr[-2000:]
    assert "MemoryError" not in ran.stdout
    assert len(ran.stdout.splitlines()) <= most_lines
    return ran.stdout


def _header(dtype: str, shape: tuple[int, ...], fortran: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": fortran, "shape": shape})
    return stream.getvalue()


def _packed(path: Path, key: str, header: bytes, zeros: int, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A packed corpus of three rows, one of whose keys is a header and so many zero bytes."""
    arrays = {"ids": np.array(["a", "b", "c"]), "label": np.array([0, 1, 0]), "label_names": np.array(["x", "y"])}
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as file:
        for name, array in (arrays | {"A": np.ones((3, 2))}).items():
            if name != key:
                with file.open(f"{name}.npy", "w") as stream:
                    np.lib.format.write_array(stream, array)
        with file.open(f"{key}.npy", "w", force_zip64=True) as stream:
            stream.write(header)
            for start in range(0, zeros, _MIB):
                stream.write(bytes(min(_MIB, zeros - start)))
    return path


_LONG = b"\x93NUMPY\x02\x00" + (400 * _MIB).to_bytes(4, "little")
PACKED: dict[str, tuple[str, bytes, int, str]] = {
    "bytes after a column": ("ids", _header("<U1", (3,)), 400 * _MIB, "ids: not a whole array: holds"),
    "bytes after a matrix": ("A", _header("<f8", (3, 2)), 400 * _MIB, "A: not a whole array: holds"),
    "columns first": ("A", _header("<f8", (3, 2), True), 400 * _MIB, "A: not a whole array: holds"),
    "endless strings": ("ids", _header("<U33554432", (3,)), 384 * _MIB, "ids: strings of <U33554432, expected at most"),
    "more rows than any corpus": ("ids", _header("<U1", (100_000_000,)), 4 * 100_000_000, "ids: 100,000,000 entries"),
    "endless vectors": ("A", _header("|i1", (3, 1 << 27)), 384 * _MIB, "A: vectors of 134,217,728 numbers"),
    "an endless header": ("A", _LONG, 400 * _MIB, "A: not a whole array: a header of 419,430,400 bytes"),
    "an endless pickle": ("ids", _header("|O", (3,)), 400 * _MIB, "ids: 419,430,400 bytes of pickled objects"),
}


@pytest.mark.parametrize(("key", "header", "zeros", "line"), PACKED.values(), ids=PACKED)
def test_a_packed_file_never_takes_more_than_it_says(
    key: str, header: bytes, zeros: int, line: str, tmp_path: Path
) -> None:
    path = _packed(tmp_path / "corpus.npz", key, header, zeros)
    assert path.stat().st_size < 4 * _MIB
    assert line in _bounded("read_npz", path, 200 * _MIB)


def test_only_the_compression_of_numpy_is_read(tmp_path: Path) -> None:
    """Others give any number of bytes at once for a few that they read."""
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = _packed(tmp_path / f"{method}.npz", "A", _header("<f8", (3, 2)), 48, method)
        with pytest.raises(CorpusError, match="compressed in another way than numpy does"):
            read_npz(path)


# Instructions of a pickle: ( mark, } { new dict, ] list, q/r/\x94 into the memo, h/j out of it, e append, . the end.
_BIG = b"B" + (30 * _MIB).to_bytes(4, "little") + bytes(30 * _MIB)
_TYPE = pickle.dumps(np.dtype("i1"), 2)[2:-1]
LABELS: dict[str, tuple[bytes, str]] = {
    "an index into the memo": (b"\x80\x04]r\xff\xff\xff\x7f.", "expected a dict of clips, got list"),
    "a great many values": (b"\x80\x02(" + b"}" * 100 * _MIB + b"l.", f"more than {MOST_VALUES:,} values"),
    "an array again and again": (
        b"\x80\x02" + _BIG + b"q\x21cnumpy.core.numeric\n_frombuffer\nq\x22" + _TYPE + b"q\x23("
        + (b"h\x22h\x21h\x23J" + (30 * _MIB).to_bytes(4, "little") + b"\x85\x87R") * 100 + b"t.",
        f"more than {MOST_VALUES:,} values",
    ),
    "a text encoded again and again": (
        b"\x80\x02X" + (30 * _MIB).to_bytes(4, "little") + b"a" * 30 * _MIB + b"q\x01c_codecs\nencode\nq\x02("
        + b"h\x02h\x01\x85R" * 100 + b"t.",
        f"more than {MOST_VALUES:,} values",
    ),
    "lists in lists by name": (
        b"\x80\x02]q\x00" + b"".join(b"](" + (b"h" + bytes([i])) * 100 + b"eq" + bytes([i + 1])
                                      for i in range(40)) + b".",
        "containers nested deeper than 32",
    ),
    "a list in itself": (b"\x80\x02]q\x00h\x00a.", "containers nested deeper than 32"),
    "tuples in tuples": (b"\x80\x02K\x01" + b"\x85" * 2_000_000 + b".", "containers nested deeper than 32"),
    "a deep tuple as a key": (b"\x80\x02}K\x01" + b"\x85" * 2_000_000 + b"K\x01s.", "a key that is no string"),
    "an endless integer": (b"\x80\x02\x8b" + (4096).to_bytes(4, "little") + b"\x01" * 4096 + b".", "an integer of mo"),
    "numbers as keys": (b"\x80\x02}K\x01K\x02s.", "a key that is no string"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "line"), LABELS.values(), ids=LABELS)
def test_a_label_file_never_takes_more_than_its_values(data: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "label.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        file.writestr("train_corpus.npy", _header("|O", ()) + data)
    assert line in _bounded("labels", path, 1024 * _MIB)


def test_a_label_file_larger_than_any_corpus_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "label.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("train_corpus.npy", "w", force_zip64=True) as stream,
    ):
        stream.write(_header("|O", ()))
        for _ in range(400):
            stream.write(bytes(_MIB))
    assert "419,430,400 bytes of pickled objects" in _bounded("labels", path, 200 * _MIB)


def test_a_character_beyond_all_is_one_line(tmp_path: Path) -> None:
    path = _packed(tmp_path / "corpus.npz", "ids", _header("<U1", (3,)) + b"\xff\xff\xff\x7f" * 3, 0)
    with pytest.raises(CorpusError, match="ids: strings with characters that are none"):
        read_npz(path)
    data = pickle.dumps({"a": {"emo": np.array(["zz"])}}, 4).replace(b"z\x00\x00\x00", b"\xff\xff\xff\x7f")
    with zipfile.ZipFile(tmp_path / "label.npz", "w") as file:
        file.writestr("train_corpus.npy", _header("|O", ()) + data)
    with pytest.raises(CorpusError, match="train_corpus: damaged pickle: strings with characters that are none"):
        read_objects(tmp_path / "label.npz", lambda _: True)


def test_a_number_of_five_thousand_digits_is_one_line(save_labels: Callable[..., Path]) -> None:
    path = save_labels({"train_corpus": {"a": {"emo": 1, "val": 10**5000}}})
    with pytest.raises(CorpusError, match="train_corpus: damaged pickle: an integer of more than 8 bytes"):
        read_objects(path, lambda _: True)


def test_a_sparse_feature_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(_header("<f4", (1 << 20, 1 << 12)))
    os.truncate(path, path.stat().st_size + (1 << 34))
    assert "17,179,869,184 bytes, expected at most" in _bounded("load_vector", path, 200 * _MIB)


def test_a_header_beyond_the_file_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(_header("<f4", (1 << 20, 1 << 12)) + bytes(100))
    assert "ends after 100 of 17,179,869,184 bytes" in _bounded("load_vector", path, 200 * _MIB)


def test_an_endless_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(_LONG)
    os.truncate(path, 500 * _MIB)
    assert "a header of 419,430,400 bytes, expected at most 10,000" in _bounded("load_vector", path, 200 * _MIB)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """Without a writer, opening a pipe the usual way never returns."""
    os.mkfifo(tmp_path / "pipe")
    for link in ("x.npy", "corpus.npz", "label.npz"):
        (tmp_path / link).symlink_to("pipe")
    with pytest.raises(ValueError, match="a pipe, device or socket, expected a regular file"):
        load_vector(tmp_path / "x.npy")
    with pytest.raises(CorpusError, match=r"corpus\.npz: .*expected a regular file"):
        read_npz(tmp_path / "corpus.npz")
    with pytest.raises(CorpusError, match=r"label\.npz: .*expected a regular file"):
        read_objects(tmp_path / "label.npz", lambda _: True)


def test_a_device_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npy").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match="expected a regular file"):
        load_vector(tmp_path / "x.npy")
    with pytest.raises(CorpusError, match="Is a directory"):
        read_npz(tmp_path)


def test_an_array_that_python_2_wrote_is_read_without_a_warning(tmp_path: Path) -> None:
    text = b"{'descr': '<f4', 'fortran_order': True, 'shape': (2L, 3L), }"
    header = b"\x93NUMPY\x01\x00" + (117).to_bytes(2, "little") + text.ljust(116) + b"\n"
    path, whole = tmp_path / "clip.npy", np.arange(6, dtype="<f4").reshape(2, 3)
    path.write_bytes(header + whole.tobytes(order="F"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(read_array(path), whole)


def test_what_zip_quotes_of_a_damaged_archive_is_not_all_told(tmp_path: Path) -> None:
    path = tmp_path / "corpus.npz"
    np.savez(path, ids=np.array(["a"]), label=np.zeros(900, int), A=np.zeros((1, 2)))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        start = file.getinfo("label.npy").header_offset
    content[start + 26 : start + 28] = (7000).to_bytes(2, "little")  # how long the name is, as its own header says
    path.write_bytes(content)
    with pytest.raises(CorpusError, match="label") as caught:
        read_npz(path)
    assert max(map(len, caught.value.faults)) <= 1000


_WHOLE = b"{'descr': '<f2', 'fortran_order': False, 'shape': (4, 3), }\n"


@pytest.mark.parametrize(
    "text",
    [
        *(_WHOLE + behind for behind in (b" <8I:", b"\n  1", b" L", b"\x00")),
        _WHOLE.replace(b"'<f2'", b"name"),
        _WHOLE.replace(b"(4, 3)", b"{[]: 1}"),
        b"(" * 9000,
    ],
)
def test_a_header_that_numpy_would_repair_is_refused_without_a_warning(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "clip.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(24))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="a header that cannot be read"):
            read_array(path)


@pytest.mark.parametrize("kind", [b"3", b"'3L,)'", b"'unknown'", b"[1, 2]"])
def test_a_type_that_is_none_is_named(tmp_path: Path, kind: bytes) -> None:
    text = _WHOLE.replace(b"'<f2'", kind)
    path = tmp_path / "clip.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(24))
    with pytest.raises(ValueError, match="a type that is none"):
        read_array(path)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("a,b\n" * 2_000_000, "row 1000002: more than 1,000,000 rows"),
        ("a\n" * 2_000_000, "... and 1999980 faults more"),
        (",b\n" * 2_000_000, "... and 1999980 faults more"),
        ("\n" * 4_000_000, "no row, expected one per clip"),
    ],
)
def test_a_table_of_very_many_short_lines_takes_bounded_memory(lines: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("clip,label\n" + lines, "utf-8")
    assert said in _bounded("read_label_table", path, 600 * _MIB, most_lines=21)
