from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ramer.data.merbench_features as features_module
from ramer.config import Config, Merbench
from ramer.data.clip_vectors import load_vector
from ramer.data.merbench import CACHE
from ramer.data.merbench_labels import read_labels
from ramer.data.prepared import PreparedCorpus
from ramer.errors import CorpusError
from ramer.project import Project
from tests.support.damaged import DAMAGED
from tests.support.sections import prepare

DIMS = {"audio": 3, "video": 4, "text": 5}
FOLDERS = {m: f"features/{m}-UTT" for m in DIMS}
Clips = dict[str, dict[str, Any]]
Labels = dict[str, Any]


def _mer_clips(prefix: str, rows: int, names: str = "neutral angry happy") -> Clips:
    classes = names.split()
    return {f"{prefix}_{i:08d}": {"emo": classes[i % len(classes)], "val": -10} for i in range(rows)}


@pytest.fixture
def merbench(
    tmp_path: Path, save_labels: Callable[..., Path], configure: Callable[..., Config]
) -> Callable[..., Callable[[], PreparedCorpus]]:
    """Write a corpus in the benchmark's layout; calling what is returned prepares it."""

    def make(
        members: Labels, *, section: dict[str, Any] | None = None, **settings: Any
    ) -> Callable[[], PreparedCorpus]:
        root = save_labels(members).parent
        clips = [clip for member in members.values() for clip in member if ".." not in clip]
        for modality, folder in FOLDERS.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for i, clip in enumerate(clips):
                (root / folder / f"{clip}.npy").parent.mkdir(exist_ok=True)
                np.save(root / folder / f"{clip}.npy", np.full(DIMS[modality], i + 1.0) + np.arange(DIMS[modality]))
        config = configure(
            {"kind": "merbench", "path": str(root), "merbench": {"features": FOLDERS} | settings},
            section or {"seeds": [0]},
        )

        def run() -> PreparedCorpus:
            prepare(config, Project(tmp_path).prepared)
            return PreparedCorpus.open(Project(tmp_path).prepared)

        return run

    return make


MER = {
    "train_corpus": _mer_clips("train", 20),
    "val_corpus": _mer_clips("val", 6),
    "test_corpus": _mer_clips("test", 7),
}


def _sizes(corpus: PreparedCorpus) -> list[int]:
    return [len(corpus.rows_in(corpus.replicates[0], s)) for s in ("train", "val", "test", "pool")]


def _labels(corpus: PreparedCorpus) -> list[str | None]:
    return [corpus.label_names[c] if c >= 0 else None for c in corpus.labels(corpus.replicates[0])]


def test_rows_features_and_splits_arrive(merbench: Callable[..., Any]) -> None:
    corpus = merbench(MER)()
    assert corpus.ids.tolist() == [clip for member in MER.values() for clip in member]
    assert corpus.label_names == ("neutral", "angry", "happy")  # the benchmark's order
    assert _sizes(corpus) == [20, 6, 7, 0]
    assert corpus.dims == DIMS
    np.testing.assert_array_equal(corpus.features["text"][2], np.array([3, 4, 5, 6, 7], dtype=np.float32))
    assert corpus.info.provenance["members"] == {"train_corpus": 20, "val_corpus": 6, "test_corpus": 7}


def test_frames_are_averaged_and_what_is_absent_empty_or_zero_is_missing(
    merbench: Callable[..., Any], tmp_path: Path
) -> None:
    run = merbench(MER)
    folder = tmp_path / "merbench" / FOLDERS["text"]
    frames = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    np.save(folder / "train_00000000.npy", frames)
    np.save(folder / "train_00000001.npy", np.zeros(5))
    np.save(folder / "train_00000002.npy", np.zeros((0, 5)))
    np.save(folder / "train_00000003.npy", np.full(5, np.nan))
    (folder / "train_00000004.npy").unlink()
    np.save(folder / "train_00000005.npy", np.zeros((3, 5)))
    corpus = run()
    np.testing.assert_allclose(corpus.features["text"][0], frames.mean(axis=0), rtol=1e-6)
    assert np.flatnonzero(~corpus.available[:, 2]).tolist() == [1, 2, 3, 4, 5]
    assert corpus.available[:, :2].all()


