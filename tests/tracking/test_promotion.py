"""Who becomes champion: the first, then whoever is not worse on the same corpus."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ramer import Predictor
from ramer.evaluation.points import signed
from ramer.project import Project
from tests.support.commands import call, refused
from tests.support.registered import client_of, run_track, versions
from tests.support.served_project import corpus_of, raw_features, rows_of, save_npz

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*type hint.*:UserWarning")]


def promote(root: Path, *arguments: str) -> tuple[int, str]:
    code, out, err = call("promote", *arguments, "--project", root)
    return code, out + err


def champion(root: Path) -> str:
    return str(client_of(root).get_model_version_by_alias("ramer", "champion").version)


@pytest.fixture
def crowned(copied: Path) -> Path:
    """A project whose first version is champion."""
    run_track(copied)
    assert promote(copied) == (0, "models:/ramer@champion: version 1 (there was none before)\n")
    return copied


def test_the_first_candidate_becomes_champion_and_is_loaded_by_that_name(
    crowned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert champion(crowned) == "1"
    monkeypatch.chdir(crowned)
    features = raw_features(crowned, rows_of(crowned)[:3], "av")
    expected = Predictor.load(crowned).predict(features).probabilities
    assert (Predictor.load("models:/ramer@champion").predict(features).probabilities == expected).all()


def test_an_equal_candidate_is_promoted_and_a_worse_one_is_not(crowned: Path) -> None:
    for again in ((), ("1",)):
        assert promote(crowned, *again) == (0, "models:/ramer@champion: version 1 already, nothing to do\n")
        assert champion(crowned) == "1"
    project = Project(crowned)
    for name in ("predictions.parquet", "metrics.json"):  # another model, the same predictions
        shutil.copy(project.method_results("ramer") / name, project.method_results("literal") / name)
    run_track(crowned, serve={"method": "literal"})
    code, said = promote(crowned)
    assert (code, champion(crowned)) == (0, "2")
    assert said == ("models:/ramer@champion: version 2 (was version 1): avg6 weighted F1 0.0 points [0.0, 0.0]\n")
    assert client_of(crowned).get_model_version("ramer", "2").tags["ramer.promoted_over"] == "1"
    assert client_of(crowned).get_model_version("ramer", "2").tags["ramer.avg6_difference"] == (
        "+0.0000 [+0.0000, +0.0000]"
    )
    run_track(crowned, serve={"method": "prior"})
    code, said = promote(crowned)
    assert (code, champion(crowned)) == (2, "2")
    minus = signed(-1.0)[0]
    assert said.startswith(
        f"error: models:/ramer: not promoted: version 3 is worse than version 2, avg6 weighted F1 {minus}"
    )
    assert promote(crowned, "1")[0] == 0
    assert champion(crowned) == "1"


def test_a_grown_database_is_a_new_version_that_says_so(
    crowned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = save_npz(tmp_path / "new.npz", crowned, rows_of(crowned))  # test clips, as if they were new ones
    monkeypatch.chdir(crowned)
    before = Predictor.load("models:/ramer@champion")
    added = ("database", "add", "--features", clips, "--model", "models:/ramer@champion")
    code, said, err = call(*added)
    assert (code, err) == (0, "")
    assert said.endswith("-> models:/ramer/2 (candidate)\n")
    tags = {int(v.version): v.tags for v in versions(crowned)}
    assert tags[2]["ramer.grown_from"] == "1"
    assert tags[2]["ramer.database_added"] == str(len(rows_of(crowned)))
    assert tags[2]["ramer.corpus_digest"] == tags[1]["ramer.corpus_digest"]
    features = raw_features(crowned, rows_of(crowned), "a")
    near = Predictor.load("models:/ramer@candidate").predict(features, neighbours=True).neighbours
    new = set(corpus_of(crowned).ids[rows_of(crowned)])
    assert {n.id for found in near for n in found} & new
    assert not {n.id for found in before.predict(features, neighbours=True).neighbours for n in found} & new
    # The alias still names the first version: the clips just added would be lost in a third one.
    line = refused(*added)
    assert line.startswith("models:/ramer@champion: is version 1, to which version 2 has added clips already")
    assert promote(crowned) == (
        0,
        "models:/ramer@champion: version 2 (was version 1): the same model, not compared with its other database\n",
    )
    assert champion(crowned) == "2"
    code, _, err = call(*added)
    assert (code, "is in the database already" in err) == (2, True)
    assert len(versions(crowned)) == 2


def test_a_grown_version_has_its_card_and_its_model_is_an_output_of_the_run(
    crowned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = save_npz(tmp_path / "new.npz", crowned, rows_of(crowned))
    monkeypatch.chdir(crowned)
    assert call("database", "add", "--features", clips, "--model", "models:/ramer/1")[0] == 0
    client, (old, grown) = client_of(crowned), versions(crowned)
    model = client.get_logged_model(str(grown.source).removeprefix("models:/"))
    card, run = grown.description or "", client.get_run(str(grown.run_id))
    assert card.startswith(f"Version 1 with {len(rows_of(crowned))} more clips in its database, ")
    assert card.endswith(str(old.description))
    assert model.tags["mlflow.note.content"] == card
    assert model.params == run.data.params
    assert not model.metrics  # with these clips nothing was scored
    assert run.outputs is not None
    # MLflow tells them in no order of its own.
    assert sorted(f"models:/{output.model_id}" for output in run.outputs.model_outputs) == sorted(
        str(version.source) for version in (old, grown)
    )


def test_two_additions_to_one_version_are_kept_apart(
    crowned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same clips, extracted otherwise: the second must not be written over the first."""
    monkeypatch.chdir(crowned)
    rows, asked = rows_of(crowned), raw_features(crowned, rows_of(crowned), "a")
    clips = save_npz(tmp_path / "one.npz", crowned, rows)
    assert call("database", "add", "--features", clips, "--model", "models:/ramer/1")[0] == 0
    before = Predictor.load("models:/ramer/2").predict(asked).probabilities
    others = {key: -v for key, v in zip("AVL", raw_features(crowned, rows).values(), strict=True)}
    clips = save_npz(tmp_path / "two.npz", crowned, rows, **others)
    assert call("database", "add", "--features", clips, "--model", "models:/ramer/1")[0] == 0
    np.testing.assert_array_equal(Predictor.load("models:/ramer/2").predict(asked).probabilities, before)
    assert (Predictor.load("models:/ramer/3").predict(asked).probabilities != before).any()


def test_versions_of_two_corpora_are_not_compared(crowned: Path) -> None:
    run_track(crowned, serve={"method": "literal"})
    client_of(crowned).set_model_version_tag("ramer", "2", "ramer.corpus_digest", "f" * 64)
    code, said = promote(crowned)
    assert (code, champion(crowned)) == (2, "1")
    assert "not promoted: scored on different corpora (version 2 on ffffffffffffffff, version 1 on " in said


def test_what_is_not_there_is_one_line(copied: Path) -> None:
    code, said = promote(copied)
    assert code == 2
    way = "no version is called candidate yet; `dvc repro` registers the model of serve.method"
    assert said == f"error: models:/ramer@candidate: no such version in the registry: {way}\n"
    assert promote(copied, "7") == (2, "error: models:/ramer/7: no such version in the registry\n")
    assert promote(copied, "--name", "mine")[1].startswith("error: models:/mine@candidate: no such version")
    assert len(versions(copied)) == 0
