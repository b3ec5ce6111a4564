"""Everything that reads what somebody else wrote, from bytes; whole input for each lies in ``seeds/``."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ramer.config import Merbench, load_config
from ramer.data.clip_tables import read_official_table
from ramer.data.clip_vectors import load_vector
from ramer.data.label_tables import read_label_table
from ramer.data.merbench_labels import read_labels
from ramer.data.npz import read_npz
from ramer.digests import check_folder
from ramer.errors import RamerError
from ramer.extraction.clips import read_transcripts
from ramer.extraction.manifest import Manifest
from ramer.serving.description import ModelDescription
from ramer.serving.features import read_features
from ramer.serving.json_records import read_records
from tests.campaign.attacking import outcome

SEEDS = Path(__file__).with_name("seeds")


@dataclass(frozen=True)
class Reader:
    """A reader and where it finds its input.

    Attributes:
        file: name of the file, in a folder of its own.
        read: of that file's path; raises one of ``refusals``.
        packed: the bytes as the file holds them.
    """

    file: str
    read: Callable[[Path], object]
    refusals: tuple[type[Exception], ...] = (RamerError,)
    packed: Callable[[bytes], bytes] = bytes

    def attempt(self, data: bytes, folder: Path) -> str:
        """``right``, ``refused``, or what went wrong."""
        path = folder / self.file
        path.write_bytes(self.packed(data))
        return outcome(lambda: self.read(path), self.refusals)


def archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return stream.getvalue()


def npy(value: np.ndarray, protocol: int = 4) -> bytes:
    """An ``.npy`` file; what is an object is pickled by a protocol of choice."""
    stream = io.BytesIO()
    if value.dtype != object:
        np.lib.format.write_array(stream, value)
        return stream.getvalue()
    header = {"descr": "|O", "fortran_order": False, "shape": value.shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + pickle.dumps(value, protocol)


_COLUMNS = {
    "ids": npy(np.array(["a", "b", "c", "d"])),
    "label": npy(np.array([0, 1, 0, 1])),
    "label_names": npy(np.array(["calm", "glad"])),
    "split": npy(np.array(["train", "train", "val", "test"])),
    "A": npy(np.eye(4, 3, dtype=np.float32) + 1),
}


def _member(name: str) -> Callable[[bytes], bytes]:
    return lambda data: archive(**(_COLUMNS | {name: data}))


def _requests(path: Path) -> object:
    try:
        given = json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # what the server's own reading refuses
        raise RamerError("no JSON") from None
    return read_records(given)


READERS = {
    "feature": Reader("clip.npy", load_vector, (ValueError,)),
    "labels": Reader("label.npz", lambda path: read_labels(path, Merbench()), packed=_member("train_corpus")),
    "packed-ids": Reader("corpus.npz", read_npz, packed=_member("ids")),
    "packed-matrix": Reader("corpus.npz", read_npz, packed=_member("A")),
    "clips": Reader("clips.npz", lambda path: read_features(path, {}), packed=_member("A")),
    "params": Reader("params.yaml", load_config),
    "label-table": Reader("labels.csv", read_label_table),
    "official-table": Reader("official.csv", lambda path: read_official_table(path, ("clip", "label"))),
    "transcripts": Reader("transcripts.csv", read_transcripts),
    "manifest": Reader("manifest.json", Manifest.read),
    "model": Reader("model.json", lambda path: ModelDescription.read(path.parent, verify=False)),
    "digests": Reader("digests.json", lambda path: check_folder(path.parent, [])),
    "requests": Reader("records.json", _requests),
}


def seeds(name: str) -> list[bytes]:
    """Whole input of a reader."""
    return [path.read_bytes() for path in sorted((SEEDS / name).iterdir())]
