"""Studies of Optuna in one journal file, in which any number of processes and machines take part.

Optuna's own heartbeat needs a database. Here a worker counts upwards in its trial, and whoever waits for it sees
whether the count still moves: clocks of several machines need not agree.
"""

from __future__ import annotations

import contextlib
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from ramer.config import Among, Searched
from ramer.errors import ConfigError
from ramer.opening import open_regular
from ramer.seeding import generator
from ramer.tuning.journal_file import JournalFile
from ramer.tuning.spaces import Space

SAMPLERS = ("tpe", "random")
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
_BEAT, _TRIES = "beat", "tries"
MOST_TRIES = 3  # of one set of options whose worker is killed

optuna.logging.set_verbosity(optuna.logging.ERROR)


def open_study(journal: Path, name: str) -> tuple[optuna.Study, FileLock]:
    """A study of a journal, made where it is not there, and the lock under which trials are given out.

    Raises:
        ConfigError: the file is no journal of Optuna, or a line of it is damaged; a last one that is cut off is left
            out with a warning.
        OSError: it cannot be read or written.
    """
    journal.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError), open_regular(journal):  # a pipe would be waited for
        pass
    with journal.open("a"):  # says what is wrong with the file itself
        pass
    lock = FileLock(journal.with_name(f".{journal.name}.turn"))
    try:
        with lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Optuna's remarks on what may change in it
            storage = JournalStorage(JournalFile(journal))
            study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    except (ValueError, KeyError, AssertionError, TypeError) as error:
        raise ConfigError(f"{journal}: not a journal of Optuna ({type(error).__name__}: {error})") from None
    return study, lock


def distributions(space: Space, present: dict[str, object]) -> dict[str, BaseDistribution]:
    """Of every option, by its bounds; whole numbers where the present value is one."""
    found: dict[str, BaseDistribution] = {}
    for name, bounds in space.items():
        match bounds:
            case Among(values):
                found[name] = CategoricalDistribution(values)
            case Searched(low, high, log) if type(present[name]) is int:
                found[name] = IntDistribution(round(low), round(high), log=log)
            case Searched(low, high, log):
                found[name] = FloatDistribution(low, high, log=log)
    return found


def ask(study: optuna.Study, wanted: dict[str, BaseDistribution], sampler: str, seed: int) -> Trial:
    """The next trial; to be called under the lock, so that what it tries depends on those before it alone."""
    number = len(study.trials)
    drawn = int(generator(seed, "tune", number).integers(2**31))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.sampler = TPESampler(seed=drawn, constant_liar=True) if sampler == "tpe" else RandomSampler(seed=drawn)
        return study.ask(fixed_distributions=wanted)


def of_state(study: optuna.Study, *states: TrialState) -> list[FrozenTrial]:
    """The study's trials in these states."""
    return study.get_trials(deepcopy=False, states=states)


@contextlib.contextmanager
def beating(trial: Trial, every: float) -> Iterator[None]:
    """Count upwards in a trial every so many seconds while the body runs."""
    over = threading.Event()

    def beat() -> None:
        count = 0
        while not over.wait(every):
            count += 1
            try:
                trial.set_user_attr(_BEAT, count)
            except Exception:  # somebody took the trial for lost, or the disk is full: the body's end will tell
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class Watch:
    """Tells trials whose worker no longer counts.

    Args:
        patience: seconds without a sign.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._seen: dict[int, tuple[object, float]] = {}

    def lost(self, running: list[FrozenTrial]) -> list[FrozenTrial]:
        """Those of the running trials that have not moved for too long."""
        now, found = time.monotonic(), []
        for trial in running:
            count = trial.user_attrs.get(_BEAT, 0)
            before = self._seen.get(trial.number)
            if before is None or before[0] != count:
                self._seen[trial.number] = count, now
            elif now - before[1] > self._patience:
                found.append(trial)
        return found


def take_up_again(study: optuna.Study, number: int) -> bool:
    """Give a trial's options to whoever asks next; False where their workers were lost too often.

    To be called under the lock.
    """
    trial = study.trials[number]
    tries = int(trial.user_attrs.get(_TRIES, 1))
    study.tell(number, state=TrialState.FAIL)
    if tries >= MOST_TRIES:
        return False
    study.enqueue_trial(trial.params, user_attrs={_TRIES: tries + 1})
    return True
