"""Damaged and hostile input for every reader: read, or refused in lines; nothing runs, nothing hangs."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import zipfile
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.config import Merbench, load_config
from ramer.data.clip_vectors import load_vector
from ramer.data.merbench_labels import read_labels
from ramer.data.npy import UNREADABLE, entries
from ramer.data.npz import read_npz
from ramer.errors import RamerError
from ramer.serving.features import read_features
from tests.campaign.attacking import Attack, mutated, outcome
from tests.support.closure import ROOT

pytestmark = pytest.mark.campaign

LABELS = {
    "train_corpus": {f"clip{i}": {"emo": ("happy", "sad", "angry")[i % 3], "val": i / 10 - 1} for i in range(9)},
    "test_corpus": {"one": {"emo": np.str_("sad"), "val": np.float32(0.5)}, "two": {"emo": "", "val": np.array(-1.5)}},
}


def _npy(value: np.ndarray, protocol: int = 4) -> bytes:
    """An ``.npy`` file; what is an object is pickled by a protocol of choice."""
    stream = io.BytesIO()
    if value.dtype != object:
        np.lib.format.write_array(stream, value)
        return stream.getvalue()
    header = {"descr": "|O", "fortran_order": False, "shape": value.shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + pickle.dumps(value, protocol)


def _zip(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return stream.getvalue()


def _spoiled(rng: random.Random, members: dict[str, bytes]) -> bytes:
    """A whole archive with a spoiled member, or a spoiled archive."""
    if rng.random() < 0.2:
        return mutated(rng, _zip(members))
    name = rng.choice(sorted(members))
    return _zip(members | {name: mutated(rng, members[name])})


def _read(attack: Attack, read: Callable[[], object], *refusals: type[Exception]) -> None:
    attack.count(outcome(read, refusals))


def test_label_files(attack: Callable[..., Attack], tmp_path: Path) -> None:
    one = attack("label files, damaged", 4000, 150, minutes=1.0)
    path = tmp_path / "label.npz"
    for rng in one.attempts(hangs_s=20):
        members = {n: _npy(np.array(v, dtype=object), rng.randrange(0, 6)) for n, v in LABELS.items()}
        path.write_bytes(_spoiled(rng, members))
        settings = rng.choice((Merbench(), Merbench(task="sentiment")))
        _read(one, partial(read_labels, path, settings), RamerError)


class _Gadget:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def test_pickles_that_are_programs(attack: Callable[..., Attack], tmp_path: Path) -> None:
    one = attack("label files that are programs", 3000, 200, minutes=1.0)
    path, trace = tmp_path / "label.npz", tmp_path / "it-ran"
    calls = [
        (os.mkdir, str(trace)),
        (os.system, f"mkdir {trace}"),
        (eval, f"__import__('os').mkdir({str(trace)!r})"),
        (exec, f"import os; os.mkdir({str(trace)!r})"),
        (np.save, str(trace), 1),
        (open, str(trace), "w"),
    ]
    for rng in one.attempts(hangs_s=20):
        gadget: Any = _Gadget(*rng.choice(calls))
        for _ in range(rng.randrange(4)):
            gadget = rng.choice(([gadget], {"emo": gadget}, (1, gadget), {"a": {"emo": gadget}}))
        content = _npy(np.array({"a": gadget}, dtype=object), rng.randrange(0, 6))
        if rng.random() < 0.5:
            header = content.index(b"\n") + 1
            content = content[:header] + mutated(rng, content[header:])
        path.write_bytes(_zip({"train_corpus": content}))
        _read(one, lambda: read_labels(path, Merbench()), RamerError)
        if [p for p in tmp_path.iterdir() if p != path]:
            one.went_wrong("it ran")
            break


def test_packed_corpora(attack: Callable[..., Attack], tmp_path: Path) -> None:
    one = attack("packed corpora, damaged", 4000, 400, minutes=1.0)
    path = tmp_path / "corpus.npz"
    numbers = np.random.default_rng(0)
    arrays = {
        "ids": np.array([f"clip{i}" for i in range(30)]),
        "split": np.array(["train"] * 18 + ["val"] * 6 + ["test"] * 6),
        "speaker": np.array([f"s{i // 3}" for i in range(30)]),
        "label": np.arange(30) % 3,
        "label_names": np.array(["calm", "glad", "cross"]),
        "A": numbers.normal(size=(30, 5)).astype(np.float32),
        "V": numbers.normal(size=(30, 4)),
        "L": numbers.normal(size=(30, 6)).astype(np.float16),
    }
    members = {name: _npy(array) for name, array in arrays.items()}
    for rng in one.attempts(hangs_s=20):
        path.write_bytes(_spoiled(rng, members))
        if rng.random() < 0.5:
            _read(one, lambda: read_npz(path), RamerError)
        else:
            _read(one, lambda: read_features(path, {}), RamerError)


def test_feature_files(attack: Callable[..., Attack], tmp_path: Path) -> None:
    one = attack("feature files, damaged", 6000, 1000, minutes=0.5)
    path = tmp_path / "clip.npy"
    whole = [_npy(np.random.default_rng(0).random((4, 8)).astype(t)) for t in ("f4", "f8", "i2", "f2")]
    for rng in one.attempts(hangs_s=20):
        path.write_bytes(mutated(rng, rng.choice(whole)))
        if rng.random() < 0.5:
            _read(one, lambda: load_vector(path), RamerError, ValueError)
        else:
            _read(one, lambda: deque(entries(path), maxlen=1), *UNREADABLE)


def _odd(rng: random.Random) -> Any:
    return rng.choice(
        (
            None,
            True,
            -1,
            0,
            10**400,
            1.5,
            float("nan"),
            float("inf"),
            "",
            "x" * 3000,
            "\ud800",
            [],
            {},
            [[1]],
            {"a": {}},
            "a\0b",
        )
    )


def _change_keys(rng: random.Random, tree: Any) -> None:
    """Give one key of a tree, at any depth, another value or another name."""
    while isinstance(tree, dict) and tree:
        key = rng.choice(list(tree))
        if not isinstance(tree[key], dict) or not tree[key] or rng.random() < 0.25:
            way = rng.randrange(3)
            value = tree.pop(key) if way else _odd(rng)
            if way < 2:
                tree[f"{key}{rng.choice(('', 's', '.x', '/', ' '))}" if way else key] = value
            return
        tree = tree[key]


def test_params(attack: Callable[..., Attack], tmp_path: Path) -> None:
    one = attack("params.yaml, damaged and odd", 3000, 150, minutes=1.0)
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_bytes()
    from ruamel.yaml import YAML

    parsed = json.dumps(YAML(typ="safe", pure=True).load(text.decode()))
    for rng in one.attempts(hangs_s=20):
        if rng.random() < 0.2:
            path.write_bytes(mutated(rng, text))
        else:
            tree = json.loads(parsed)
            for _ in range(rng.choice((1, 1, 2, 5))):
                _change_keys(rng, tree)
            path.write_text(json.dumps(tree), "utf-8", "surrogatepass")
        _read(one, lambda: load_config(path), RamerError)
