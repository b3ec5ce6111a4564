"""A model whose files have changed is refused or answers as before; odd requests are answered or refused."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ramer import Predictor
from ramer.errors import RamerError
from ramer.modalities import MODALITIES
from ramer.serving.json_records import predict_table, read_records
from ramer.serving.modelfiles import export_model
from tests.campaign.attacking import Attack, mutated
from tests.support.served_project import raw_features, rows_of

# What NumPy and Python warn of is neither an answer nor a crash.
pytestmark = [pytest.mark.campaign, pytest.mark.filterwarnings("ignore")]


def test_model_files(attack: Callable[..., Attack], served: Path, tmp_path: Path) -> None:
    one = attack("files of a model, damaged", 1200, 60, minutes=6)
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
        try:
            predictor = Predictor.load(models[method])
            answers = [predictor.predict(a).probabilities for a in asked]
        except RamerError:
            one.refused += 1
        except Exception as error:
            one.went_wrong(f"{method}/{file.name}: {type(error).__name__}: {error}"[:300])
        else:
            same = all(np.array_equal(got, old) for got, old in zip(answers, expected[method], strict=True))
            if same:
                one.right += 1
            else:
                one.went_wrong(f"{method}/{file.name}: another answer")
        file.write_bytes(whole)
    shutil.rmtree(tmp_path)


_NAN = float("nan")


def _cell(rng: random.Random, dim: int) -> Any:
    whole = [rng.gauss(0, 1) for _ in range(dim)]
    odd: list[Any] = [None, [], [None] * dim, whole[:-1], [*whole, 1.0], [[1.0] * dim], [whole, whole], "text", 3, {}]
    odd += [True, _NAN, [1e308] * dim, [_NAN] * dim, [float("inf"), *whole[1:]], ["1", *whole[1:]], [10**400] * dim]
    return whole if rng.random() < 0.5 else rng.choice(odd)


def test_requests(attack: Callable[..., Attack], served: Path) -> None:
    one = attack("requests to a model, odd", 5000, 300)
    predictor = Predictor.load(served)
    dims = {m: v.shape[1] for m, v in raw_features(served, rows_of(served)[:1]).items()}
    for rng in one.attempts(hangs_s=30):
        names = (*MODALITIES, *MODALITIES, "speech", "", "Audio")
        records = [
            {n: _cell(rng, dims.get(n, 3)) for n in rng.sample(names, rng.randrange(4))}
            for _ in range(rng.randrange(4))
        ]
        given: Any = records if rng.random() < 0.8 else rng.choice(({}, None, 3, "x", [1], [records], {"audio": 1}))
        try:
            table = predict_table(predictor, read_records(given), neighbours=rng.random() < 0.3)
        except RamerError:
            one.refused += 1
        except Exception as error:
            one.went_wrong(f"{str(given)[:150]}: {type(error).__name__}: {error}"[:400])
        else:
            numbers = table[[c for c in table if str(c).startswith("p/")]].to_numpy(dtype=float)
            if np.isfinite(numbers).all() and len(numbers) == len(read_records(given)):
                one.right += 1
            else:
                one.went_wrong(f"{str(given)[:150]}: an answer of {numbers}"[:400])
