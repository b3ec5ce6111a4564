"""What every stage shares: read params, fix the threads, turn a fault into one clear line."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from ramer.config import load_config
from ramer.credentials import PlainFormatter, without_credentials
from ramer.devices import refusal_of_gpu
from ramer.errors import ConfigError, RamerError, in_one_line, refusal_behind
from ramer.instructions import hold_instructions, hold_threads
from ramer.loading import loading
from ramer.pipeline.committed import with_way_back
from ramer.pipeline.origin import advise
from ramer.project import Project

Stage = Callable[..., None]
_STARTED = time.monotonic()


def run(load: Callable[[], Stage], *, per: Literal["modality", "method"] | None = None) -> None:
    """Run a stage of the project in the current directory; exit 2 with one line per fault.

    Args:
        load: imports the stage, which is called with the parameters, the project and, where it works on one of
            several, its name. What it imports loads once threads and instructions are fixed.
        per: what the one argument of the command line names.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it tells which build it tried, line by line
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of every table of a font that a PDF takes over
    project, arguments = Project(), sys.argv[1:]
    with plain_errors(project):
        with loading():
            config = load_config(project.params)
            hold_instructions(config.runtime.portable)
            hold_threads(config.runtime.threads)
            config.engine.name_cluster(os.environ)
            from ramer.files import sweep
            from ramer.pipeline.durations import keep_seconds

            _check_arguments(arguments, per)
            stage = load()
        for folder in project.holders:
            sweep(folder)
        stage(config, project, *arguments)
        keep_seconds(project, stage.__name__, "".join(arguments), time.monotonic() - _STARTED)


@contextmanager
def plain_errors(project: Project) -> Iterator[None]:
    """End the process with one line per fault and what to do about it: a stage to rerun, a value to set back."""
    try:
        yield
    except RamerError as error:
        lines = advise(error, project)
        for line in with_way_back(lines, project) if isinstance(error, ConfigError) else lines:
            print(f"error: {without_credentials(line)}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        refusal = error if isinstance(error, OSError) else refusal_behind(error)
        told = in_one_line(refusal) if refusal is not None else refusal_of_gpu(error)
        if told is None:
            raise
        print(f"error: {without_credentials(told)}", file=sys.stderr)
        sys.exit(2)


def _check_arguments(arguments: list[str], per: str | None) -> None:
    if len(arguments) != (per is not None):
        raise ConfigError(f"expected {f'one {per}' if per else 'nothing'} as argument, got {len(arguments)}")
    from ramer.modalities import MODALITIES

    if per == "modality" and arguments[0] not in MODALITIES:
        raise ConfigError(f"{arguments[0]}: no such modality, expected one of {', '.join(MODALITIES)}")
