"""The command line as a user meets it: what is printed where, exit codes, and how soon help is there."""

from __future__ import annotations

import csv
import io
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ramer import __version__
from ramer.cli import app
from ramer.files import _host
from ramer.modalities import MODALITIES
from ramer.project import Project
from ramer.serving.predictor import Predictor
from tests.support.commands import call, refused
from tests.support.exported import edit_description
from tests.support.served_project import corpus_of, raw_features, rows_of, run_report, save_npz

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {"audio": "hubert-UTT", "video": "clip-UTT", "text": "bert-UTT"}


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def clips(served: Path, tmp_path: Path) -> Path:
    return save_npz(tmp_path / "clips.npz", served, rows_of(served))


def test_predict_prints_a_csv_of_what_the_model_says(served: Path, clips: Path) -> None:
    code, out, err = call("predict", clips, "--model", served)
    assert (code, err) == (0, "")
    rows = rows_of(served)
    expected = Predictor.load(served).predict(raw_features(served, rows))
    table = table_of(out)
    labels = list(corpus_of(served).label_names)
    assert list(table[0]) == ["id", "available", "predicted", "method", *(f"p/{label}" for label in labels)]
    assert [line["id"] for line in table] == list(corpus_of(served).ids[rows])
    assert [line["predicted"] for line in table] == list(expected.labels)
    assert {line["available"] for line in table} >= {"avt", "at"}
    got = np.array([[float(line[f"p/{label}"]) for label in labels] for line in table])
    np.testing.assert_array_equal(got, expected.probabilities)


def test_help_says_every_command_in_full_on_80_columns() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "ramer", "--help"],
        env={**os.environ, "COLUMNS": "80"}, text=True, capture_output=True, check=True,
    )  # fmt: skip
    commands = shown.stdout.partition("Commands:\n")[2].splitlines()
    assert len(commands) == len(app.registered_commands) + len(app.registered_groups)
    assert [line for line in commands if not line.endswith(".") or line.endswith("...")] == []


def test_predict_drops_what_it_is_told_to(served: Path, clips: Path) -> None:
    code, out, _ = call("predict", clips, "--model", served, "--drop", "vt", "--method", "late_product")
    assert code == 0
    table = table_of(out)
    assert {line["available"] for line in table} == {"a", ""}
    expected = Predictor.load(served, "late_product").predict(raw_features(served, rows_of(served), "a"))
    assert [line["predicted"] for line in table] == list(expected.labels)
    everything = table_of(call("predict", clips, "--model", served, "--drop", "avt")[1])
    assert len({tuple(line.values())[1:] for line in everything}) == 1


