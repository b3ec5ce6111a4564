"""A study: so many trials of one method's options, each fitted on every replicate and scored on validation rows."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import BaseFileLock
from optuna.trial import FrozenTrial, Trial, TrialState

from ramer.config import Retrieval, Runtime, Training
from ramer.errors import ConfigError, DivergedError, RamerError, RetrievalError
from ramer.files import json_text
from ramer.methods import MethodOptions, method_class, method_options
from ramer.methods.shared.fitting import validation_scores
from ramer.tracking.study_runs import Study, Tried
from ramer.training.workspace import Workspace
from ramer.tuning import trial_journal
from ramer.tuning.spaces import Space, Value, current, short, space_of

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5  # between two looks at what others are doing
_BEATS = 5  # in the time after which a worker counts as lost


@dataclass(frozen=True)
class Search:
    """How a study is made; the same for every method that is compared.

    Attributes:
        journal: file that all who take part share.
        trials: of every study, whoever makes them.
        sampler: tpe or random.
        seed: of the sampler.
        lost_seconds: without a sign after which a worker counts as killed.
    """

    journal: Path
    trials: int
    sampler: str = "tpe"
    seed: int = 0
    lost_seconds: float = 120.0


class Tuned:
    """One entry under ``methods`` and what is looked for in it.

    Attributes:
        name: of the entry.
        space: of its options.
        digest: of all that decides a trial's score beside the options that are tried; of what the method reads, its
            content.

    Raises:
        ConfigError: no such entry, or none of its options has bounds.
    """

    def __init__(
        self,
        name: str,
        methods: dict[str, dict[str, Any]],
        workspace: Workspace,
        *,
        retrieval: Retrieval,
        train: Training,
        runtime: Runtime,
    ) -> None:
        self.name, self._workspace, self._train, self._runtime = name, workspace, train, runtime
        if name not in methods:
            raise ConfigError(f"params.yaml: methods.{name}: no such method, expected {', '.join(methods)}")
        self._entry = methods[name]
        options = method_options(name, self._entry)
        self.present = current(options)
        self.space: Space = space_of(options, retrieval.width)
        if not self.space:
            raise ConfigError(f"params.yaml: methods.{name}: no option of {options.type} is looked for, leave it out")
        made_of = {
            "options": options.model_dump(mode="json"),
            "space": {option: repr(bounds) for option, bounds in self.space.items()},
            "train": train.model_dump(mode="json"),
            "inputs": workspace.contents_of(method_class(options.type).inputs_of(options)),
        }
        self.digest = hashlib.sha256(json_text(made_of).encode()).hexdigest()

    def short(self, drawn: dict[str, Value]) -> dict[str, Value]:
        """A trial's options as they are tried: what a sampler drew has few digits, what stands has all of its own."""
        return short(drawn, self.present)

    def options(self, tried: dict[str, Value]) -> MethodOptions:
        """The entry's options with those that are tried.

        Raises:
            ConfigError: they do not go together.
        """
        return method_options(self.name, self._entry | tried)

    def score(self, tried: dict[str, Value]) -> float:
        """Selection on validation rows, mean over the replicates.

        Raises:
            ConfigError, RetrievalError: the options do not go together, or not with the lists.
            DivergedError: they lead to numbers that are not finite.
        """
        scores = validation_scores(self.name, self.options(tried), self._workspace, self._train, self._runtime)
        return sum(scores) / len(scores)


def run_study(tuned: Tuned, search: Search) -> Study:
    """Make the trials that nobody else makes, wait for the others', and return all.

    The options as they stand are the first trial, so that the best is never worse than they are.

    Raises:
        ConfigError: the journal is none.
        OSError: the journal cannot be written.
        RamerError: a trial failed.
    """
    study, lock = trial_journal.open_study(
        search.journal, f"{tuned.name}-{search.sampler}{search.seed}-{tuned.digest[:16]}"
    )
    wanted = trial_journal.distributions(tuned.space, tuned.present)
    with lock:
        if not study.trials:
            study.enqueue_trial({name: tuned.present[name] for name in wanted})
    watch = trial_journal.Watch(search.lost_seconds)
    while True:
        with lock:
            trial = None
            if len(trial_journal.of_state(study, *trial_journal.COUNTED)) < search.trials:
                trial = trial_journal.ask(study, wanted, search.sampler, search.seed)
            else:
                running = trial_journal.of_state(study, TrialState.RUNNING)
                for lost in watch.lost(running):
                    _take_up(tuned, study, lost.number)
                if not running:
                    break
        if trial is None:
            time.sleep(_LOOK_SECONDS)
        else:
            _make(tuned, study, lock, trial, search.lost_seconds / _BEATS)
    return Study(tuned.name, tuned.digest, search.sampler, search.seed, _tried(tuned, study, search.trials))


def _make(tuned: Tuned, study: optuna.Study, lock: BaseFileLock, trial: Trial, every: float) -> None:
    """Fit and score a trial, and say so in the journal; one that is broken off goes to whoever asks next."""
    tried, score = tuned.short(trial.params), None
    log.info("%s: trial %d: %s", tuned.name, trial.number, tried)
    try:
        with trial_journal.beating(trial, every):
            score = _scored(tuned.score, tried)
    except BaseException as error:
        with lock:
            if isinstance(error, Exception):
                study.tell(trial, state=TrialState.FAIL)
            else:  # interrupted: no fault of the options
                trial_journal.take_up_again(study, trial.number)
        raise
    with lock:
        if study.trials[trial.number].state != TrialState.RUNNING:
            log.warning("%s: trial %d was taken for lost, and is made again", tuned.name, trial.number)
        elif score is None:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, score)


def _scored(score: Callable[[dict[str, Value]], float], tried: dict[str, Value]) -> float | None:
    """None where the options do not go together, or lead nowhere."""
    try:
        return score(tried)
    except (ConfigError, DivergedError, RetrievalError) as error:
        log.info("left out: %s", error.faults[0])
        return None


def _take_up(tuned: Tuned, study: optuna.Study, number: int) -> None:
    log.warning("%s: the worker of trial %d gives no sign, its options are tried again", tuned.name, number)
    if not trial_journal.take_up_again(study, number):
        tried = tuned.short(study.trials[number].params)
        raise RamerError(
            f"methods.{tuned.name}: {tried}: their worker was lost {trial_journal.MOST_TRIES} times (memory?)"
        )


def _tried(tuned: Tuned, study: optuna.Study, most: int) -> tuple[Tried, ...]:
    ended = trial_journal.of_state(study, TrialState.COMPLETE, TrialState.PRUNED)[:most]
    return tuple(Tried(one.number, tuned.short(one.params), _value(one)) for one in ended)


def _value(trial: FrozenTrial) -> float | None:
    return trial.value if trial.state == TrialState.COMPLETE else None
