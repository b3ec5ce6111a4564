"""The pickled objects in an archive of numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ramer.data.names import on_one_line
from ramer.data.npy import UNREADABLE, damage, open_archive
from ramer.data.unpickle import plain_entry, read_pickle
from ramer.errors import CorpusError

MOST_PICKLED_BYTES = 1 << 27  # of one pickle; the label file of the largest corpus of the field takes 10 MB


def read_objects(path: Path, wanted: Callable[[str], bool]) -> dict[str, object]:
    """The objects in the 0-d object arrays of an ``.npz``, by member name in the file's order.

    Args:
        wanted: says by its name whether a member is read.

    Raises:
        CorpusError: not an ``.npz``, or a member holds anything but dicts, strings, numbers and numpy arrays.
    """
    objects: dict[str, object] = {}
    where = f"{path}: not a whole .npz file: "
    try:
        with open_archive(path) as archive:
            for member in filter(wanted, archive.keys):
                shown = on_one_line(member)
                where = f"{path}: {shown}: not an array: "
                header, data = archive.pickled(member, MOST_PICKLED_BYTES)
                where = f"{path}: {shown}: "
                if header.shape != () or header.dtype != np.dtype(object):
                    raise ValueError(
                        "expected one pickled dict (a 0-d object array), "
                        f"found {header.dtype} of shape {list(header.shape)}"
                    )
                objects[member] = plain_entry(read_pickle(data), {}, 0)
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file, expected a label file") from None
    except UNREADABLE as error:
        raise CorpusError(f"{where}{damage(error)}") from None
    return objects
