"""A prepared corpus as it is opened, without pandas, against what pandas reads of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ramer.data.prepared import SPLITS, PreparedCorpus
from ramer.files import write_lines
from ramer.modalities import MODALITIES
from ramer.training.workspace import Workspace


def test_rows_are_those_that_pandas_reads(workspace: Workspace, tmp_path: Path) -> None:
    made = workspace.corpus.path
    rows, splits = (pd.read_parquet(made / f"{name}.parquet") for name in ("rows", "splits"))
    rows.loc[rows.index % 5 == 0, "speaker"] = None
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    rows.to_parquet(tmp_path / "rows.parquet", index=False)
    corpus = PreparedCorpus.open(tmp_path)
    codes, names = pd.factorize(rows["speaker"])
    np.testing.assert_array_equal(corpus.groups, codes)
    assert corpus.speakers.tolist() == [None if code < 0 else list(names)[code] for code in codes.tolist()]
    assert corpus.ids.tolist() == rows["id"].tolist()
    np.testing.assert_array_equal(corpus.available, rows[[f"available_{m}" for m in MODALITIES]])
    for replicate in corpus.replicates:
        for split in SPLITS:
            expected = np.flatnonzero(splits[replicate.name] == split)
            np.testing.assert_array_equal(corpus.rows_in(replicate, split), expected)
            if split != "pool":
                labels = corpus.labels(replicate)[expected]
                assert [corpus.label_names[label] for label in labels] == rows["label"][expected].tolist()


@pytest.mark.parametrize("numbers", ["", ".9g"])
def test_lines_have_the_bytes_of_pandas(numbers: str, tmp_path: Path) -> None:
    values = [0.1, 1.0, 1e-7, 123456789.123456789, float("nan"), np.float64(2 / 3), 1e22, -0.0, float("inf")]
    lines: list[dict[str, str | float]] = [
        {"replicate": f"a,{i}", "epoch": i, "loss": value} for i, value in enumerate(values)
    ]
    columns = ("replicate", "epoch", "loss")
    write_lines(tmp_path / "ours.csv", columns, lines, numbers)
    table, form = pd.DataFrame(lines, columns=list(columns)), f"%{numbers}" if numbers else None
    table.to_csv(tmp_path / "pandas.csv", index=False, float_format=form)
    assert (tmp_path / "ours.csv").read_bytes() == (tmp_path / "pandas.csv").read_bytes()
