"""A model whose files have changed is refused or answers as before; odd requests are answered or refused."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer import Predictor
from ramer.errors import RamerError
from ramer.modalities import MODALITIES
from ramer.serving.json_records import predict_table, read_records
from ramer.serving.modelfiles import export_model
from tests.campaign.attacking import Attack, mutated, outcome
from tests.support.served_project import raw_features, rows_of

pytestmark = pytest.mark.campaign


def test_model_files(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("files of a model, damaged", 1200, 60, minutes=2.0)
    methods = ("ramer", "rebuilt", "late_product", "label_knn")
    rows = rows_of(served)
    asked = [raw_features(served, rows, c) for c in ("avt", "a", "vt")]
    models, expected = {}, {}
    for method in methods:
        models[method] = tmp_path / method / "model"
        export_model(served, models[method], method)
        expected[method] = [Predictor.load(models[method]).predict(a).probabilities for a in asked]
    for rng in one.attempts(hangs_s=30):
        method = rng.choice(methods)
        files = sorted(path for path in models[method].rglob("*") if path.is_file())
        file = rng.choice(files)
        whole = file.read_bytes()
        changed = mutated(rng, whole)
        if rng.random() < 0.05:
            file.unlink()
        else:
            file.write_bytes(changed)
        answers: list[np.ndarray] = []
        said = outcome(partial(_answers, models[method], asked, answers), (RamerError,))
        if said == "right" and not all(map(np.array_equal, answers, expected[method])):
            said = "another answer"
        one.count(said)
        file.write_bytes(whole)
    shutil.rmtree(tmp_path)


def _answers(model: Path, asked: list[dict[str, np.ndarray]], answers: list[np.ndarray]) -> None:
    """Load a model and append what it answers to each question."""
    predictor = Predictor.load(model)
    answers += [predictor.predict(question).probabilities for question in asked]


def _ask(predictor: Predictor, given: Any, neighbours: bool) -> None:
    """Ask as ``mlflow models serve`` does; as many finite answers as records, or an ``AssertionError``."""
    records = read_records(given)
    table = predict_table(predictor, records, neighbours=neighbours)
    numbers = table[[c for c in table if str(c).startswith("p/")]].to_numpy(dtype=float)
    assert len(numbers) == len(records), f"{len(numbers)} answers"
    assert np.isfinite(numbers).all(), f"an answer of {numbers}"


_NAN = float("nan")


def _cell(rng: random.Random, dim: int) -> Any:
    whole = [rng.gauss(0, 1) for _ in range(dim)]
    odd: list[Any] = [None, [], [None] * dim, whole[:-1], [*whole, 1.0], [[1.0] * dim], [whole, whole], "text", 3, {}]
    odd += [True, _NAN, [1e308] * dim, [_NAN] * dim, [float("inf"), *whole[1:]], ["1", *whole[1:]], [10**400] * dim]
    return whole if rng.random() < 0.5 else rng.choice(odd)


def test_requests(attack: Callable[..., Attack], served: Path) -> None:
    one = attack("requests to a model, odd", 5000, 300, minutes=1.0)
    predictor = Predictor.load(served)
    dims = {m: v.shape[1] for m, v in raw_features(served, rows_of(served)[:1]).items()}
    for rng in one.attempts(hangs_s=30):
        names = (*MODALITIES, *MODALITIES, "speech", "", "Audio")
        records = [
            {n: _cell(rng, dims.get(n, 3)) for n in rng.sample(names, rng.randrange(4))}
            for _ in range(rng.randrange(4))
        ]
        given: Any = records if rng.random() < 0.8 else rng.choice(({}, None, 3, "x", [1], [records], {"audio": 1}))
        said = outcome(partial(_ask, predictor, given, rng.random() < 0.3), (RamerError,))
        one.count(said if said in ("right", "refused") else f"{str(given)[:150]}: {said}")
