"""``ramer tune``: as many trials for each method, by any number of processes, and the winner written back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ramer.config import load_config
from ramer.instructions import THREADS
from tests.support.closure import ROOT
from tests.support.commands import call, refused
from tests.support.disks import make_read_only, make_writable, small_disk
from tests.support.tuned import PARAMS, trials_of

if find_spec("optuna") is None:
    pytest.skip("Optuna is not installed (extra: tune)", allow_module_level=True)


def test_every_method_gets_as_many_trials_and_the_winner_a_command(project: Path, tmp_path: Path) -> None:
    journal = tmp_path / "shared" / "tune.journal"
    arguments = ("tune", "label_knn", "ramer", "--trials", "4", "--journal", journal, "--project", project)
    code, out, _ = call(*arguments)
    assert code == 0
    told = out.splitlines()
    assert [line.split(",")[0] for line in told[:2]] == ["label_knn: 4 trials", "ramer: 4 trials"]
    found = trials_of(journal)
    assert {method: len(trials) for method, trials in found.items()} == {"label_knn": 4, "ramer": 4}
    assert found["label_knn"][0].params == {"k": 10, "combine": "product"}  # as it stands, first
    assert set(found["ramer"][0].params) == {"k", "aggregate", "rerank"}  # kth_score is outside the bounds: kept
    assert all(1 <= trial.params["k"] <= 20 for trials in found.values() for trial in trials)  # the lists' width
    assert call(*arguments)[1] == out  # nothing is left to do
    assert {method: len(trials) for method, trials in trials_of(journal).items()} == {"label_knn": 4, "ramer": 4}


def test_the_same_trials_again_from_the_same_seed(project: Path, tmp_path: Path) -> None:
    tried = []
    for name in ("a", "b"):
        call("tune", "label_knn", "--trials", "5", "--journal", tmp_path / name, "--project", project)
        tried.append([(trial.params, trial.value) for trial in trials_of(tmp_path / name)["label_knn"]])
    assert tried[0] == tried[1]


def test_the_winner_is_written_and_comments_stay(project: Path, tmp_path: Path) -> None:
    from ramer.tuning.written import apply

    apply(project / "params.yaml", {"ramer": {"k": 7, "rerank": "learned"}, "label_knn": {"combine": "vote"}})
    text = (project / "params.yaml").read_text("utf-8")
    assert text == PARAMS.replace("k: 5 #", "k: 7 #").replace(
        "    bimodal: kth_score\n", "    bimodal: kth_score\n    rerank: learned\n"
    ).replace("k: 10}", "k: 10, combine: vote}")
    assert load_config(project / "params.yaml").methods["ramer"]["k"] == 7


def test_only_what_changes_is_another_line_of_this_projects_parameters(tmp_path: Path) -> None:
    from ramer.tuning.written import apply

    before = (ROOT / "params.yaml").read_text("utf-8").splitlines()
    shutil.copy(ROOT / "params.yaml", tmp_path)
    apply(tmp_path / "params.yaml", {"random_neighbours": {"k": 9}})
    after = (tmp_path / "params.yaml").read_text("utf-8").splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [(old.split("#")[0].strip(), new.split("#")[0].strip()) for old, new in changed] == [("k: 5", "k: 9")]


def test_apply_takes_the_best_of_the_journal(project: Path, tmp_path: Path) -> None:
    arguments = ("tune", "label_knn", "--trials", "6", "--journal", tmp_path / "j", "--project", project, "--apply")
    assert call(*arguments)[0] == 0
    best = max(trials_of(tmp_path / "j")["label_knn"], key=lambda trial: (trial.value, -trial.number))
    entry = YAML(typ="safe", pure=True).load((project / "params.yaml").read_text("utf-8"))["methods"]["label_knn"]
    assert {name: entry.get(name, "product") for name in best.params} == best.params
    assert "# another" in (project / "params.yaml").read_text("utf-8")


_HANGING = """
import sys, time
from pathlib import Path
from ramer.tuning import studies
studies.Tuned.score = lambda tuned, tried: (Path(sys.argv[1]).touch(), time.sleep(600))
from ramer.cli import app
app(sys.argv[2:])
"""


def _command(project: Path, journal: Path, trials: int) -> list[str]:
    return ["tune", "label_knn", "--trials", str(trials), "--journal", str(journal), "--project", str(project)]


@pytest.mark.slow
def test_two_processes_share_one_journal_and_a_killed_ones_trial_is_taken_up(project: Path, tmp_path: Path) -> None:
    journal, begun = tmp_path / "shared.journal", tmp_path / "begun"
    command = [*_command(project, journal, 8), "--lost-seconds", "4"]
    with subprocess.Popen([sys.executable, "-c", _HANGING, str(begun), *command], cwd=ROOT) as hanging:
        while not begun.exists():
            assert hanging.poll() is None
            time.sleep(0.05)
        hanging.send_signal(signal.SIGKILL)
    workers = [
        subprocess.Popen([sys.executable, "-m", "ramer", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert told[0] == told[1]
    trials = trials_of(journal)["label_knn"]
    states = [trial.state.name for trial in trials]
    assert (states.count("COMPLETE"), states.count("FAIL"), len(states)) == (8, 1, 9)
    (lost,) = [trial for trial in trials if trial.state.name == "FAIL"]
    (again,) = [trial for trial in trials if trial.user_attrs.get("tries") == 2]
    assert again.params == lost.params == {"k": 10, "combine": "product"}


def test_each_study_is_one_run_with_its_trials_below(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    params = (project / "params.yaml").read_text("utf-8").replace("enabled: false", "enabled: true")
    (project / "params.yaml").write_text(params, "utf-8")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for _ in range(2):  # the second finds it there
        assert call(*_command(project, tmp_path / "j", 3))[0] == 0
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("ramer")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if run.data.tags["ramer.role"] == "study"]
    trials = [run for run in runs if run.data.tags["ramer.role"] == "trial"]
    assert (len(runs), len(parents), len(trials)) == (4, 1, 3)
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parents[0].info.run_id}
    assert {run.info.status for run in runs} == {"FINISHED"}
    best = max(run.data.metrics["validation_selection"] for run in trials)
    assert parents[0].data.metrics["validation_selection"] == best


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 1 << 20) as folder:
        make_read_only(folder)
        yield folder
        make_writable(folder)


def test_a_journal_on_a_read_only_folder_is_one_line(project: Path, read_only: Path) -> None:
    told = refused(*_command(project, read_only / "tune.journal", 2))
    assert str(read_only / "tune.journal") in told
    assert "read-only" in told.lower()


def test_faults_of_the_user_are_one_line_each(project: Path, tmp_path: Path) -> None:
    journal = tmp_path / "j"
    journal.write_text("no journal\n", "utf-8")
    assert refused(*_command(project, journal, 2)).startswith(f"{journal}: not a journal of Optuna")
    named = ("tune", "--journal", tmp_path / "k", "--project", project)
    assert refused(*named, "mine") == "params.yaml: methods.mine: no such method, expected ramer, label_knn, prior"
    assert refused(*named, "prior") == "params.yaml: methods.prior: no option of prior is looked for, leave it out"
    assert refused(*named, "ramer", "ramer") == "METHODS: 'ramer': expected once, named 2 times"
    assert refused(*named, "ramer", "--sampler", "grid") == "sampler: expected tpe or random, got 'grid'"
    assert not (tmp_path / "k").exists()


def test_bounds_of_every_method_hold_its_default() -> None:
    from ramer.config import Among, Searched
    from ramer.methods import available_types, method_class
    from ramer.tuning.spaces import holds

    looked_for = 0
    for kind in available_types():
        for name, field in method_class(kind).Options.model_fields.items():
            for bounds in field.metadata:
                if isinstance(bounds, Searched | Among):
                    looked_for += 1
                    assert holds(bounds, field.default), f"{kind}.{name}"
    assert looked_for > 30


def test_help_needs_no_optuna() -> None:
    code = "import sys, ramer.cli; print([m for m in ('optuna', 'torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


_THREADS = """
import runpy, sys
sys.argv = ["ramer", "tune", "prior", "--project", sys.argv[1]]
try:
    runpy.run_module("ramer", run_name="__main__")
except SystemExit:
    import torch
    print(torch.get_num_threads())
"""


def test_trials_compute_with_the_threads_of_the_pipeline(project: Path) -> None:
    """Weights depend on their number; of a machine's cores torch would take all."""
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    command = [sys.executable, "-c", _THREADS, str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    assert (done.stdout, "no option of prior is looked for" in done.stderr) == ("1\n", True)
