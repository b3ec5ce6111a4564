"""A grown database is the one that would have been built with the new clips from the start."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from ramer import Predictor
from ramer.errors import RamerError
from ramer.files import digest_strings, read_json, read_table, write_json
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.retrieval.indexed_rows import IndexedRows
from ramer.retrieval.indexes import load_index
from ramer.retrieval.states import l2_normalise
from ramer.serving import additions
from ramer.serving.additions import add_to_database
from ramer.serving.modelfiles import export_model
from tests.support.commands import call, refused
from tests.support.exported import reseal
from tests.support.served_project import corpus_of, raw_features, rows_of, save_npz

NEW = 20  # pool clips that are taken out of the model and added again


@pytest.fixture(scope="module")
def whole(served: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported model with its whole pool."""
    folder = tmp_path_factory.mktemp("whole") / "model"
    export_model(served, folder)
    return folder


def pool_rows(served: Path) -> np.ndarray:
    """The last pool rows, which hold something."""
    pool = rows_of(served, "pool")
    return pool[corpus_of(served).available[pool].any(axis=1)][-NEW:]


@pytest.fixture
def smaller(served: Path, whole: Path, tmp_path: Path) -> Path:
    """The same model as if the last pool clips had never been there."""
    return without_last_clips(served, shutil.copytree(whole, tmp_path / "model"))


def without_last_clips(served: Path, model: Path) -> Path:
    """Take the last pool clips out of an exported model."""
    table = read_table(model / "database/rows.parquet")
    kept = ~table["row"].isin(pool_rows(served)).to_numpy()
    table[kept].to_parquet(model / "database/rows.parquet", index=False)
    for path in (model / "database").glob("*.npy"):
        np.save(path, np.load(path)[:, kept])
    for m in MODALITIES:
        for path in (model / "index" / m).glob("*.faiss"):
            side = read_json(path.with_suffix(".json"))
            keys = faiss.read_index(str(path))
            named = load_index(path).named
            keep = np.flatnonzero(~np.isin(named.rows, pool_rows(served)))
            index = faiss.IndexFlatIP(keys.d)
            index.add(keys.reconstruct_n(0, keys.ntotal)[keep])
            faiss.write_index(index, str(path))
            rows_digest = IndexedRows(named.rows[keep], named.ids.take(keep)).write(path)
            changed = {"rows_digest": rows_digest, "count": len(keep), "bytes": path.stat().st_size}
            write_json(path.with_suffix(".json"), side | changed)
    return reseal(model)


def features_of(served: Path) -> tuple[list[str], dict[str, Any]]:
    rows = pool_rows(served)
    return [str(i) for i in corpus_of(served).ids[rows]], raw_features(served, rows)


def test_adding_equals_a_rebuild(served: Path, whole: Path, smaller: Path) -> None:
    before = Predictor.load(smaller)
    ids, features = features_of(served)
    made = add_to_database(smaller, ids, features)
    held = corpus_of(served).available[pool_rows(served)].sum(axis=0)
    assert (made.clips, made.audio, made.video, made.text) == (NEW, *held)
    grown, rebuilt = Predictor.load(smaller), Predictor.load(whole)
    changed, found = 0, set()
    for condition in CONDITIONS:
        asked = raw_features(served, rows_of(served), condition)
        got, expected = grown.predict(asked, neighbours=True), rebuilt.predict(asked, neighbours=True)
        np.testing.assert_allclose(got.probabilities, expected.probabilities, atol=1e-6)
        for one, two in zip(got.neighbours, expected.neighbours, strict=True):
            assert [(n.target, n.id, n.label) for n in one] == [(n.target, n.id, n.label) for n in two]
            found |= {n.id for n in one}
        changed += (before.predict(asked).probabilities != got.probabilities).any(axis=1).sum()
    assert changed
    assert found & set(ids)


@pytest.mark.parametrize("method", ["features", "rebuilt"])
def test_a_model_that_encodes_for_itself_grows_like_any_other(served: Path, tmp_path: Path, method: str) -> None:
    export_model(served, tmp_path / "whole", method)
    model = without_last_clips(served, shutil.copytree(tmp_path / "whole", tmp_path / "model"))
    asked = raw_features(served, rows_of(served), "a")
    before = Predictor.load(model).predict(asked).probabilities
    ids, features = features_of(served)
    add_to_database(model, ids, features)
    got = Predictor.load(model).predict(asked, neighbours=True)
    expected = Predictor.load(tmp_path / "whole").predict(asked).probabilities
    np.testing.assert_allclose(got.probabilities, expected, atol=1e-6)
    assert (before != expected).any()
    assert {n.id for near in got.neighbours for n in near} & set(ids)


def test_a_grown_index_has_the_bytes_of_a_new_one(served: Path, smaller: Path, tmp_path: Path) -> None:
    add_to_database(smaller, *features_of(served))
    folders = read_json(smaller / "model.json")["folders"]
    table = read_table(smaller / folders["database"] / "rows.parquet")
    for m in MODALITIES:
        states = np.load(smaller / folders["database"] / f"{m}.npy")
        for position, path in enumerate(sorted((smaller / folders["index"] / m).glob("*.faiss"))):
            rows = np.searchsorted(table["row"], load_index(path).rows)
            index = faiss.IndexFlatIP(states.shape[2])
            index.add(l2_normalise(states[position, rows]))
            faiss.write_index(index, str(tmp_path / "new.faiss"))
            assert (tmp_path / "new.faiss").read_bytes() == path.read_bytes()


