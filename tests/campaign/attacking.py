"""Attempts to break something: a number of them, each with its own seed, and what became of them."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator

# Set by `make campaign`; without it a few attempts of each kind are part of the tests.
SHARE = "RAMER_CAMPAIGN_SHARE"
SEED = "RAMER_CAMPAIGN_SEED"
TALLY = "RAMER_CAMPAIGN_TALLY"
_SHOWN = 5
_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
MOST_LINES, MOST_SAID = 40, 1000  # of a refusal, and characters of a line of it
PATIENCE = 6  # a machine that does other work besides may take so many times as long
# What Python shows to nobody who does not ask for it.
_UNSEEN = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)


class Attack:
    """One kind of attack and its outcomes.

    Attributes:
        kind: what is attacked, in words; a row of the table.
        planned: attempts that are to be made.
        right: attempts that ended as if nothing had happened. refused: those that were told in bounded lines.
        wrong: what else happened, one line each, with the number of the attempt.
    """

    def __init__(self, kind: str, tries: int, sample: int, minutes: float) -> None:
        share = os.environ.get(SHARE)
        self.kind = kind
        self.whole = share is not None
        self.planned = max(sample, round(tries * float(share))) if share else sample
        self.minutes = minutes * max(float(share or 1), 1.0)
        self.seed = os.environ.get(SEED, "0")
        self.tried = self.right = self.refused = 0
        self.wrong: list[str] = []
        self.began = time.monotonic()

    def attempts(self, hangs_s: float = math.inf) -> Iterator[random.Random]:
        """A generator of random numbers for each attempt.

        In a campaign no attempt begins when the minutes of the attack are over: a slow machine makes fewer.

        Args:
            hangs_s: one that takes longer hangs: seconds of this process's own work, or ``PATIENCE`` times as many on
                a clock.
        """
        self.began = time.monotonic()
        while self.tried < self.planned and not self.is_over:
            began, worked = time.monotonic(), time.process_time()
            yield self.next_attempt()
            took, worked = time.monotonic() - began, time.process_time() - worked
            if worked > hangs_s or took > PATIENCE * hangs_s:
                self.went_wrong(f"took {took:.0f} s, {worked:.0f} s of them at work")

    @property
    def is_over(self) -> bool:
        """Whether a campaign has no more time for this attack, of which one attempt at least is made."""
        return self.whole and self.tried > 0 and time.monotonic() - self.began > self.minutes * 60

    def next_attempt(self) -> random.Random:
        self.tried += 1
        return random.Random(f"{self.seed}/{self.kind}/{self.tried}")

    def count(self, outcome: str) -> None:
        """Count ``right``, ``refused``, or what went wrong."""
        if outcome == "right":
            self.right += 1
        elif outcome == "refused":
            self.refused += 1
        else:
            self.went_wrong(outcome)

    def went_wrong(self, what: str) -> None:
        self.wrong.append(f"attempt {self.tried} of seed {self.seed}: {what}")

    def judge(self, what: str, code: int, errors: str, *, whole: bool, done: bool) -> None:
        """Count a process that was to write something, with the odds against it.

        Args:
            what: which, and against what odds. code, errors: what it ended with, and its standard error.
            whole: whether nothing lies there but what was there, or what it writes. done: whether all of that does.
        """
        lines = lines_of(errors)
        faults = [line for line in lines if line.startswith("error: ")]
        bounded = len(faults) <= MOST_LINES and all(len(line) <= 2 * MOST_SAID for line in faults)
        if not whole:
            self.went_wrong(f"{what}: something else lies there: {errors[-300:]}")
        elif code == 0 and done:
            self.right += 1
        elif code == 2 and faults and lines[-1] == faults[-1] and bounded and "Traceback" not in errors:
            self.refused += 1
        else:
            self.went_wrong(f"{what}: exit {code}: {errors[-300:]}")

    def finish(self) -> None:
        """Write the outcome down where a campaign wants it, and fail if anything went wrong."""
        note(
            {
                "kind": self.kind,
                "planned": self.planned,
                "tried": self.tried,
                "right": self.right,
                "refused": self.refused,
                "seconds": round(time.monotonic() - self.began, 1),
                "wrong": self.wrong,
            }
        )
        assert not self.wrong, "\n".join(self.wrong[:_SHOWN])
        assert self.right + self.refused == self.tried


def outcome(call: Callable[[], object], refusals: tuple[type[Exception], ...]) -> str:
    """``right``, ``refused`` or what went wrong: a traceback, a refusal without end, a warning that people see."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        said = _outcome(call, refusals)
    shown = [w for w in warned if not issubclass(w.category, _UNSEEN)]
    return f"a stray warning: {shown[0].message}"[:300] if shown else said


def _outcome(call: Callable[[], object], refusals: tuple[type[Exception], ...]) -> str:
    try:
        call()
    except refusals as error:
        lines = str(error).splitlines()
        longest = max(map(len, lines), default=0)
        bounded = longest and len(lines) <= MOST_LINES and longest <= MOST_SAID
        return "refused" if bounded else f"a refusal of {len(lines)} lines, {longest} characters in the longest"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "right"


def note(line: dict[str, object]) -> None:
    """Add a line to what a campaign writes its page from."""
    if path := os.environ.get(TALLY):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Data with one to eight changes: bits, bytes, pieces taken out, repeated, put in, or the end cut off."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        place = rng.randrange(len(changed) + 1)
        end = min(len(changed), place + rng.choice((1, 2, 4, 16, 200)))
        way = rng.randrange(7)
        if way <= 1 and changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        elif way == 2 and changed:
            changed[rng.randrange(len(changed))] = rng.choice(_INTERESTING)
        elif way == 3:
            del changed[place:end]
        elif way == 4:
            changed[place:place] = changed[place:end] * rng.randrange(1, 4)
        elif way == 5:
            changed[place:place] = rng.randbytes(rng.choice((1, 2, 4, 8, 64)))
        elif rng.random() < 0.3:
            del changed[place:]
    return bytes(changed)


def end(process: subprocess.Popen[str], after: float, rng: random.Random) -> str:
    """Send SIGKILL, SIGTERM or SIGINT after so many seconds; what was said."""
    try:
        return process.communicate(timeout=after)[1]
    except subprocess.TimeoutExpired:
        process.send_signal(rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
        return process.communicate(timeout=300)[1]


def lines_of(errors: str) -> list[str]:
    return [line for line in errors.strip().splitlines() if line.strip()]
