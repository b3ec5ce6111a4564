"""Why a row lacks a modality, as far as its features tell."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ramer.project import Project

Stage = Callable[..., subprocess.CompletedProcess[str]]


def test_a_row_of_zeros_is_told_from_one_without_a_vector(run_stage: Stage, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {key: rng.normal(size=(60, 4)).astype(np.float32) for key in "AVL"}
    arrays["V"][3], arrays["V"][4] = 0, np.nan
    np.savez(
        tmp_path / "mine.npz",
        ids=np.array([f"clip{i:02}" for i in range(60)]),
        split=np.array(["train"] * 40 + ["val"] * 10 + ["test"] * 10),
        speaker=np.array([f"s{i // 5}" for i in range(60)]),
        label=np.arange(60) % 2,
        label_names=np.array(["calm", "glad"]),
        **arrays,
    )
    done = run_stage({"kind": "npz", "path": str(tmp_path / "mine.npz")}, {"seeds": [0]})
    assert done.returncode == 0, done.stderr
    rows = pd.read_parquet(Project(tmp_path).prepared / "rows.parquet")
    assert np.flatnonzero(~rows["available_video"]).tolist() == [3, 4]
    assert np.flatnonzero(rows["zeros_video"]).tolist() == [3]
    assert not rows["zeros_audio"].any()
