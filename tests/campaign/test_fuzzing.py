"""Readers of what strangers wrote: input made by rule (hypothesis), and input that finds new ways through (atheris)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.campaign.attacking import SHARE, Attack
from tests.campaign.readers import READERS, npy, seeds
from tests.support.closure import ROOT

pytestmark = pytest.mark.campaign

_NAMES = st.text(max_size=8)
_CELLS = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), _NAMES)
_TREES = st.recursive(_CELLS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=4))
_ARRAYS = arrays.arrays(
    st.one_of(arrays.scalar_dtypes(), arrays.unicode_string_dtypes(max_len=5), arrays.byte_string_dtypes(max_len=5)),
    arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5),
)
_ENTRIES = st.fixed_dictionaries({}, optional={"emo": _TREES, "val": _TREES, "who": _TREES})
_QUOTED = st.text(st.sampled_from('ab,";|\t\n\r \0é你'), max_size=12)


def _branches(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every value of a tree."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(found for key, value in inner for found in _branches(value, (*path, key)))]


@st.composite
def _changed_json(draw: st.DrawFn, name: str) -> bytes:
    """A seed of which one to three values are others."""
    tree = {"": json.loads(draw(st.sampled_from([s for s in seeds(name) if s[:1] in b"[{"])))}
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(_branches(tree)[1:]))
        holder = tree
        for key in way:
            holder = holder[key]
        holder[last] = draw(_TREES)
    return json.dumps(tree[""]).encode("utf-8", "surrogatepass")


def _table(columns: str) -> st.SearchStrategy[bytes]:
    rows = st.lists(st.lists(_QUOTED, min_size=1, max_size=5), max_size=6)
    return rows.map(lambda cells: "\n".join([columns, *map(",".join, cells)]).encode())


STRUCTURED: dict[str, st.SearchStrategy[bytes]] = {
    "feature": _ARRAYS.map(npy),
    "labels": st.dictionaries(_NAMES, _ENTRIES | _TREES, max_size=5).map(lambda d: npy(np.array(d, dtype=object))),
    "packed-ids": _ARRAYS.map(npy),
    "packed-matrix": _ARRAYS.map(npy),
    "clips": _ARRAYS.map(npy),
    "params": _TREES.map(lambda tree: json.dumps(tree).encode()),
    "label-table": _table("clip,label,speaker,split"),
    "official-table": _table("clip,label"),
    "transcripts": _table("clip,sentence"),
    "manifest": _changed_json("manifest"),
    "model": _changed_json("model"),
    "digests": _changed_json("digests"),
    "requests": _TREES.map(lambda tree: json.dumps(tree).encode()) | _changed_json("requests"),
}


def test_every_reader_is_attacked() -> None:
    assert STRUCTURED.keys() == READERS.keys()
    assert all(seeds(name) for name in READERS)


@pytest.mark.parametrize("name", STRUCTURED)
def test_input_made_by_rule(attack: Callable[..., Attack], name: str, tmp_path: Path) -> None:
    one = attack(f"{name}: made by rule", 500, 25, minutes=0.2)

    @seed(zlib.crc32(f"{one.seed}/{name}".encode()))
    @settings(
        max_examples=one.planned,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(STRUCTURED[name])
    def attempt(data: bytes) -> None:
        if not one.is_over:
            one.next_attempt()
            one.count(READERS[name].attempt(data, tmp_path))

    attempt()


_SAMPLED = ("labels", "packed-ids")


@pytest.mark.fuzz
@pytest.mark.parametrize("name", READERS if SHARE in os.environ else _SAMPLED)
def test_input_that_finds_new_ways(attack: Callable[..., Attack], name: str, tmp_path: Path) -> None:
    if find_spec("atheris") is None:
        pytest.skip("atheris is not installed (extra: fuzz)")
    one = attack(f"{name}: led by coverage", 3000, 200, minutes=0.25)
    corpus, counts = shutil.copytree(ROOT / "tests/campaign/seeds" / name, tmp_path / name), tmp_path / "counts"
    options = [f"-runs={one.planned}", f"-seed={int(one.seed) + 1}", f"-artifact_prefix={tmp_path}/"]
    options += [f"-max_total_time={round(60 * one.minutes)}"] if one.whole else []
    options += ["-max_len=30000", "-timeout=60", "-rss_limit_mb=3000"]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.campaign.fuzzing", name, counts, *options, corpus],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
    told = json.loads(counts.read_text("utf-8")) if counts.exists() else {"tried": 0}
    one.tried, one.right, one.refused = (int(told.get(key, 0)) for key in ("tried", "right", "refused"))
    if ran.returncode or not one.tried or one.right + one.refused != one.tried:
        one.went_wrong(f"{told.get('said', '')}: {ran.stderr[-300:]}")
