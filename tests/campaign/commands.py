"""Every command that writes, with what it writes: to be ended in the middle, or run where it cannot write."""

from __future__ import annotations

import random
import shutil
import time
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ramer.errors import ModelError
from ramer.serving.exported_model import ExportedModel
from ramer.serving.modelfiles import export_model
from tests.campaign.attacking import Attack
from tests.support.closure import ROOT
from tests.support.contents import contents
from tests.support.media import require_extraction
from tests.support.served_project import rows_of, save_npz
from tests.support.tracked import start


@dataclass
class Command:
    """A command line whose output lies below one folder.

    Attributes:
        arguments: behind ``ramer``.
        writes: folder that holds all that it writes, and what it changes.
        prepare: puts there what is there before; the folder is new and empty.
        at_once: whether its files are all old or all new; each for itself else.
        holds: whether what lies there is whole, where neither says it.
        again: what it says when it has been run already, where that is refused.
    """

    arguments: tuple[str, ...]
    writes: Path
    prepare: Callable[[Path], object]
    at_once: bool = True
    holds: Callable[[Path], bool] | None = None
    again: str = ""
    old: Mapping[str, bytes] = field(default_factory=dict)
    new: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def line(self) -> tuple[str, ...]:
        return ("-m", "ramer.cli", *self.arguments)

    def reset(self) -> None:
        shutil.rmtree(self.writes, ignore_errors=True)
        self.writes.mkdir(parents=True)
        self.prepare(self.writes)

    def found(self) -> dict[str, bytes]:
        return contents(self.writes, ".")

    def is_whole(self) -> bool:
        """Whether nothing lies there but what was there before, or what it writes."""
        if self.holds is not None:
            return self.holds(self.writes)
        found = self.found()
        if self.at_once:
            return found in (self.old, self.new)
        known = {*self.old.items(), *self.new.items()}
        return set(found.items()) <= known and set(self.old) <= set(found)


def commands(served: Path, root: Path) -> dict[str, Command]:
    """By their name; their inputs lie in ``root``, and what they write in folders of their own below it."""
    inputs = root / "inputs"
    inputs.mkdir(parents=True)
    clips = save_npz(inputs / "clips.npz", served, rows_of(served)[:6], ids=np.array([f"new{i}" for i in range(6)]))
    export_model(served, inputs / "rebuilt", "rebuilt")
    export_model(served, inputs / "other", "late_product")
    media = _media(inputs / "media")
    performances = inputs / "ravdess"
    performances.mkdir()
    for actor in range(1, 25):
        (performances / f"01-01-0{1 + actor % 8}-01-01-01-{actor:02}.mp4").touch()

    def copy(name: str, to: str) -> Callable[[Path], object]:
        return lambda folder: shutil.copytree(inputs / name, folder / to)

    def nothing(folder: Path) -> None: ...

    out = {name: root / "written" / name for name in ("export", "add", "predict", "labels", "extract")}
    return {
        "export": Command(
            ("export", f"{out['export']}/model", "--project", str(served), "--method", "rebuilt"),
            out["export"],
            copy("other", "model"),
        ),
        "database add": Command(
            ("database", "add", "--features", str(clips), "--model", f"{out['add']}/model"),
            out["add"],
            copy("rebuilt", "model"),
            holds=_is_model,
            again="is in the database already",
        ),
        "predict": Command(
            ("predict", str(clips), "--model", str(served), "--output", f"{out['predict']}/out.csv"),
            out["predict"],
            lambda folder: (folder / "out.csv").write_text("old", "utf-8"),
        ),
        "labels": Command(
            ("labels", "ravdess", str(performances), *_tables(out["labels"])),
            out["labels"],
            nothing,
            at_once=False,
            again="is there already",
        ),
        "extract": Command(
            ("extract", str(media), str(out["extract"]), "--video", "none", "--text", "none"),
            out["extract"],
            nothing,
            at_once=False,
        ),
    }


def _tables(folder: Path) -> tuple[str, ...]:
    return ("--out", f"{folder}/labels.csv", "--transcripts", f"{folder}/transcripts.csv")


def _is_model(folder: Path) -> bool:
    """Whether every file that the model in ``folder`` names is there and undamaged."""
    try:
        ExportedModel(folder / "model")
    except ModelError:
        return False
    return True


def _media(folder: Path) -> Path:
    folder.mkdir()
    for number in range(40):
        with wave.open(str(folder / f"clip{number:02}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            times = np.arange(16_000) / 16_000
            file.writeframes((8000 * np.sin(2 * np.pi * (200 + 10 * number) * times)).astype("<i2").tobytes())
    return folder


def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def run(command: Command) -> tuple[int, str, float]:
    """Exit code, complaints and seconds of a command that nobody disturbs."""
    started = time.monotonic()
    process = start(command.writes, environment(), *command.line)
    errors = process.communicate(timeout=300)[1]
    return process.returncode, errors, time.monotonic() - started


def undisturbed(command: Command) -> float:
    """Note what the command writes when nobody disturbs it: the seconds it took."""
    command.reset()
    command.old = command.found()
    code, errors, seconds = run(command)
    assert code == 0, errors
    command.new = command.found()
    return seconds


def chosen(one: Attack, served: Path, root: Path) -> dict[str, Command]:
    """All commands in a campaign, two in a sample."""
    require_extraction()
    found = commands(served, root)
    return found if one.whole else {name: found[name] for name in ("export", "predict")}


def attempts_elsewhere(
    one: Attack, served: Path, whole: Path, hostile: Path
) -> Iterator[tuple[random.Random, str, Command]]:
    """For each attempt a command that writes into ``hostile``, and knows what it writes where nobody disturbs it."""
    known = chosen(one, served, whole)
    for command in known.values():
        undisturbed(command)
    there = commands(served, hostile)
    for rng in one.attempts():
        name = rng.choice(sorted(known))
        command = there[name]
        command.old, command.new = known[name].old, known[name].new
        command.reset()
        yield rng, name, command