def test_predict_writes_a_file_whole_or_not_at_all(served: Path, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "made" / "out.csv"
    code, said, _ = call("predict", clips, "--model", served, "-o", out)
    assert code == 0
    assert said == f"{len(rows_of(served))} clips -> {out}\n"
    assert out.read_text("utf-8") == call("predict", clips, "--model", served)[1]
    before = out.read_bytes()
    bad = save_npz(tmp_path / "bad.npz", served, rows_of(served), A=np.ones((len(rows_of(served)), 3)))
    assert refused("predict", bad, "--model", served, "-o", out).startswith("audio: expected ")
    assert out.read_bytes() == before
    assert [p.name for p in out.parent.iterdir()] == ["out.csv"]


def test_predict_reads_feature_folders(served: Path, clips: Path, tmp_path: Path) -> None:
    rows, features = rows_of(served), raw_features(served, rows_of(served))
    for m, name in FOLDERS.items():
        (tmp_path / "features" / name).mkdir(parents=True)
        for clip, vector in zip(corpus_of(served).ids[rows], features[m], strict=True):
            if np.isfinite(vector).all():
                np.save(tmp_path / "features" / name / f"{clip}.npy", np.stack([vector, vector]))
    options = [text for m in MODALITIES for text in (f"--{m}", FOLDERS[m])]
    code, out, _ = call("predict", tmp_path / "features", "--model", served, *options)
    assert code == 0
    packed = {line["id"]: line for line in table_of(call("predict", clips, "--model", served)[1])}
    for line in table_of(out):
        assert line["available"] == packed[line["id"]]["available"]
        assert line["predicted"] == packed[line["id"]]["predicted"]
    assert "--audio, --video or --text" in refused("predict", tmp_path / "features", "--model", served)
    absent = refused("predict", tmp_path / "features", "--model", served, "--audio", "absent")
    assert absent == f"{tmp_path}/features/absent: no such folder, expected one .npy file per clip"


def test_predict_takes_the_folders_of_the_models_corpus(served: Path, tmp_path: Path) -> None:
    """A model of a MERBench corpus knows the names of its feature folders; one that is not there is missing."""
    assert call("export", tmp_path / "model", "--project", served)[0] == 0
    folders = {"audio": "features/hubert-UTT", "video": "features/clip-UTT", "text": None}
    edit_description(tmp_path / "model", feature_folders=folders)
    (tmp_path / "new/features/hubert-UTT").mkdir(parents=True)
    np.save(tmp_path / "new/features/hubert-UTT/one.v2.npy", np.ones(10))
    code, out, _ = call("predict", tmp_path / "new", "--model", tmp_path / "model")
    assert code == 0
    (line,) = table_of(out)
    assert (line["id"], line["available"]) == ("one.v2", "a")


def test_export_then_predict_without_the_project(served: Path, clips: Path, tmp_path: Path) -> None:
    code, said, _ = call("export", tmp_path / "model", "--project", served, "--method", "late_product")
    assert code == 0
    assert said.endswith(f" MB -> {tmp_path / 'model'}\n")
    there = call("predict", clips, "--model", tmp_path / "model")
    assert there == call("predict", clips, "--model", served, "--method", "late_product")
    assert "'oracle' is not deployable" in refused("export", tmp_path / "no", "--project", served, "--method", "oracle")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("method", ["ramer", "rebuilt"])
def test_neighbours_of_a_clip_of_the_corpus(served: Path, method: str) -> None:
    corpus = corpus_of(served)
    train = corpus.rows_in(corpus.replicates[0], "train")
    row = train[corpus.available[train].all(axis=1)][0]
    code, out, err = call("neighbours", corpus.ids[row], "--available", "a", "--model", served, "--method", method)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines() if line.strip().startswith(corpus.ids[row])]
    assert [line[2] for line in lines] == ["video"] * 3 + ["text"] * 3
    numbers = {clip: i for i, clip in enumerate(corpus.ids)}
    for clip, has, _, near, score, *label in lines:
        assert (clip, has) == (corpus.ids[row], "a")
        assert -1 <= float(score) <= 1
        assert corpus.groups[numbers[near]] == -1 or corpus.groups[numbers[near]] != corpus.groups[row]
        number = corpus.labels(corpus.replicates[0])[numbers[near]]
        assert label == ([corpus.label_names[number]] if number >= 0 else [])


def test_neighbours_of_new_clips(served: Path, clips: Path, tmp_path: Path) -> None:
    call("export", tmp_path / "model", "--project", served)
    code, out, _ = call("neighbours", clips, "--available", "at", "--model", tmp_path / "model")
    assert code == 0
    expected = Predictor.load(served).predict(raw_features(served, rows_of(served), "at"), neighbours=True)
    said = [line.split() for line in out.splitlines()]
    first = corpus_of(served).ids[rows_of(served)[0]]
    near = [line[3] for line in said if line and line[0] == first]
    assert near == [n.id for n in expected.neighbours[0]]


def test_neighbours_refuses_what_it_cannot_show(served: Path, tmp_path: Path) -> None:
    assert "'nobody' is no clip of" in refused("neighbours", "nobody", "--model", served)
    assert "retrieves nothing" in refused("neighbours", "x", "--model", served, "--method", "zero_fill")
    assert refused("neighbours", "x", "--available", "q", "--model", served) == (
        "--available: 'q' names no modality, expected letters of a, v, t"
    )
    pool = corpus_of(served).ids[rows_of(served, "pool")[0]]
    assert "it was not a query" in refused("neighbours", pool, "--model", served)
    call("export", tmp_path / "model", "--project", served)
    assert "an exported model has no corpus" in refused("neighbours", "x", "--model", tmp_path / "model")


