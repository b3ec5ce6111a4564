from __future__ import annotations

import json
import pickle
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from ramer.config import Config
from ramer.data.prepared import SPLITS, PreparedCorpus
from ramer.data.scalers import fit_scaler
from ramer.errors import CorpusError
from ramer.files import digest_file
from ramer.modalities import MODALITIES
from ramer.project import Project
from tests.support.sections import prepare

Arrays = dict[str, np.ndarray]
Prepare = Callable[..., PreparedCorpus]
Stage = Callable[..., subprocess.CompletedProcess[str]]
SMALL = {"rows": 300, "pool_rows": 1500, "dims": {"audio": 12, "video": 10, "text": 14}}
FILES = ["audio.npy", "corpus.json", "digests.json", "rows.parquet", "scalers.npz", "splits.parquet"]
FILES += ["text.npy", "video.npy"]


def test_the_stage_writes_what_later_stages_read(run_stage: Stage, tmp_path: Path) -> None:
    done = run_stage({"kind": "synthetic", "synthetic": SMALL}, {"seeds": [0, 5], "label_budget": 100})
    assert done.returncode == 0, done.stderr
    folder = Project(tmp_path).prepared
    assert sorted(p.name for p in folder.iterdir()) == FILES
    assert [p.name for p in folder.parent.iterdir()] == ["prepared"]
    rows, splits = pd.read_parquet(folder / "rows.parquet"), pd.read_parquet(folder / "splits.parquet")
    kinds = [f"{kind}_{m}" for kind in ("available", "zeros") for m in MODALITIES]
    assert rows.columns.tolist() == ["id", "speaker", "label", *kinds]
    assert splits.columns.tolist() == ["id", "fold0_seed0", "fold0_seed5"]
    assert splits["id"].tolist() == rows["id"].tolist()
    assert set(splits["fold0_seed5"]) == set(SPLITS)
    assert rows["label"].isna().to_numpy()[300:].all()
    assert rows["speaker"].isna().to_numpy()[300:].all()
    corpus = PreparedCorpus.open(folder)
    for modality in MODALITIES:
        features = corpus.features[modality]
        assert features.dtype == np.float32
        assert features.shape == (1800, corpus.dims[modality])
        held = rows[f"available_{modality}"].to_numpy()
        assert np.isfinite(features[held]).all()
        assert np.isnan(features[~held]).all()
        assert 0 < (~held).sum() < 180
    info = json.loads((folder / "corpus.json").read_text())
    assert info["replicates"] == [{"fold": 0, "seed": 0}, {"fold": 0, "seed": 5}]
    assert info["counts"]["fold0_seed0"]["train"]["rows"] == 100
    assert sum(info["counts"]["fold0_seed0"][s]["rows"] for s in SPLITS) == 1800
    assert (folder / "corpus.json").read_text() == json.dumps(info, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_two_runs_are_the_same_to_the_byte(configure: Callable[..., Config], tmp_path: Path) -> None:
    config = configure({"kind": "synthetic", "synthetic": SMALL}, {"folds": 3, "seeds": [0, 1], "label_budget": 60})
    for name in ("one", "two"):
        prepare(config, tmp_path / name)
    assert [digest_file(tmp_path / "one" / f) for f in FILES] == [digest_file(tmp_path / "two" / f) for f in FILES]


def test_the_digest_follows_ids_labels_splits_and_features(packed: Arrays, prepared: Prepare) -> None:
    digests = [prepared(packed).info.digest]
    assert prepared(packed).info.digest == digests[0]
    changes: list[tuple[str, Any, Any]] = [
        ("ids", 3, "other"),
        ("label", 4, 0),
        ("split", 119, "pool"),
        ("A", (5, 1), 9),
    ]
    for key, index, value in changes:
        before = packed[key][index]
        packed[key][index] = value
        digests.append(prepared(packed).info.digest)
        packed[key][index] = before
    assert len(set(digests)) == len(changes) + 1


def test_scalers_see_labelled_training_rows_only(packed: Arrays, prepared: Prepare) -> None:
    packed["A"][0] = np.nan
    section = {"label_budget": 30, "seeds": [0, 1]}
    first = prepared(packed, **section)
    scalers = dict(np.load(first.path / "scalers.npz"))
    for replicate in first.replicates:
        train = first.rows_in(replicate, "train")
        for modality, key in zip(MODALITIES, "AVL", strict=True):
            reference = StandardScaler().fit(packed[key][train])
            np.testing.assert_allclose(
                scalers[f"{modality}_mean"][replicate.index], reference.mean_, rtol=1e-5, atol=1e-7
            )
            np.testing.assert_allclose(scalers[f"{modality}_std"][replicate.index], reference.scale_, rtol=1e-5)
    never = np.ones(120, dtype=bool)
    for replicate in first.replicates:
        never[first.rows_in(replicate, "train")] = False
    assert never.sum() > 50
    for key in "AVL":
        packed[key][never] = 1e30
    for name, values in np.load(prepared(packed, **section).path / "scalers.npz").items():
        np.testing.assert_array_equal(values, scalers[name])


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_scaler_is_exact_over_blocks_and_leaves_a_constant_column(offset: float, tmp_path: Path) -> None:
    features = (np.random.default_rng(0).normal(size=(3000, 3)) + offset).astype(np.float32)
    features[:, 1] = np.float32(0.1)
    features[::7] = np.nan
    np.save(tmp_path / "x.npy", features)
    rows = np.arange(0, 3000, 2)
    mean, std, _ = fit_scaler(tmp_path / "x.npy", rows)
    expected = features[rows].astype(np.float64)
    np.testing.assert_allclose(mean, np.nanmean(expected, axis=0), rtol=1e-6)
    np.testing.assert_allclose(std[[0, 2]], np.nanstd(expected, axis=0)[[0, 2]], rtol=1e-6)
    assert std[1] == 1.0


def test_a_modality_that_no_training_row_holds_is_refused(packed: Arrays, prepared: Prepare, tmp_path: Path) -> None:
    packed["L"][:70] = np.nan
    with pytest.raises(CorpusError, match="text: fold0_seed0: no training row holds this modality"):
        prepared(packed)
    assert not list((tmp_path / "data").iterdir())


def test_a_row_without_any_modality_is_kept_and_counted(packed: Arrays, prepared: Prepare) -> None:
    for key in "AVL":
        packed[key][[1, 110]] = np.nan
    corpus = prepared(packed)
    assert not corpus.available[[1, 110]].any()
    missing = corpus.info.naturally_missing["fold0_seed0"]
    assert missing["train"] == {"audio": 1, "video": 1, "text": 1, "all": 1}
    assert missing["test"] == {"audio": 1, "video": 1, "text": 1, "all": 1}


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def _spoil(**changes: Any) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        arrays = dict(np.load(path))
        for key, (index, value) in changes.items():
            arrays[key][index] = value
        np.savez(path, **arrays)

    return spoil


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (_truncate, "not a whole .npz file"),
        (_spoil(label=(3, 9)), "row 3 (id 'clip3'): label: expected -1 (none) to 2, got 9"),
        (_spoil(V=((4, 0), np.inf)), "V: row 4 (id 'clip4'): infinite value"),
        (Path.unlink, "no such file"),
    ],
)
def test_the_stage_refuses_a_bad_corpus_in_one_line(
    spoil: Callable[[Path], None],
    line: str,
    packed: Arrays,
    save: Callable[[Arrays], Path],
    run_stage: Stage,
    tmp_path: Path,
) -> None:
    spoil(save(packed))
    done = run_stage({"kind": "npz", "path": "corpus.npz"})
    assert done.returncode == 2
    faults = [text for text in done.stderr.splitlines() if text]
    assert len(faults) == 1
    assert faults[0].startswith("error: corpus.npz: ")
    assert line in faults[0]
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "data").glob("*"))


