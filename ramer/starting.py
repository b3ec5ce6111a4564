"""How a process begins and ends: what is printed can be printed, and Ctrl+C or a full disk costs a line."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

from ramer.errors import RamerError, in_one_line

INTERRUPTED = 130  # as shells say it of a process that Ctrl+C has ended


def start() -> None:
    """For the entry of a program, before it loads anything that takes time.

    From then on Ctrl+C ends it with a line, and what standard output cannot encode is escaped.
    """
    sys.excepthook = _say_interrupted
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would get what is meant for the terminal
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:  # print would take standard output
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (as long as the process)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def run_program(program: Callable[[], object]) -> NoReturn:
    """Run a program and leave with its exit code; with 2 and a line where its last words cannot be written."""
    code: str | int | None = 0
    try:
        try:
            program()
        except SystemExit as end:
            code = end.code
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would try again as it leaves
        if not code and not isinstance(error, BrokenPipeError):  # whoever reads may have enough
            sys.stderr.write(f"error: standard output: {in_one_line(error)}\n")
            code = 2
    sys.exit(code)


def check_printing() -> None:
    """For a command that prints its result.

    Raises:
        RamerError: standard output is closed.
    """
    if sys.stdout is None:
        raise RamerError("standard output is closed, expected it open: the result is printed there")


def check_place() -> None:
    """For a command that works on files, whose libraries end the process where there is no current folder.

    Raises:
        RamerError: it was removed.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise RamerError("the current folder is gone; change to one that is there") from None


def _say_interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # again Ctrl+C ends what is done on leaving, without a word
    sys.stderr.write("interrupted\n")
    sys.exit(INTERRUPTED)
