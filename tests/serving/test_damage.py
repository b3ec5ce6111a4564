"""Whatever bit of a model's files has changed, the model is refused and the file is named."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ramer import Predictor
from ramer.array_files import read_tensors, write_tensors
from ramer.errors import ModelError, RamerError
from ramer.files import digest_file, read_json, write_json
from ramer.project import Project
from ramer.serving.additions import add_to_database
from ramer.serving.description import MODEL_FILE
from ramer.serving.features import Features
from ramer.serving.modelfiles import export_model, find_model
from tests.support.exported import as_format_1
from tests.support.served_project import raw_features, rows_of

FLIPS = 6  # per file


@pytest.fixture(scope="module")
def exported(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a method that encodes for itself, so that every kind of file is in it."""
    model = tmp_path_factory.mktemp("exported") / "model"
    export_model(served, model, "rebuilt")
    return model


@pytest.fixture(scope="module")
def project(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("damaged") / "project"
    return shutil.copytree(served, root, ignore=shutil.ignore_patterns("results"))


def bits_of(size: int) -> list[int]:
    """Bits of a file: the first and the last one, and some between."""
    drawn = np.random.default_rng(size).integers(0, 8 * size, FLIPS)
    return [0, 8 * size - 1, *drawn.tolist()]


def flips(file: Path) -> Iterator[int]:
    """Flip one bit after another in place; each time the file has one that is wrong."""
    whole = file.read_bytes()
    for bit in bits_of(len(whole)):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)
        yield bit
    file.write_bytes(whole)


def assert_refused(model: Path, method: str | None, file: Path) -> int:
    count = 0
    for bit in flips(file):
        with pytest.raises(RamerError) as fault:
            Predictor.load(model, method)
        assert len(fault.value.faults) == 1, (file, bit, fault.value.faults)
        assert fault.value.faults[0].startswith(f"{file}: "), (bit, fault.value.faults)
        count += 1
    return count