@pytest.mark.slow
def test_the_stage_refuses_a_malicious_label_file_without_running_it(
    save_labels: Callable[..., Path], run_stage: Stage, tmp_path: Path
) -> None:
    class Payload:
        def __reduce__(self) -> Any:
            return exec, (f"open({str(tmp_path / 'it-ran')!r}, 'w').close()",)

    label_file = save_labels({"train_corpus": pickle.dumps({"clip": Payload()}, 4)})
    done = run_stage({"kind": "merbench", "path": str(label_file.parent)})
    assert done.returncode == 2
    assert "train_corpus: refused pickled global builtins.exec" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "it-ran").exists()
    assert not (tmp_path / "data").exists()


def test_a_refused_corpus_leaves_the_last_good_one_in_place(packed: Arrays, prepared: Prepare, tmp_path: Path) -> None:
    before = prepared(packed).info.digest
    packed["A"][0, 0] = np.inf
    with pytest.raises(CorpusError):
        prepared(packed)
    assert PreparedCorpus.open(Project(tmp_path).prepared).info.digest == before
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["prepared"]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(configure: Callable[..., Config], tmp_path: Path) -> None:
    peaks, sizes = [], []
    for pool_rows in (2000, 20000):
        synthetic = {**SMALL, "pool_rows": pool_rows, "dims": {"audio": 256, "video": 128, "text": 512}}
        tracemalloc.start()
        prepare(configure({"kind": "synthetic", "synthetic": synthetic}), tmp_path / "prepared")
        peaks.append(tracemalloc.get_traced_memory()[1] / 2**20)
        tracemalloc.stop()
        sizes.append(sum(p.stat().st_size for p in (tmp_path / "prepared").glob("*.npy")) / 2**20)
    assert sizes[1] - sizes[0] > 60
    assert peaks[1] - peaks[0] < 20  # ids and splits, not features