def test_clips_in_sub_folders_have_features(merbench: Callable[..., Any]) -> None:
    members = {m: {f"s{i % 2}/{clip}": e for i, (clip, e) in enumerate(held.items())} for m, held in MER.items()}
    corpus = merbench(members)()
    assert list(corpus.ids[:2]) == ["s0/train_00000000", "s1/train_00000001"]
    np.testing.assert_array_equal(corpus.features["audio"][1], 2.0 + np.arange(DIMS["audio"]))
    assert np.isfinite(corpus.features["video"]).all()


def test_a_sub_folder_is_no_part_of_the_group(merbench: Callable[..., Any]) -> None:
    clips = {f"Session{1 + i % 5}/Ses0{1 + i % 5}F_{i:03}": {"emo": (i // 5) % 4, "val": -10} for i in range(60)}
    sessions = merbench({"whole_corpus": clips}, dataset="iemocap4")()
    assert set(sessions.speakers) == {f"session{s}" for s in range(1, 6)}
    members = {
        f"{s}_corpus": {f"dir_{i % 2}/{s}dia{i // 4}_utt{i % 4}": {"emo": i % 3, "val": -10} for i in range(12)}
        | {f"dir_0/{s}single{i}": {"emo": i % 3, "val": -10} for i in range(3)}
        for s in ("train", "val", "test")
    }
    dialogues = merbench(members, dataset="meld")()
    assert dialogues.speakers[:3].tolist() == ["dir_0/traindia0", "dir_1/traindia0", "dir_0/traindia0"]
    assert not isinstance(dialogues.speakers[12], str)  # named like no dialogue; its folder alone makes none


def test_several_test_sets_are_one_test_split(merbench: Callable[..., Any]) -> None:
    members = {"train_corpus": MER["train_corpus"]} | {f"test{i}_corpus": _mer_clips(f"t{i}", 3 + i) for i in (1, 2, 3)}
    corpus = merbench(members)()
    assert _sizes(corpus) == [16, 4, 15, 0]  # a fifth of train stands in for the absent val
    assert any("no val rows" in note for note in corpus.info.notes)
    assert corpus.info.provenance["label_file_form"] == "organisers"


@pytest.mark.parametrize("placeholder", ["neutral", 0])
def test_the_participants_placeholder_is_a_pool_without_labels(placeholder: Any, merbench: Callable[..., Any]) -> None:
    pool = {f"samplenew_{i:08d}": {"emo": placeholder, "val": -10} for i in range(30)}
    corpus = merbench({"train_corpus": MER["train_corpus"], "test1_corpus": pool})()
    assert _sizes(corpus) == [12, 4, 4, 30]
    assert corpus.info.provenance["label_file_form"] == "participants"
    assert any("placeholder" in note for note in corpus.info.notes)
    assert (corpus._labels[20:] == -1).all()
    counts = corpus.info.counts["fold0_seed0"]
    assert sum(counts[s]["label/neutral"] for s in ("train", "val", "test")) == 7


def test_the_pool_of_the_participants_file_is_in_no_fold(merbench: Callable[..., Any]) -> None:
    pool = {f"samplenew_{i:08d}": {"emo": "neutral"} for i in range(30)}
    section = {"folds": 4, "seeds": [0]}
    corpus = merbench({"train_corpus": MER["train_corpus"], "test1_corpus": pool}, section=section)()
    for replicate in corpus.replicates:
        assert corpus.rows_in(replicate, "pool").tolist() == list(range(20, 50))


def test_real_labels_of_the_organisers_file_are_kept(merbench: Callable[..., Any]) -> None:
    corpus = merbench({"train_corpus": MER["train_corpus"], "test1_corpus": _mer_clips("t", 9)})()
    assert corpus.info.provenance["label_file_form"] == "organisers"
    assert _sizes(corpus) == [16, 4, 9, 0]
    assert _labels(corpus)[-9:] == ["neutral", "angry", "happy"] * 3


def test_iemocap_splits_by_session(merbench: Callable[..., Any]) -> None:
    clips = {f"Ses0{1 + i % 5}F_impro01_F{i:03d}": {"emo": (i // 5) % 4, "val": -10} for i in range(60)}
    one = merbench({"whole_corpus": clips}, dataset="iemocap4")()
    assert one.label_names == ("happy", "sad", "neutral", "angry")
    assert set(one.speakers[one.rows_in(one.replicates[0], "test")]) == {"session1"}
    assert set(one.speakers[one.rows_in(one.replicates[0], "val")]) == {"session2"}
    five = merbench({"whole_corpus": clips}, dataset="iemocap4", section={"folds": 5, "seeds": [0]})()
    for fold, replicate in enumerate(five.replicates):
        assert set(five.speakers[five.rows_in(replicate, "test")]) == {f"session{fold + 1}"}
    assert five.info.group_name == "session"


def test_meld_groups_are_dialogues_and_its_numbers_have_its_own_names(merbench: Callable[..., Any]) -> None:
    members = {
        f"{s}_corpus": {f"{s}_dia{i // 3}_utt{i % 3}": {"emo": i % 3, "val": -10} for i in range(12)}
        for s in ("train", "val", "test")
    }
    corpus = merbench(members, dataset="meld")()
    assert corpus.label_names == ("anger", "joy", "sadness")
    assert corpus.speakers[4] == "train_dia1"
    assert corpus.info.group_name == "dialogue"


@pytest.mark.parametrize("dataset", ["sims", "simsv2"])
def test_clips_of_one_video_are_one_group_and_shared_ones_are_said(dataset: str, merbench: Callable[..., Any]) -> None:
    members = {
        f"{s}_corpus": {f"video_{i // 3:04}_{i:04}": {"emo": 0, "val": i // 4 % 2 - 0.5} for i in range(start, 60, 3)}
        for start, s in enumerate(("train", "val", "test"))
    }
    corpus = merbench(members, dataset=dataset, task="sentiment")()
    assert corpus.speakers[1] == "video_0001"
    assert corpus.info.group_name == "video"
    shared = corpus.info.split_overlaps["fold0"]["train-test"]
    assert shared > 0
    assert f"fold0: train and test share {shared} groups (video)" in corpus.info.notes
    folds = merbench(members, dataset=dataset, task="sentiment", section={"folds": 5, "seeds": [0]})()
    for replicate in folds.replicates:
        held = [set(folds.speakers[folds.rows_in(replicate, s)]) for s in ("train", "val", "test")]
        assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]


def test_a_corpus_of_ones_own_keeps_its_names(merbench: Callable[..., Any]) -> None:
    members = {m: {k: {"emo": ["calm", "bored"][i % 2]} for i, k in enumerate(c)} for m, c in MER.items()}
    corpus = merbench(members, dataset="other")()
    assert corpus.label_names == ("bored", "calm")
    assert corpus.info.group_name is None
    assert _labels(corpus)[:2] == ["calm", "bored"]


SENTIMENT = {
    f"{s}_corpus": {
        f"{s}{i // 4}_x_{i}": {"emo": 0, "val": v} for i, v in enumerate(np.array([-1.5, 0.0, 2.0, -10.0] * 3))
    }
    for s in ("train", "val", "test")
}


def test_sentiment_is_negative_or_not_and_ten_below_is_absent(merbench: Callable[..., Any]) -> None:
    corpus = merbench(SENTIMENT, dataset="mosi", task="sentiment")()
    assert corpus.label_names == ("negative", "nonnegative")
    assert _labels(corpus)[:4] == ["negative", "nonnegative", "nonnegative", None]
    assert _sizes(corpus) == [9, 9, 9, 9]
    assert corpus.speakers[5] == "train1_x"
    assert corpus.name == "mosi_sentiment"


def test_zero_sentiment_can_be_left_out(merbench: Callable[..., Any]) -> None:
    corpus = merbench(SENTIMENT, dataset="mosi", task="sentiment_nonzero")()
    assert corpus.label_names == ("negative", "positive")
    assert _labels(corpus)[:3] == ["negative", "positive", None]
    assert corpus.info.provenance["rows_of_zero_sentiment_left_out"] == 9


def _with(member: str, clip: Any, entry: Any) -> Labels:
    return {**MER, member: {**MER.get(member, {}), clip: entry}}


FAULTS: list[tuple[str, Labels, dict[str, Any], str]] = [
    ("unknown split", {**MER, "dev_corpus": {}}, {}, "dev_corpus: unknown member, expected train_corpus"),
    ("no split", {"labels": {}}, {}, "no member ends in _corpus"),
    ("no dict", {**MER, "val_corpus": ["a"]}, {}, "val_corpus: expected a dict of clips, got list"),
    (
        "no entry",
        _with("train_corpus", "x", 3),
        {},
        "train_corpus: clip 'x': expected a dict with emo and val, got int",
    ),
    ("number unknown", _with("train_corpus", "x", {"emo": 6}), {}, "clip 'x': emo: expected a name or 0 to 5, got 6"),
    (
        "name unknown",
        _with("train_corpus", "x", {"emo": "suprise"}),
        {},
        "clip 'x': emo: 'suprise' is none of neutral, angry, happy, sad, worried, surprise; is it 'surprise'?",
    ),
    ("other case", _with("train_corpus", "x", {"emo": "Happy"}), {}, "emo: 'Happy' is none of neutral, angry"),
    ("absent as text", _with("train_corpus", "x", {"emo": "nan"}), {}, "emo: 'nan' is none of neutral, angry"),
    ("half a character", _with("train_corpus", "x", {"emo": "\ud800"}), {}, "emo: '\\ud800' is none of neutral"),
    (
        "own names on a scale",
        {m: {k: {"emo": f"{i}.5"} for i, k in enumerate(c)} for m, c in MER.items()},
        {"dataset": "other"},
        "label: '0.5', '1.5', '10.5' and 17 more: numbers on a scale, not classes",
    ),
    ("clip twice", _with("val_corpus", "train_00000001", {"emo": "sad"}), {}, "also in train_corpus"),
    ("clip elsewhere", _with("val_corpus", "../x", {"emo": "sad"}), {}, "clip '../x': a name must not be absolute or"),
    ("clip at the root", {**MER, "val_corpus": {"/..": {"emo": "sad"}}}, {}, "clip '/..': a name must not be absolute"),
    ("clip without a name", _with("val_corpus", " ", {"emo": "sad"}), {}, "clip ' ': expected the name of a file"),
    ("no emotions", SENTIMENT, {"dataset": "mosi"}, "mosi has no emotions, expected sentiment or sentiment_nonzero"),
    ("text as sentiment", _with("val_corpus", "x", {"val": "high"}), {"task": "sentiment"}, "val: expected a number"),
    ("no session", {"whole_corpus": _mer_clips("clips", 9)}, {"dataset": "iemocap4"}, "expected the session as fifth"),
    ("one class", {m: {k: {"emo": "sad"} for k in c} for m, c in MER.items()}, {}, "at least two classes"),
    ("folder absent", MER, {"features": {"audio": "features/none"}}, "none: no such folder"),
    ("no modality", MER, {"features": {}}, "no modality"),
    ("label file absent", MER, {"label_file": "other.npz"}, "other.npz: no such file"),
]


@pytest.mark.parametrize(("members", "settings", "line"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_fault_is_one_line(
    members: Labels, settings: dict[str, Any], line: str, merbench: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(CorpusError) as caught:
        merbench(members, **settings)()
    assert any(line in fault for fault in caught.value.faults), caught.value.faults
    assert not Project(tmp_path).prepared.exists()


def test_a_corrupt_feature_file_is_named_and_many_are_counted(merbench: Callable[..., Any], tmp_path: Path) -> None:
    run = merbench(MER)
    folder = tmp_path / "merbench" / FOLDERS["video"]
    (folder / "train_00000003.npy").write_bytes(b"\x93NUMPY broken")
    np.save(folder / "train_00000004.npy", np.ones(9))
    np.save(folder / "train_00000005.npy", np.array([1, np.inf, 0, 0]))
    np.save(folder / "train_00000006.npy", np.ones((2, 2, 4)))
    np.save(folder / "train_00000007.npy", np.array([{}], dtype=object))
    np.save(folder / "train_00000008.npy", np.array([[1, 2, 3, 4], [np.nan, 2, 3, 4]]))
    with pytest.raises(CorpusError) as caught:
        run()
    faults = caught.value.faults
    for number, text in enumerate(
        ("not a whole", "expected a vector of 4", "infinite", "expected shape", "not a whole", "partly NaN"), 3
    ):
        assert any(re.search(rf"train_0000000{number}\.npy: .*{text}", fault) for fault in faults), faults
    assert len(faults) == 6
    for clip in MER["train_corpus"]:
        (tmp_path / "merbench" / FOLDERS["audio"] / f"{clip}.npy").write_bytes(b"")
    with pytest.raises(CorpusError) as caught:
        run()
    assert len(caught.value.faults) == 21
    assert caught.value.faults[-1] == "... and 6 faults more"
    assert not Project(tmp_path).prepared.exists()


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_every_damaged_feature_file_is_named(content: bytes, merbench: Callable[..., Any], tmp_path: Path) -> None:
    run = merbench(MER)
    path = tmp_path / "merbench" / FOLDERS["video"] / "train_00000003.npy"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=r"train_00000003\.npy: not a whole \.npy file: \S"):
        run()


def test_an_interrupted_run_resumes_and_cleans_up(
    merbench: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = {m: np.array(v) for m, v in merbench(MER)().features.items()}
    opened: list[str] = []

    def watched(path: Path) -> np.ndarray | None:
        opened.append(f"{path.parent.name}/{path.name}")
        if interrupt_at in opened[-1]:
            raise KeyboardInterrupt
        return load_vector(path)

    monkeypatch.setattr(features_module, "load_vector", watched)
    monkeypatch.setattr(features_module, "BLOCK_ROWS", 8)
    interrupt_at = "video-UTT/val_00000001"
    run = merbench(MER)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert (tmp_path / "data" / CACHE).exists()
    first = set(opened)
    changed = tmp_path / "merbench" / FOLDERS["audio"] / "train_00000012.npy"
    np.save(changed, np.full(3, 77.0))
    os.utime(changed, ns=(1, 1))
    (tmp_path / "merbench" / FOLDERS["audio"] / "train_00000013.npy").unlink()
    interrupt_at, opened = "nowhere", []
    corpus = run()
    again = [name for name in opened if name in first and name[-9:] >= "00006.npy"]  # the first tell the length
    assert "audio-UTT/train_00000012.npy" in again  # what has changed is read again, what was read is not
    assert not [name for name in again if name.startswith("audio-UTT") and "train_00000012" not in name]
    assert len([name for name in again if name.startswith("video-UTT")]) < 9
    whole["audio"][12] = 77.0
    whole["audio"][13] = np.nan
    for modality, expected in whole.items():
        np.testing.assert_array_equal(corpus.features[modality], expected)
    assert not (tmp_path / "data" / CACHE).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "settings", "sizes"),
    [
        ("meld_label", {"dataset": "meld"}, [9989, 1109, 2610, 0]),
        ("cmumosi_label", {"dataset": "mosi", "task": "sentiment"}, [1284, 229, 686, 0]),
        ("iemocap_label_4way", {"dataset": "iemocap4"}, None),
    ],
)
def test_genuine_label_files(
    file: str, settings: dict[str, Any], sizes: list[int] | None, configure: Callable[..., Config], tmp_path: Path
) -> None:
    source = Path(__file__).resolve().parents[2] / f"../shared/merbench-labels/{file}.npz"
    if not source.exists():
        pytest.skip("no genuine label files beside the project")

    root = tmp_path / "corpus"
    (root / "audio").mkdir(parents=True)
    os.symlink(source.resolve(), root / "label.npz")
    merbench = {"features": {"audio": "audio"}, **settings}
    config = configure({"kind": "merbench", "path": str(root), "merbench": merbench}, {"seeds": [0]})
    ids = read_labels(root / "label.npz", config.corpus.merbench).ids
    for i, clip in enumerate(ids):
        if i % 50 == 0:
            np.save(root / "audio" / f"{clip}.npy", np.array([i + 1.0, -i]))
    prepare(config, tmp_path / "prepared")
    corpus = PreparedCorpus.open(tmp_path / "prepared")
    assert corpus.rows == len(ids)
    assert corpus.available[:, 0].sum() == len(range(0, len(ids), 50))
    assert corpus.info.split_overlaps["fold0"]["train-test"] == 0
    if sizes:
        assert _sizes(corpus) == sizes
    else:
        assert corpus.rows == 5531
        assert set(corpus.speakers) == {f"session{i}" for i in range(1, 6)}


def test_a_label_table_stands_in_for_the_label_file(merbench: Callable[..., Any], tmp_path: Path) -> None:
    run = merbench(MER, dataset="other", label_file="labels.csv")
    rows = [f"{clip},{e['emo']},s{i % 4},{m[:-7]}" for m, c in MER.items() for i, (clip, e) in enumerate(c.items())]
    rows[5] = f"{rows[5].split(',')[0]},,s1,train"
    (tmp_path / "merbench" / "labels.csv").write_text("clip,label,speaker,split\n" + "\n".join(rows) + "\n")
    corpus = run()
    assert corpus.ids.tolist() == [clip for member in MER.values() for clip in member]
    assert corpus.label_names == ("angry", "happy", "neutral")
    assert _sizes(corpus) == [19, 6, 7, 1]
    assert corpus.speakers[:3].tolist() == ["s0", "s1", "s2"]
    assert corpus.info.group_name == "speaker"
    (tmp_path / "merbench" / "labels.csv").write_text("clip,label\n../x,a\ny,b\ny,b\n")
    with pytest.raises(CorpusError) as caught:
        run()
    assert [fault.split("labels.csv: ")[1] for fault in caught.value.faults] == [
        "row 2: clip: '../x': a name must not be absolute or hold empty, '.' or '..' parts",
        "row 4: clip: 'y' was named before",
    ]


def test_a_row_of_the_pool_keeps_no_label_that_folds_would_deal_out(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("clip,label,split\na,x,train\nb,y,test\nc,x,pool\nd,,train\ne,z,pool\n")
    table = read_labels(path, Merbench(dataset="other", label_file="labels.csv"))
    assert table.labels == ["x", "y", None, None, None]
    assert table.splits == ["train", "test", "pool", "pool", "pool"]
    assert table.names == ("x", "y")


def test_a_label_table_of_a_known_corpus_holds_its_labels_and_no_placeholder(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("clip,label,split\na,angry,train\nb,sad,train\nc,neutral,test\nd,neutral,test\n")
    table = read_labels(path, Merbench(dataset="mer", label_file="labels.csv"))
    assert table.labels == ["angry", "sad", None, None]
    assert table.splits == ["train", "train", "pool", "pool"]
    assert table.names == ("angry", "sad")
    assert table.notes == ["test: all labels are the participants' placeholder: its rows are the pool"]
    own = read_labels(path, Merbench(dataset="other", label_file="labels.csv"))
    assert own.splits == ["train", "train", "test", "test"]
    path.write_text("clip,label\na,calm\nb,sad\n")
    with pytest.raises(CorpusError) as caught:
        read_labels(path, Merbench(dataset="mer", label_file="labels.csv"))
    assert caught.value.faults == [
        f"{path}: label: 'calm' is none of neutral, angry, happy, sad, worried, surprise; "
        "corpus.merbench.dataset: other takes any"
    ]