def test_a_flipped_bit_in_any_file_of_an_exported_model_is_refused(exported: Path) -> None:
    files = [path for path in sorted(exported.rglob("*")) if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors", ".faiss", ".npy", ".parquet", ".csv"}
    assert sum(assert_refused(exported, None, file) for file in files) == len(files) * (FLIPS + 2)
    find_model(exported)


@pytest.mark.parametrize("method", ["ramer", "rebuilt"])
def test_a_flipped_bit_in_any_file_that_a_project_loads_is_refused(
    project: Path, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ramer import digests

    compared: list[Path] = []
    real = digests._fault

    def noted(path: Path, digest: str, source: Path) -> str | None:
        compared.append(path)
        return real(path, digest, source)

    monkeypatch.setattr(digests, "_fault", noted)
    Predictor.load(project, method)
    monkeypatch.undo()
    # Nothing but these files is needed, so that nothing else can be loaded.
    bare = tmp_path / "project"
    for file in {Project(project).params, *compared, *(path.parent / "digests.json" for path in compared)}:
        (bare / file.relative_to(project)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, bare / file.relative_to(project))
    asked = raw_features(project, rows_of(project), "a")
    one, two = (Predictor.load(root, method).predict(asked).probabilities for root in (project, bare))
    np.testing.assert_array_equal(one, two)
    for file in compared:
        assert assert_refused(project, method, file) == FLIPS + 2
    Predictor.load(project, method)


def test_digests_themselves_are_guarded(project: Path) -> None:
    paths = Project(project)
    for folder in (paths.encoders("audio"), paths.method("ramer"), paths.prepared, paths.states("text")):
        assert assert_refused(project, "ramer", folder / "digests.json")


def test_a_damaged_export_is_read_by_whoever_knows_better(exported: Path, tmp_path: Path) -> None:
    model = shutil.copytree(exported, tmp_path / "model")
    described = read_json(model / MODEL_FILE)
    write_json(model / MODEL_FILE, described | {"corpus": described["corpus"] | {"name": "another"}})
    with pytest.raises(ModelError, match="damaged or edited"):
        Predictor.load(model)
    assert Predictor.load(model, verify=False).description.corpus.name == "another"


def test_a_damaged_model_is_neither_grown_nor_exported(served: Path, exported: Path, tmp_path: Path) -> None:
    """It would get digests that fit."""
    model, project = shutil.copytree(exported, tmp_path / "model"), tmp_path / "project"
    next(flips(model / "database/audio.npy"))
    features: Features = {**raw_features(served, rows_of(served)[:2])}
    with pytest.raises(ModelError, match=r"audio\.npy: damaged"):
        add_to_database(model, ["x", "y"], features)
    shutil.copytree(served, project)
    next(flips(Project(project).states("audio") / "states.npy"))
    with pytest.raises(ModelError, match=r"states\.npy: damaged"):
        export_model(project, tmp_path / "new", "ramer")
    assert not (tmp_path / "new").exists()


def test_a_model_that_has_grown_is_guarded_as_before(served: Path, exported: Path, tmp_path: Path) -> None:
    model = shutil.copytree(exported, tmp_path / "model")
    whole = raw_features(served, rows_of(served))
    held = np.flatnonzero(np.any([np.isfinite(v).all(axis=1) for v in whole.values()], axis=0))
    for number in held[:2].tolist():
        add_to_database(model, [f"new{number}"], {m: v[[number]] for m, v in whole.items()})
    named = set(read_json(model / MODEL_FILE)["files"])
    used = {str(p.relative_to(model)) for p in model.rglob("*") if p.is_file()} - {MODEL_FILE}
    assert named == {name for name in used if not name.startswith(("database.1", "index.1"))}
    for name in ("database.2/audio.npy", "index.2/text/fold0_seed1.faiss", "encoders/video/fold0_seed0.safetensors"):
        assert assert_refused(model, None, model / name)
    Predictor.load(model)


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_model_exported_by_the_first_version_is_read_with_one_warning(
    served: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    export_model(served, tmp_path / "model", "ramer")
    asked = raw_features(served, rows_of(served), "a")
    expected = Predictor.load(tmp_path / "model").predict(asked).probabilities
    assert warnings_of(caplog) == []
    old = as_format_1(tmp_path / "model")
    np.testing.assert_array_equal(Predictor.load(old).predict(asked).probabilities, expected)
    (line,) = warnings_of(caplog)
    assert line.startswith(f"warning: {old}: exported before digests were kept")
    caplog.clear()
    add_to_database(old, ["new"], {m: v[:1] for m, v in raw_features(served, rows_of(served, "val")).items()})
    assert len(warnings_of(caplog)) == 1
    caplog.clear()
    assert read_json(old / MODEL_FILE)["format"] == 2
    grown = Predictor.load(old).predict(asked).probabilities
    assert warnings_of(caplog) == []
    np.testing.assert_array_equal(Predictor.load(as_format_1(old)).predict(asked).probabilities, grown)


def test_a_project_made_by_the_first_version_is_read_with_one_warning(
    served: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = shutil.copytree(served, tmp_path / "project")
    for path in project.rglob("digests.json"):
        path.unlink()
    Predictor.load(project)
    (line,) = warnings_of(caplog)
    assert line.startswith(f"warning: {project}: made before digests were kept")


@pytest.mark.parametrize(
    ("part", "what"), [("encoders/audio", "audio: hidden states"), ("heads", "probabilities")], ids=["encoder", "head"]
)
def test_what_is_no_number_is_no_answer(served: Path, tmp_path: Path, part: str, what: str) -> None:
    """Of a model whose digests are not asked for."""
    model = tmp_path / "model"
    export_model(served, model, "zero_fill")
    described = read_json(model / "heads/method.json")
    for path in (model / part).glob("*.safetensors"):
        tensors, metadata = read_tensors(path)
        write_tensors(path, {n: np.where(a.ndim == 2, np.nan, a).astype(a.dtype) for n, a in tensors.items()}, metadata)
        described["replicates"][path.stem]["digest"] = digest_file(path)
    if part == "heads":
        write_json(model / "heads/method.json", described)
    features = {m: v[:3] for m, v in raw_features(served, rows_of(served, "val"), "at").items()}
    predictor = Predictor.load(model, verify=False)
    with pytest.raises(ModelError, match=rf"^{what}: not finite for [123] of [123] clips; [^\n]*$"):
        predictor.predict(features)
