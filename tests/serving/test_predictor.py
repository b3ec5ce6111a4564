"""A served model says what the pipeline's own evaluation said, whatever is missing."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ramer.data.prepared import PreparedCorpus
from ramer.errors import RamerError
from ramer.files import read_json, read_table, write_json
from ramer.methods.shared.stacked_heads import join_databases
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.project import Project
from ramer.retrieval.states import l2_normalise
from ramer.retrieval.structures import Database
from ramer.serving.modelfiles import export_model, open_model
from ramer.serving.predictor import Predictor
from tests.support.exported import as_format_1
from tests.support.served_project import METHODS, build_project, corpus_of, prior_of, raw_features, rows_of

DEPLOYABLE = [name for name in METHODS if name != "oracle"]


@pytest.fixture(scope="module")
def predictor(served: Path) -> Predictor:
    return Predictor.load(served)


def evaluated(project: Path, method: str, condition: str) -> tuple[list[str], np.ndarray]:
    """Ids and probabilities of the pipeline's predictions, the mean over replicates."""
    table = read_table(Project(project).method_results(method) / "predictions.parquet")
    table = table[table["condition"] == condition]
    columns = [c for c in table if str(c).startswith("p/")]
    means = table.groupby("id", sort=False)[columns].mean()
    return list(means.index), means.to_numpy(dtype=np.float64)


def assert_as_evaluated(project: Path, predictor: Predictor, method: str) -> None:
    rows = rows_of(project)
    for condition in CONDITIONS:
        ids, expected = evaluated(project, method, condition)
        assert ids == list(corpus_of(project).ids[rows])
        got = predictor.predict(raw_features(project, rows, condition))
        np.testing.assert_allclose(got.probabilities, expected, atol=1e-6, err_msg=condition)
        assert list(got.labels) == [predictor.label_names[i] for i in got.probabilities.argmax(axis=1)]


@pytest.mark.parametrize("method", DEPLOYABLE)
def test_test_rows_get_what_the_pipeline_predicted(served: Path, method: str) -> None:
    assert_as_evaluated(served, Predictor.load(served, method), method)


@pytest.mark.parametrize("method", ["ramer", "literal", "late_product", "features", "tuned", "rebuilt", "attending"])
def test_an_exported_model_predicts_the_same_bits(served: Path, method: str, tmp_path: Path) -> None:
    export_model(served, tmp_path / "model", method)
    here, there = Predictor.load(served, method), Predictor.load(tmp_path / "model")
    for condition in CONDITIONS:
        features = raw_features(served, rows_of(served), condition)
        one, two = here.predict(features, neighbours=True), there.predict(features, neighbours=True)
        np.testing.assert_array_equal(one.probabilities, two.probabilities)
        assert one.neighbours == two.neighbours


def test_exported_features_are_those_of_the_clips_in_the_database(served: Path, tmp_path: Path) -> None:
    export_model(served, tmp_path / "model", "features")
    table, corpus = read_table(tmp_path / "model/database/rows.parquet"), corpus_of(served)
    unseen = np.concatenate([rows_of(served, "val"), rows_of(served)])
    assert not np.isin(table["row"], unseen).any()
    for m in MODALITIES:
        (vectors,) = np.load(tmp_path / f"model/database/{m}.features.npy")
        np.testing.assert_array_equal(vectors, corpus.features[m][table["row"].to_numpy()])
        np.testing.assert_array_equal(np.isfinite(vectors).all(axis=1), table[f"available_{m}"])