def test_the_model_says_what_was_added(served: Path, smaller: Path) -> None:
    ids, features = features_of(served)
    rows = len(read_table(smaller / "database/rows.parquet"))
    half = NEW // 2
    add_to_database(smaller, ids[:half], {m: v[:half] for m, v in features.items()})
    add_to_database(smaller, ids[half:], {m: v[half:] for m, v in features.items()})
    first, second = read_json(smaller / "model.json")["additions"]
    assert (first["clips"], first["rows_before"], first["ids_digest"]) == (half, rows, digest_strings(ids[:half]))
    assert (second["clips"], second["rows_before"]) == (half, rows + half)
    assert not (smaller / "database").exists()  # the one before the last
    assert {p.name for p in smaller.glob("database*")} == {"database.1", "database.2"}


def test_a_clip_may_lack_modalities_and_the_model_stays_loadable(served: Path, smaller: Path) -> None:
    _, features = features_of(served)
    whole_rows = np.flatnonzero(np.all([np.isfinite(v).all(axis=1) for v in features.values()], axis=0))[:2]
    given = {m: v[whole_rows].copy() for m, v in features.items()}
    given["video"][1] = np.nan
    add_to_database(smaller, ["new one", "new two"], {**given, "text": None})
    # A clip's nearest is itself, where it holds what is asked for.
    found = Predictor.load(smaller).predict({"audio": given["audio"]}, neighbours=True).neighbours
    assert next(n.id for n in found[0] if n.target == "video") == "new one"
    assert "new two" not in {n.id for near in found for n in near}


def contents(model: Path) -> dict[str, bytes]:
    return {str(p.relative_to(model)): p.read_bytes() for p in model.rglob("*") if p.is_file()}


def test_what_cannot_be_added_changes_nothing(served: Path, smaller: Path) -> None:
    before = contents(smaller)
    _, features = features_of(served)
    known = str(read_table(smaller / "database/rows.parquet")["id"][0])

    def faults(names: list[str], given: dict[str, Any]) -> list[str]:
        with pytest.raises(RamerError) as fault:
            add_to_database(smaller, names, given)
        return fault.value.faults

    two = {m: v[:2] for m, v in features.items()}
    assert faults([known, "x"], two) == [f"{known}: is in the database already"]
    assert faults(["x", "x"], two) == ["x: given 2 times, expected every clip once"]
    assert faults(["x", "y"], {"audio": np.ones((2, 3))}) == ["audio: expected 2 x 10 numbers, got 2 x 3"]
    nothing = {m: np.full_like(v, np.nan) for m, v in two.items()}
    assert faults(["x", "y"], nothing)[0] == "x: holds no modality, expected at least one"
    assert faults([], {m: v[:0] for m, v in two.items()}) == ["features: no clip, expected at least one"]
    assert contents(smaller) == before


@pytest.mark.parametrize("broken", ["append_database", "_append_indexes", "save_index"])
def test_a_write_that_fails_leaves_the_model_as_it_was(
    served: Path, smaller: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, asked = contents(smaller), raw_features(served, rows_of(served), "a")
    expected = Predictor.load(smaller).predict(asked).probabilities
    real = getattr(additions, broken)

    def full(*arguments: Any) -> None:
        real(*arguments)  # half of the work is on disk by then
        raise OSError("no space left on device")

    monkeypatch.setattr(additions, broken, full)
    with pytest.raises(OSError, match="no space left"):
        add_to_database(smaller, *features_of(served))
    assert contents(smaller) == before
    np.testing.assert_array_equal(Predictor.load(smaller).predict(asked).probabilities, expected)
    monkeypatch.undo()
    assert add_to_database(smaller, *features_of(served)).clips == NEW


def test_a_grown_index_is_stamped_with_the_rows_that_it_has(served: Path, smaller: Path) -> None:
    add_to_database(smaller, *features_of(served))
    wanted = digest_strings(list(read_table(smaller / "database.1/rows.parquet")["id"]))
    sidecars = [read_json(path) for path in (smaller / "index.1/audio").glob("*.json")]
    assert [side["ids_digest"] for side in sidecars] == [wanted] * 2


def test_a_writer_at_a_time(served: Path, smaller: Path) -> None:
    import fcntl
    import os

    handle = os.open(smaller, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(RamerError, match="another process is adding to it"):
            add_to_database(smaller, *features_of(served))
    finally:
        os.close(handle)


def test_the_command_adds_or_says_why_not(served: Path, smaller: Path, tmp_path: Path) -> None:
    clips = save_npz(tmp_path / "new.npz", served, pool_rows(served))
    rows = len(read_table(smaller / "database/rows.parquet"))
    code, said, err = call("database", "add", "--features", clips, "--model", smaller)
    assert (code, err) == (0, "")
    assert said.startswith(f"{NEW} clips (")
    assert said.endswith(f" added to {rows} -> {smaller}\n")
    code, said, err = call("database", "add", "--features", clips, "--model", smaller)
    assert (code, said, err.splitlines()[-1]) == (2, "", f"error: and {NEW - 5} more clips like these")
    assert "`ramer export` it" in refused("database", "add", "--features", clips, "--model", served)
    export_model(served, tmp_path / "product", "late_product")
    line = refused("database", "add", "--features", clips, "--model", tmp_path / "product")
    assert "method 'late_product' retrieves nothing" in line