@pytest.mark.parametrize("scope", ["train", "all"])
def test_one_speaker_is_refused_before_any_training_with_the_key_to_set(
    scope: str, packed: Arrays, configure: Callable[..., Config], save: Callable[[Arrays], Path], tmp_path: Path
) -> None:
    packed["speaker"][:] = "alo"
    config = configure({"kind": "npz", "path": str(save(packed))}, retrieval={"scope": scope})
    with pytest.raises(CorpusError) as caught:
        prepare(config, tmp_path / "prepared")
    (line,) = caught.value.faults
    assert "speaker: fold0_seed0: all rows that are searched (train" in line
    assert "are of one speaker, 'alo', and a row never finds its own speaker's; set retrieval.exclude: self" in line
    assert not (tmp_path / "prepared").exists()
    config = configure({"kind": "npz", "path": str(save(packed))}, retrieval={"scope": scope, "exclude": "self"})
    prepare(config, tmp_path / "prepared")


def test_a_label_budget_of_one_speaker_is_refused_too(
    packed: Arrays, configure: Callable[..., Config], save: Callable[[Arrays], Path], tmp_path: Path
) -> None:
    packed["speaker"][:40], packed["speaker"][40:80] = "a", "b"  # the budget takes whole speakers
    corpus = {"kind": "npz", "path": str(save(packed))}
    with pytest.raises(CorpusError, match=r"are of one speaker, '[ab]', and .*set retrieval\.exclude: self"):
        prepare(configure(corpus, {"seeds": [0], "label_budget": 30}), tmp_path / "prepared")
    prepare(configure(corpus, {"seeds": [0], "label_budget": 30}, retrieval={"scope": "all"}), tmp_path / "prepared")
    prepare(configure(corpus, {"seeds": [0], "label_budget": 60}), tmp_path / "prepared")


def test_too_few_speakers_to_carve_a_split_from_are_said(
    packed: Arrays, configure: Callable[..., Config], save: Callable[[Arrays], Path], tmp_path: Path
) -> None:
    packed["speaker"] = np.where(np.arange(120) < 60, "a", "b")
    del packed["split"]
    with pytest.raises(CorpusError, match="split: missing, and too few speakers to carve one from: 2, expected at l"):
        prepare(configure({"kind": "npz", "path": str(save(packed))}), tmp_path / "prepared")


def test_rows_of_a_speaker_share_the_name(packed: Arrays, prepared: Prepare) -> None:
    """A million rows of pool would hold as many strings."""
    packed["speaker"][5] = ""
    speakers = prepared(packed).speakers
    named = [speaker for speaker in speakers if speaker is not None]
    assert speakers.tolist() == [name or None for name in packed["speaker"].tolist()]
    assert len({id(speaker) for speaker in named}) == len(set(named)) == 12
