"""A journal whose last line was cut off, by a full disk or a kill, costs that line alone."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from ramer.errors import ConfigError
from tests.support.commands import call, refused
from tests.support.disks import fill, small_disk
from tests.support.tuned import trials_of

if find_spec("optuna") is None:
    pytest.skip("Optuna is not installed (extra: tune)", allow_module_level=True)


def _tune(project: Path, journal: Path, trials: int) -> tuple[str, ...]:
    return ("tune", "label_knn", "--trials", str(trials), "--journal", str(journal), "--project", str(project))


def test_a_torn_last_line_is_left_out_and_all_else_stays(
    project: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = tmp_path / "j"
    assert call(*_tune(project, journal, 2))[0] == 0
    whole = journal.read_bytes()
    os.truncate(journal, len(whole) - 20)
    left = len(whole) - 20 - (whole[:-20].rfind(b"\n") + 1)
    code, out, _ = call(*_tune(project, journal, 3), "--lost-seconds", "1")
    assert (code, out.split(",")[0]) == (0, "label_knn: 3 trials")
    (told,) = [one.getMessage() for one in caplog.records if "cut off" in one.getMessage()]
    assert told == f"{journal}: the last line was cut off: its {left} bytes are left out"
    kept = [trial for trial in trials_of(journal)["label_knn"] if trial.state.name == "COMPLETE"]
    assert kept[0].params == {"k": 10, "combine": "product"}
    assert len(kept) == 3


def test_a_full_disk_costs_no_trial(project: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        journal = disk / "j"
        assert call(*_tune(project, journal, 1))[0] == 0
        filling = fill(disk, 0)
        assert "No space left" in refused(*_tune(project, journal, 40))
        filling.unlink()
        before = len(trials_of(journal)["label_knn"])
        code, out, _ = call(*_tune(project, journal, before + 1), "--lost-seconds", "1")
        assert (code, out.split(",")[0]) == (0, f"label_knn: {before + 1} trials")


def test_another_worker_goes_on_behind_a_torn_line(tmp_path: Path) -> None:
    from ramer.tuning.trial_journal import open_study

    journal = tmp_path / "j"
    study, _ = open_study(journal, "mine")
    study.enqueue_trial({"k": 1})
    with journal.open("ab") as file:  # one that was killed as it wrote
        file.write(b'{"op_code":4,"worker_id":"x')
    study.enqueue_trial({"k": 2})
    again, _ = open_study(journal, "mine")
    assert [trial.system_attrs["fixed_params"] for trial in again.trials] == [{"k": 1}, {"k": 2}]


def test_a_line_that_is_damaged_meanwhile_is_one_line(tmp_path: Path) -> None:
    from ramer.tuning.trial_journal import ask, of_state, open_study

    journal = tmp_path / "j"
    study, _ = open_study(journal, "mine")
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,{"op_code":4\n')
    for called in (lambda: ask(study, {}, "random", 0), lambda: of_state(study)):
        with pytest.raises(ConfigError, match=f"^{journal}: not a journal of Optuna, or damaged"):
            called()


def test_a_pipe_is_no_journal(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert refused(*_tune(project, path, 2)) == f"{path}: a pipe, device or socket, expected a regular file"


@pytest.mark.parametrize("content", [b"dear diary\n", b"dear diary", b"{}\n"])
def test_what_is_no_journal_stays_as_it_is(project: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    assert refused(*_tune(project, path, 2)).startswith(f"{path}: not a journal of Optuna")
    assert path.read_bytes() == content
