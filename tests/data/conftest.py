"""A small packed corpus that a test can spoil, and the two ways of preparing it: in process and as the stage."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer.config import Config, parse_config
from ramer.data.prepared import PreparedCorpus
from ramer.project import Project
from tests.support.sections import prepare

ROOT = Path(__file__).resolve().parents[2]
Arrays = dict[str, np.ndarray]


def _raw(corpus: dict[str, Any], prepare: dict[str, Any] | None = None) -> dict[str, Any]:
    methods = {"prior": {"type": "prior"}}
    return {"corpus": corpus, "prepare": prepare or {"seeds": [0]}, "methods": methods, "serve": {"method": "prior"}}


@pytest.fixture
def configure() -> Callable[..., Config]:
    """Config of a corpus section, a prepare section and others by name."""
    return lambda corpus, prepare=None, **others: parse_config(_raw(corpus, prepare) | others)


@pytest.fixture
def packed() -> Arrays:
    """120 rows of 12 speakers: 8 train, 2 val, 2 test; three classes; 10 pool rows."""
    rng = np.random.default_rng(0)
    rows = 120
    speaker = np.repeat(np.arange(12), 10)
    split = np.array(["train"] * 80 + ["val"] * 20 + ["test"] * 20)
    split[70:80] = "pool"
    return {
        "ids": np.array([f"clip{i}" for i in range(rows)]),
        "split": split,
        "speaker": np.array([f"s{s:02d}" for s in speaker]),
        "label": np.arange(rows) % 3,
        "label_names": np.array(["calm", "glad", "cross"]),
        "A": rng.normal(size=(rows, 5)).astype(np.float32),
        "V": rng.normal(size=(rows, 4)).astype(np.float32),
        "L": rng.normal(size=(rows, 6)),
    }


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Arrays], Path]:
    """Write a packed corpus to a file."""

    def write(arrays: Arrays) -> Path:
        path = tmp_path / "corpus.npz"
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
        return path

    return write


@pytest.fixture
def prepared(tmp_path: Path, save: Callable[[Arrays], Path]) -> Callable[..., PreparedCorpus]:
    """Prepare a packed corpus in process and open the result."""

    def run(arrays: Arrays, **section: Any) -> PreparedCorpus:
        config = parse_config(_raw({"kind": "npz", "path": str(save(arrays))}, {"seeds": [0], **section}))
        prepare(config, Project(tmp_path).prepared)
        return PreparedCorpus.open(Project(tmp_path).prepared)

    return run


@pytest.fixture
def run_stage(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python -m stages.prepare`` in an empty project folder."""

    def run(corpus: dict[str, Any], section: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        Project(tmp_path).params.write_text(json.dumps(_raw(corpus, section)))
        return subprocess.run(
            [sys.executable, "-m", "stages.prepare"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture
def save_labels(tmp_path: Path) -> Callable[..., Path]:
    """Write a label file as the benchmark does: every member a 0-d object array, pickled."""

    def write(members: dict[str, Any], protocol: int = 4) -> Path:
        import pickle

        path = tmp_path / "merbench" / "label.npz"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as file:
            for name, value in members.items():
                header = io.BytesIO()
                np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": ()})
                held = np.empty((), dtype=object)
                held[()] = value
                data = value if isinstance(value, bytes) else pickle.dumps(held, protocol)
                file.writestr(f"{name}.npy", header.getvalue() + data)
        return path

    return write