def test_many_clips_are_told_only_what_they_lack(clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "one.mp4").touch()
    file = "-o FILE, beside which features are kept for another run"
    words = "--transcripts FILE in place of --transcript"
    told = f"{folder}: many clips: expected"
    assert refused("predict", folder, "--transcripts", tmp_path / "nope.csv") == f"{told} {file}"
    assert refused("predict", folder, "--transcript", "so", "-o", tmp_path / "o.csv") == f"{told} {words}"
    assert refused("predict", folder, "--transcript", "so") == f"{told} {file}, and {words}"
    assert refused("predict", clips, "--preset", "light") == f"{clips}: --preset is for a raw clip, this holds features"


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_an_address_that_cannot_be_listened_on_is_named(command: str, served: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert refused(command, "--model", served, "--port", str(port)) == (
            f"http://127.0.0.1:{port}: address already in use; name another port with --port, 0 takes a free one"
        )
    line = refused(command, "--model", served, "--port", "0", "--host", "203.0.113.1")
    assert line.startswith("http://203.0.113.1:0: ")
    assert line.endswith("; name another with --host")


@pytest.mark.parametrize("command", ["predict", "neighbours", "export", "report", "promote", "demo", "database add"])
def test_one_name_for_the_folder_that_a_command_works_on(command: str) -> None:
    said = call(*command.split(), "--help")[1]
    listed = {words[0] for line in said.splitlines() if (words := line.split()) and words[0].startswith("--")}
    assert len(listed & {"--project", "--model"}) == 1
    assert "--workspace" not in listed


def test_faults_are_one_line_and_exit_code_2(served: Path, clips: Path, tmp_path: Path) -> None:
    assert "no such file or folder" in refused("predict", tmp_path / "absent.npz", "--model", served)
    assert "no model here" in refused("predict", clips, "--model", tmp_path)
    assert "method 'mine' is not trained here" in refused("predict", clips, "--model", served, "--method", "mine")
    assert "--drop: 'x' names no modality" in refused("predict", clips, "--model", served, "--drop", "x")
    assert "name folders of features, this is a file" in refused("predict", clips, "--model", served, "--audio", "a")
    assert "run `dvc repro` first" in refused("report", "--project", tmp_path)
    (tmp_path / "file").write_text("")
    line = refused("predict", clips, "--model", served, "-o", tmp_path / "file" / "out.csv")
    assert line.startswith(f"{tmp_path / 'file'}: ")


@pytest.mark.slow
def test_report_prints_the_comparison(served: Path, tmp_path: Path) -> None:
    run_report(served, tmp_path)
    code, out, err = call("report", "--project", tmp_path)
    assert (code, err) == (0, "")
    assert "late_product" in out
    assert "…" not in out
    assert out.splitlines()[-1] == f"report: {Project(tmp_path).report}"
    for damaged in ("{torn", "{}", "[]"):
        Project(tmp_path).summary.write_text(damaged)
        assert "summary.json: torn, or of another version" in refused("report", "--project", tmp_path)
        assert "summary.json: torn, or of another version" in refused("report", "--project", tmp_path, "--markdown")


def run(
    *arguments: str, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_help_imports_nothing_heavy() -> None:
    heavy = ["numpy", "pandas", "torch", "pydantic", "faiss", "sklearn", "scipy", "matplotlib", "mlflow", "rich.table"]
    ran = run("-c", f"import sys, ramer.cli; print([m for m in {heavy!r} if m in sys.modules])")
    assert ran.stdout == "[]\n"
    helped = run("-m", "ramer.cli", "--help")
    assert helped.returncode == 0
    for command in ("predict", "neighbours", "report", "export", "promote", "database", "demo", "extract"):
        assert command in helped.stdout


def test_the_package_runs_as_a_module_and_says_its_version() -> None:
    for ran in (run("-m", "ramer", "--version"), run("-m", "ramer.cli", "--version")):
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"ramer {__version__}\n", "")
    assert run("-m", "ramer", "--help").stdout.startswith("Usage: ramer ")


def test_a_shell_completes_commands_and_options() -> None:
    for words, expected in (("ramer pre", "predict"), ("ramer report --mark", "--markdown")):
        asked = {"_RAMER_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        ran = run("-m", "ramer", environment=asked)
        assert ran.stdout.split() == [expected]
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # a test may run below no shell at all
    assert "complete" in run("-m", "ramer", "--show-completion", "bash", environment=named).stdout


def test_predict_runs_in_the_project_folder_as_a_process(served: Path, clips: Path, tmp_path: Path) -> None:
    ran = run("-m", "ramer.cli", "predict", str(clips), cwd=served)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(table_of(ran.stdout)) == len(rows_of(served))
    failed = run("-m", "ramer.cli", "predict", str(clips), cwd=tmp_path)
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("error: ")
    assert len(failed.stderr.splitlines()) == 1


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash to make a pipe with")
def test_a_reader_that_leaves_early_is_no_fault(served: Path, tmp_path: Path) -> None:
    many = np.resize(rows_of(served), 3000)
    save_npz(tmp_path / "many.npz", served, many)
    command = f"{sys.executable} -m ramer.cli predict {tmp_path}/many.npz --model {served} | head -n 1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=300)
    assert ran.stdout.startswith("id,available,predicted,method,p/")
    assert ran.stderr == ""


@pytest.mark.parametrize("output", ["", ".", "/"])
def test_an_output_has_a_name(output: str, served: Path, clips: Path, tmp_path: Path) -> None:
    said = refused("predict", clips, "--model", served, "-o", output)
    assert said in ("--output: empty text, expected a value", f"{output}: no name of a file, expected one")
    said = refused("report", "--project", tmp_path, "--html", output)
    assert said in ("--html: empty text, expected a value", f"{output}: no name of a file, expected one")


def test_predict_follows_a_link_and_writes_into_a_pipe(served: Path, clips: Path, tmp_path: Path) -> None:
    expected = call("predict", clips, "--model", served)[1]
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert call("predict", clips, "--model", served, "-o", tmp_path / "link.csv")[0] == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text("utf-8") == expected
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True)
    assert call("predict", clips, "--model", served, "-o", tmp_path / "pipe")[0] == 0
    assert reader.communicate()[0] == expected
    assert (tmp_path / "pipe").is_fifo()
    assert call("predict", clips, "--model", served, "-o", "/dev/null")[0] == 0
    assert Path("/dev/null").is_char_device()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
    assert "is there, which is not replaced" in refused("predict", clips, "--model", served, "-o", tmp_path / "socket")


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("promote", ""), "version"),
        (("promote", "--name", ""), "--name"),
        (("predict", "x.npz", "--method", ""), "--method"),
        (("predict", "x.npz", "--model", ""), "--model"),
        (("report", "--metrics", ""), "--metrics"),
        (("evaluate", "x.npz", "--split", ""), "--split"),
        (("extract", "media", "out", "--shard", ""), "--shard"),
        (("database", "add", "--model", "m", "--features", ""), "--features"),
    ],
)
def test_empty_text_is_not_taken_for_an_option_that_is_not_there(command: tuple[str, ...], shown: str) -> None:
    assert refused(*command) == f"{shown}: empty text, expected a value"


