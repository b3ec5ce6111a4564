"""``ramer.compare``: the pipeline's numbers in one call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ramer
from ramer.config import Synthetic, load_config
from ramer.data.npz import read_npz
from ramer.data.packed_files import pack_raw_corpus
from ramer.data.synthetic import read_synthetic
from ramer.errors import ConfigError, CorpusError
from ramer.files import read_json
from ramer.modalities import AVERAGE, CONDITIONS
from ramer.project import Project
from tests.support.served_project import build_project, run_report
from tests.support.tiny_workspace import SYNTHETIC, tiny_config

METHODS: dict[str, dict[str, Any]] = {
    "ramer": {"type": "ramer", "k": 3},
    "late_product": {"type": "late_product"},
    "prior": {"type": "prior"},
}
CORPUS: dict[str, Any] = {"kind": "synthetic", "synthetic": SYNTHETIC}


def sections(**changes: Any) -> dict[str, Any]:
    """The parameters of ``build_project`` without corpus, methods and the served one."""
    config = tiny_config(METHODS).model_dump(mode="json", exclude={"corpus", "methods", "serve"})
    return config | {"prepare": {"seeds": [0, 1]}, "report": {"draws": 200}} | changes


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What the stages leave of the same parameters."""
    root = build_project(tmp_path_factory.mktemp("ran") / "project", METHODS, report={"draws": 200})
    run_report(root)
    return Project(root)


@pytest.fixture(scope="module")
def compared(ran: Project) -> Any:
    return ramer.compare(CORPUS, METHODS, params=sections())


def test_the_numbers_are_those_of_the_pipeline(compared: Any, ran: Project) -> None:
    summary = read_json(ran.summary)
    assert compared.reference == summary["reference"]
    differences = compared.differences.to_dict("records")
    told = [c for c in summary["comparisons"] if c["condition"] in (*CONDITIONS, AVERAGE)]
    assert [d for d in differences if d["condition"] in (*CONDITIONS, AVERAGE)] == told
    scores = compared.scores.set_index(["method", "condition"])
    for method in METHODS:
        for condition in (*CONDITIONS, AVERAGE):
            for metric in ("weighted_f1", "uar"):
                score = scores.loc[(method, condition), metric]
                assert score == pytest.approx(summary["methods"][method][condition][metric]["mean"], abs=1e-6)
    kept = pd.read_csv(ran.plot_data / "scores.csv")
    np.testing.assert_allclose(kept["weighted_f1_low"], compared.scores["weighted_f1_low"], atol=1e-6)


def test_tables_are_in_the_order_of_the_methods_with_both_ends(compared: Any) -> None:
    assert list(dict.fromkeys(compared.scores["method"])) == list(METHODS)
    assert (compared.scores["weighted_f1_low"] <= compared.scores["weighted_f1"]).all()
    assert (compared.scores["weighted_f1"] <= compared.scores["weighted_f1_high"]).all()
    assert set(compared.differences["method"]) == set(METHODS) - {compared.reference}
    assert {"difference", "low", "high", "p", "p_holm"} <= set(compared.differences)


def test_a_folder_becomes_a_project_and_without_one_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch, here = tmp_path / "scratch", tmp_path / "here"
    scratch.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    quick, compare = sections(prepare={"seeds": [0]}), ramer.compare
    before = dict(os.environ)  # threadpoolctl has set a variable as it loaded
    without = compare(CORPUS, ["late_product", "prior"], params=quick)
    assert list(scratch.iterdir()) == list(here.iterdir()) == []
    assert dict(os.environ) == before
    monkeypatch.setattr("ramer.reporting.comparison.draw_figures", lambda *_: {})
    kept = ramer.compare(CORPUS, ["late_product", "prior"], params=quick, folder="kept")
    pd.testing.assert_frame_equal(kept.scores, without.scores)
    project = Project(here / "kept")
    assert project.report.is_file()
    assert read_json(project.summary)["reference"] == kept.reference
    predictor = ramer.Predictor.load(here / "kept")
    said = predictor.predict({"text": [0.1] * predictor.dims["text"]})
    assert said.labels[0] in predictor.label_names
    with pytest.raises(ConfigError, match="expected an empty folder or none"):
        ramer.compare(CORPUS, ["prior"], params=quick, folder="kept")


def test_a_packed_corpus_and_one_in_memory(tmp_path: Path) -> None:
    raw = read_synthetic(Synthetic.model_validate(SYNTHETIC))
    arrays: dict[str, Any] = {
        key: np.concatenate(list(source.blocks()))
        for key, source in zip("AVL", raw.sources.values(), strict=True)
        if source is not None
    }
    labels = np.where(raw.labels < 0, 0, raw.labels)
    assert raw.splits is not None
    packed: dict[str, Any] = {"ids": raw.ids.astype(str), "split": raw.splits.astype(str)}
    packed |= {"speaker": raw.speakers.astype(str), "label": labels, "label_names": np.array(raw.label_names)}
    np.savez(tmp_path / "c.npz", **packed, **arrays)
    quick = sections(prepare={"seeds": [0]})
    file = ramer.compare(tmp_path / "c.npz", ["late_product", "prior"], params=quick)
    memory = ramer.compare(raw, ["late_product", "prior"], params=quick)
    pd.testing.assert_frame_equal(file.scores, memory.scores)