def test_an_exported_model_holds_no_test_clip_and_needs_no_project(served: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(served, project)
    export_model(project, tmp_path / "model")
    shutil.rmtree(project)
    held = set(read_table(tmp_path / "model/database/rows.parquet")["id"])
    unseen = set(corpus_of(served).ids[np.concatenate([rows_of(served, "val"), rows_of(served)])])
    assert held
    assert not held & unseen
    assert_as_evaluated(served, Predictor.load(tmp_path / "model"), "ramer")


def test_one_clip_at_a_time_says_what_a_batch_says(served: Path, predictor: Predictor) -> None:
    features = raw_features(served, rows_of(served), "at")
    whole = predictor.predict(features).probabilities
    for row in range(0, len(whole), 7):
        one = predictor.predict({m: vectors[row] for m, vectors in features.items()})
        np.testing.assert_allclose(one.probabilities[0], whole[row], atol=1e-6)


def test_an_absent_key_none_zeros_and_nan_are_all_missing(served: Path, predictor: Predictor) -> None:
    features = raw_features(served, rows_of(served), "at")
    expected = predictor.predict(features)
    without = {m: v for m, v in features.items() if m != "video"}
    for given in (without, without | {"video": None}, without | {"video": np.zeros_like(features["video"])}):
        np.testing.assert_array_equal(predictor.predict(given).probabilities, expected.probabilities)
    assert not expected.available[:, 1].any()
    assert "video" in expected.missing(0)


@pytest.mark.parametrize("method", ["ramer", "late_product"])
def test_a_clip_with_nothing_gets_the_training_prior(served: Path, method: str) -> None:
    predictor = Predictor.load(served, method)
    features = raw_features(served, rows_of(served)[:4])
    for vectors in features.values():
        vectors[[1, 3]] = np.nan
    got = predictor.predict(features, neighbours=True)
    np.testing.assert_allclose(got.probabilities[[1, 3]], np.tile(prior_of(served), (2, 1)))
    nothing = {m: np.full_like(v, np.nan) for m, v in features.items()}
    np.testing.assert_allclose(predictor.predict(nothing).probabilities, np.tile(prior_of(served), (4, 1)))
    if method == "ramer":
        assert got.neighbours[1] == ()


def test_no_clips_at_all_are_no_fault(served: Path, predictor: Predictor) -> None:
    none = {m: v[:0] for m, v in raw_features(served, rows_of(served)).items()}
    assert predictor.predict(none).probabilities.shape == (0, len(predictor.label_names))


def test_neighbours_are_the_nearest_clips_that_hold_what_is_missing(served: Path, predictor: Predictor) -> None:
    rows = rows_of(served)
    got = predictor.predict(raw_features(served, rows, "a"), neighbours=True)
    corpus = corpus_of(served)
    replicate = corpus.replicates[0]
    states = np.load(Project(served).states("audio") / "states.npy")[0]
    database = corpus.rows_in(replicate, "train", "pool")
    database = database[corpus.available[database, 0]]
    numbers = {clip: row for row, clip in enumerate(corpus.ids)}
    for clip in np.flatnonzero(got.available[:, 0])[:10]:
        cosines = l2_normalise(states[database]) @ l2_normalise(states[rows[clip], None])[0]
        score = dict(zip(database.tolist(), cosines.tolist(), strict=True))
        order = database[np.argsort(-cosines, kind="stable")]
        for target in ("video", "text"):
            expected = [row for row in order if corpus.available[row, MODALITIES.index(target)]][:3]
            near = [n for n in got.neighbours[clip] if n.target == target]
            assert [n.id for n in near] == list(corpus.ids[expected])
            np.testing.assert_allclose([n.score for n in near], [score[row] for row in expected], atol=1e-5)
            for neighbour in near:
                label = corpus.labels(replicate)[numbers[neighbour.id]]
                assert neighbour.label == (corpus.label_names[label] if label >= 0 else None)


@pytest.mark.parametrize("method", ["ramer", "features", "rebuilt"])
def test_two_threads_get_what_one_gets(served: Path, method: str) -> None:
    predictor = Predictor.load(served, method)
    batches = [raw_features(served, rows_of(served), c) for c in CONDITIONS] * 4
    expected = [predictor.predict(batch).probabilities for batch in batches]
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda batch: predictor.predict(batch).probabilities, batches))
    for one, two in zip(expected, got, strict=True):
        np.testing.assert_array_equal(one, two)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no modality": ({}, "features: every modality is absent, expected at least one"),
    "only None": ({"audio": None}, "features: every modality is absent, expected at least one"),
    "unknown": ({"face": np.ones(8)}, "features: face: no such modality, expected audio, video, text"),
    "width": ({"audio": np.ones((2, 9))}, "audio: expected 2 x 10 numbers, got 2 x 9"),
    "rows": ({"audio": np.ones((2, 10)), "video": np.ones((3, 8))}, "video: expected 2 x 8 numbers, got 3 x 8"),
    "three axes": ({"audio": np.ones((2, 3, 10))}, "audio: expected 2 x 10 numbers, got 2 x 3 x 10"),
    "partly NaN": (
        {"audio": np.array([[1.0] * 10, [np.nan] + [1.0] * 9])},
        "audio: row 1: infinite or partly NaN, expected finite numbers",
    ),
    "infinite": ({"audio": [[np.inf] * 10]}, "audio: row 0: infinite or partly NaN, expected finite numbers"),
    "too large": ({"audio": [[1e300] * 10]}, "audio: row 0: infinite or partly NaN, expected finite numbers"),
    "text for numbers": ({"audio": ["loud"]}, "audio: expected vectors of 10 numbers, got list"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_input_is_one_clear_line(predictor: Predictor, case: str) -> None:
    features, line = BAD[case]
    with pytest.raises(RamerError) as fault:
        predictor.predict(features)
    assert fault.value.faults == [line]


def test_what_was_given_is_left_as_it_was(served: Path, predictor: Predictor) -> None:
    features = raw_features(served, rows_of(served)) | {"video": np.zeros((len(rows_of(served)), 8), dtype=np.float32)}
    before = {m: v.copy() for m, v in features.items()}
    predictor.predict(features)
    for m, vectors in features.items():
        np.testing.assert_array_equal(vectors, before[m])


WITHOUT_TEXT = ("ramer", "late_product", "features", "rebuilt")


@pytest.fixture(scope="module")
def without_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on a packed corpus that has no text at all."""
    root = tmp_path_factory.mktemp("without_text")
    rng = np.random.default_rng(0)
    split = np.array(["train"] * 80 + ["val"] * 20 + ["test"] * 20)
    label = np.arange(120) % 3
    np.savez(
        root / "corpus.npz",
        ids=np.array([f"clip.{i}" for i in range(120)]),
        split=split,
        speaker=np.array([f"s{i // 10}" for i in range(120)]),
        label=label,
        label_names=np.array(["calm", "glad", "cross"]),
        A=(rng.normal(size=(120, 5)) + label[:, None]).astype(np.float32),
        V=(rng.normal(size=(120, 4)) + label[:, None]).astype(np.float32),
    )
    corpus = {"kind": "npz", "path": str(root / "corpus.npz")}
    methods = {name: METHODS[name] for name in WITHOUT_TEXT}
    return build_project(root, methods, corpus=corpus, retrieval={"width": 10})


@pytest.mark.parametrize("method", WITHOUT_TEXT)
def test_a_corpus_without_a_modality_is_served(without_text: Path, method: str, tmp_path: Path) -> None:
    export_model(without_text, tmp_path / "model", method)
    predictor = Predictor.load(tmp_path / "model")
    assert_as_evaluated(without_text, predictor, method)
    got = predictor.predict(raw_features(without_text, rows_of(without_text)), neighbours=True)
    assert got.missing(0) == ("text",)
    assert got.neighbours[0] == ()
    with pytest.raises(RamerError, match="text: the model was trained without it, expected None"):
        predictor.predict({"text": np.ones((1, 3))})


def faults_of_loading(path: Path, method: str | None = None, verify: bool = True) -> list[str]:
    with pytest.raises(RamerError) as fault:
        Predictor.load(path, method, verify)
    return fault.value.faults


def test_what_cannot_be_served_is_refused_in_one_line(served: Path, tmp_path: Path) -> None:
    (oracle,) = faults_of_loading(served, "oracle")
    assert "'oracle' is not deployable" in oracle
    (unknown,) = faults_of_loading(served, "mine")
    assert "method 'mine' is not trained here; methods: ramer, literal" in unknown
    (nothing,) = faults_of_loading(tmp_path)
    assert "no model here" in nothing
    export_model(served, tmp_path / "model", "ramer")
    (other,) = faults_of_loading(tmp_path / "model", "zero_fill")
    assert other.endswith("holds the method ramer, not zero_fill")


def test_parts_that_do_not_fit_are_refused(served: Path, tmp_path: Path) -> None:
    export_model(served, tmp_path / "model", "ramer")

    def spoiled(name: str) -> Path:
        shutil.copytree(tmp_path / "model", tmp_path / name)
        return tmp_path / name

    head = spoiled("head")
    shutil.copy(head / "heads/fold0_seed1.safetensors", head / "heads/fold0_seed0.safetensors")
    assert "not the checkpoint that method.json describes" in faults_of_loading(head, verify=False)[0]
    encoder = spoiled("encoder")
    shutil.copy(encoder / "encoders/audio/fold0_seed1.safetensors", encoder / "encoders/audio/fold0_seed0.safetensors")
    assert "index and queries are of different encoders" in faults_of_loading(encoder, verify=False)[0]
    database = spoiled("database")
    table = pd.read_parquet(database / "database/rows.parquet")
    table.loc[3, "id"] = "another"
    table.to_parquet(database / "database/rows.parquet")
    assert "names rows that the database does not hold" in faults_of_loading(database, verify=False)[0]
    newer = spoiled("newer")
    write_json(newer / "model.json", read_json(newer / "model.json") | {"format": 3})
    assert "format: expected 2, got 3" in faults_of_loading(newer)[0]


def test_the_same_model_is_exported_as_the_same_bytes(served: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_model(served, tmp_path / name)
    files = [p.relative_to(tmp_path / "one") for p in sorted((tmp_path / "one").rglob("*")) if p.is_file()]
    assert len(files) > 10
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_labels_hidden_by_a_budget_stay_hidden(tmp_path: Path) -> None:
    methods = {"ramer": METHODS["ramer"]}
    project = build_project(tmp_path / "project", methods, prepare={"seeds": [0, 1], "label_budget": 60})
    export_model(project, tmp_path / "model")
    table = read_table(tmp_path / "model/database/rows.parquet")
    corpus = PreparedCorpus.open(Project(project).prepared)
    for replicate in corpus.replicates:
        labelled = set(table["id"][table[f"label_{replicate.name}"].notna()])
        assert labelled <= set(corpus.ids[corpus.rows_in(replicate, "train")])


def test_a_stacked_table_of_states_stays_where_it_is(served: Path, tmp_path: Path) -> None:
    """What is memory-mapped is not copied, however many replicates there are."""
    export_model(served, tmp_path / "model")
    for model in (served, tmp_path / "model"):
        with open_model(model) as files:
            table = files.read_database()
        databases = [
            Database({m: s[r] for m, s in table.states.items()}, table.available, np.zeros(len(table.rows), np.int64))
            for r in range(len(files.replicates))
        ]
        joined = join_databases(databases, table.states)
        for m, states in joined.states.items():
            assert np.shares_memory(states, table.states[m])


TORN = (
    "model.json",
    "heads/method.json",
    "database/rows.parquet",
    "database/audio.npy",
    "index/audio/fold0_seed0.faiss",
)


@pytest.mark.parametrize("name", TORN)
@pytest.mark.parametrize("left", [0, 30, -40])
def test_a_torn_part_of_a_model_is_named(served: Path, tmp_path: Path, name: str, left: int) -> None:
    model = tmp_path / "model"
    export_model(served, model)
    (model / name).write_bytes((model / name).read_bytes()[:left])
    (line,) = faults_of_loading(model, verify=False)
    assert line.startswith(f"{model / name}: torn")
    (line,) = faults_of_loading(model)
    assert line.startswith(f"{model / name}: ")


def test_states_of_other_rows_are_refused(served: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    export_model(served, model)
    states = np.load(model / "database/text.npy")
    np.save(model / "database/text.npy", states[:, 1:])
    assert "text.npy: expected 2 x " in faults_of_loading(model, verify=False)[0]


def test_features_of_another_width_or_torn_are_refused(served: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    export_model(served, model, "rebuilt")
    path = model / "database/audio.features.npy"
    whole = path.read_bytes()
    np.save(path, np.load(path)[..., 1:])
    (line,) = faults_of_loading(model, verify=False)
    assert line.startswith(f"{path}: expected 1 x ")
    assert line.endswith(" x 9")
    path.write_bytes(whole[:-40])
    assert faults_of_loading(model, verify=False)[0].startswith(f"{path}: torn")


def test_features_of_a_project_that_do_not_fit_are_refused(served: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(served, project)
    path = Project(project).prepared / "video.npy"
    vectors = np.load(path)
    for fault in (vectors[:, 1:], vectors[1:]):
        np.save(path, fault)
        (line,) = faults_of_loading(project, "features", verify=False)
        assert line.startswith(f"{path}: expected {vectors.shape[0]} x {vectors.shape[1]} numbers, got ")


@pytest.mark.parametrize("method", ["ramer", "late_product", "rebuilt"])
def test_a_model_exported_by_the_first_version_predicts_as_it_did(served: Path, tmp_path: Path, method: str) -> None:
    export_model(served, tmp_path / "model", method)
    assert_as_evaluated(served, Predictor.load(as_format_1(tmp_path / "model")), method)


def test_an_export_replaces_nothing_but_a_model(served: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "thesis.txt").write_text("mine", "utf-8")
    with pytest.raises(RamerError, match="holds something else than an exported model"):
        export_model(served, notes)
    assert (notes / "thesis.txt").read_text("utf-8") == "mine"
    for name in ("ramer", "late_product"):
        export_model(served, tmp_path / "model", name)
        assert read_json(tmp_path / "model/model.json")["method"] == name
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