@pytest.mark.parametrize("number", ["inf", "-inf", "nan"])
def test_a_number_is_finite(number: str) -> None:
    for command in (("extract", "media", "out", "--frame-rate"), ("predict", "x.npz", "--coverage")):
        assert refused(*command, number) == f"{command[-1]}: no finite number, expected a value"


def test_an_export_loses_no_file_of_somebody_else(served: Path, tmp_path: Path) -> None:
    assert call("export", tmp_path / "model", "--model", served)[0] == 0
    for name in ("mynotes.txt", "heads/mine.txt"):
        (tmp_path / "model" / name).write_text("mine")
        assert refused("export", tmp_path / "model", "--model", served) == (
            f"{tmp_path / 'model'}: holds {name}, no part of the exported model, which alone would be replaced"
        )
        (tmp_path / "model" / name).unlink()
    left = tmp_path / "model" / f".model.json.999999@{_host()}.tmp"  # of a process that was killed
    left.write_text("{")
    (tmp_path / "link").symlink_to("model")
    assert call("export", tmp_path / "link", "--model", served)[0] == 0
    assert not left.exists()
    (tmp_path / "model" / "model.json").write_text("{")
    said = refused("export", tmp_path / "model", "--model", served)
    assert said.startswith(f"{tmp_path / 'model' / 'model.json'}: torn, or no part of a model")
    assert said.endswith(f"; remove {tmp_path / 'model'}, or choose another folder")
    (tmp_path / "model" / "model.json").unlink()
    (tmp_path / "model").rename(tmp_path / "other")
    assert call("export", tmp_path / "link", "--model", served)[0] == 0
    assert (tmp_path / "link").is_symlink()


def test_a_name_that_is_no_text_is_refused(served: Path, clips: Path, tmp_path: Path) -> None:
    rows = rows_of(served)
    ids = np.array(["\ud800", *corpus_of(served).ids[rows][1:]])
    odd = save_npz(tmp_path / "odd.npz", served, rows, ids=ids)
    call("export", tmp_path / "model", "--model", served)
    for command in (("predict", odd), ("neighbours", odd), ("database", "add", "--features", odd)):
        said = refused(*command, "--model", tmp_path / "model")
        assert said == f"{odd}: row 0: ids: not valid text: '\\ud800'"
    (tmp_path / "features" / "au").mkdir(parents=True)
    np.save(tmp_path / "features" / "au" / os.fsdecode(b"bad\xff.npy"), np.ones(10))
    for output in ((), ("-o", tmp_path / "out.csv")):
        said = refused("predict", tmp_path / "features", "--model", served, "--audio", "au", *output)
        assert said.endswith("bad\\udcff.npy': not valid text, expected a name in UTF-8")