def test_the_folder_names_the_corpus_that_was_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ramer.reporting.comparison.draw_figures", lambda *_: {})
    raw, quick = read_synthetic(Synthetic.model_validate(SYNTHETIC)), sections(prepare={"seeds": [0]})
    labels = np.where(raw.labels > 0, raw.labels - 1, np.where(raw.labels == 0, raw.labels.max(), raw.labels))
    raw = replace(raw, name="my corpus/1", labels=labels, provenance={})  # not the generator's own
    monkeypatch.chdir(tmp_path)
    ramer.compare(raw, ["late_product", "prior"], params=quick, folder="memory")
    project = Project(tmp_path / "memory")
    assert load_config(project.params).corpus.path == "my_corpus_1.npz"
    (tmp_path / "memory" / "my_corpus_1.npz").rename(tmp_path / "corpus.npz")
    ramer.compare("corpus.npz", ["late_product", "prior"], params=quick, folder="file")
    digests = {name: read_json(Project(tmp_path / name).corpus)["digest"] for name in ("memory", "file")}
    assert digests["memory"] == digests["file"]
    assert load_config(Project(tmp_path / "file").params).corpus.path == str(tmp_path / "corpus.npz")


def test_a_packed_corpus_is_the_one_that_was_packed(tmp_path: Path) -> None:
    raw = read_synthetic(Synthetic.model_validate(SYNTHETIC))
    speakers = raw.speakers.copy()
    speakers[3] = None
    raw = replace(raw, speakers=speakers, sources=raw.sources | {"video": None})
    first, again = (pack_raw_corpus(raw, tmp_path / name) for name in "ab")
    assert first.read_bytes() == again.read_bytes()
    got = read_npz(first)
    for name in ("ids", "speakers", "splits", "labels", "label_names"):
        assert list(getattr(got, name)) == list(getattr(raw, name))
    for modality, source in raw.sources.items():
        held = got.sources[modality]
        assert (source is None) == (held is None)
        if source is not None and held is not None:
            np.testing.assert_array_equal(np.concatenate(list(held.blocks())), np.concatenate(list(source.blocks())))


@pytest.mark.parametrize(
    ("methods", "changes", "said"),
    [
        (["nonsense"], {}, "nonsense"),
        ("ramer", {}, "expected a list of names"),
        (["ramer"], {"retrieval": {"widht": 5}}, "ramer.compare: retrieval.widht: unknown key"),
        (["ramer"], {"retrieval": {"width": 2}}, r"^ramer.compare: methods.ramer.k: \d+"),
        (["ramer"], {"runtime": {"device": "cuda:99"}}, "^ramer.compare: runtime.device: "),
        (["oracle"], {}, "^ramer.compare: serve.method: best: none of oracle can be deployed"),
        ({"mine": {"type": "ramer", "kk": 2}}, {}, "kk"),
        ([], {}, "^ramer.compare: methods: expected at least 1 entry, got 0$"),
        ({}, {}, "^ramer.compare: methods: expected at least 1 entry, got 0$"),
        (["prior", "prior"], {}, "^ramer.compare: methods: 'prior': expected once, named 2 times$"),
    ],
)
def test_bad_requests_are_refused_before_any_work(
    methods: Any, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        ramer.compare(CORPUS, methods, params=changes, folder=tmp_path / "kept")
    assert not list((tmp_path / "kept").glob("*"))  # the folder can be asked for again


def test_arguments_of_another_kind_are_refused_in_one_line() -> None:
    """In an interpreter of its own: here the types of every call are checked."""
    cases = {
        "('c.npz', 3)": "methods: expected a list of names, or entries by name, got 3",
        "('c.npz', ['prior', 3])": "methods: expected names, got 3",
        "('c.npz', {'mine': 'ramer'})": "methods.mine: expected a mapping, got 'ramer'",
        "('c.npz', ['prior'], params=3)": "params: expected sections by name, or a file, got 3",
        "('c.npz', ['prior'], folder=3)": "folder: expected a folder, got 3",
        "(None, ['prior'])": "corpus: expected a file, the section corpus or a corpus in memory, got None",
    }
    code = ["import ramer", "from ramer.errors import ConfigError"]
    for call in cases:
        code += ["try:", f"    ramer.compare{call}", "except ConfigError as error:", "    print(*error.faults)"]
    done = subprocess.run([sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"ramer.compare: {line}" for line in cases.values()]


def test_a_corpus_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.npz").write_bytes(b"no archive")
    with pytest.raises(CorpusError, match=r"c\.npz"):
        ramer.compare(tmp_path / "c.npz", ["prior"])


def test_a_params_file_and_its_methods(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(sections() | {"methods": {"narrow": {"type": "ramer", "k": 99}}}), "utf-8")
    with pytest.raises(ConfigError, match=r"narrow.*99") as fault:
        ramer.compare(CORPUS, ["narrow"], params=file)
    assert [line.split(": ")[0] for line in fault.value.faults] == [str(file)]


def test_the_package_itself_loads_nothing_heavy() -> None:
    code = "import sys, ramer; print(*(m for m in ('numpy', 'torch', 'pandas', 'pydantic') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
