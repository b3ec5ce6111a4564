"""What every stage shares: read params, fix the threads, turn a fault into one clear line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from ramer.config import load_config
from ramer.errors import RamerError
from ramer.seeding import set_threads


def run(main: Callable[..., None], *, needs_item: bool = False, computes: bool = True) -> None:
    """Run a stage: ``main(config)`` or ``main(config, item)``; exit 2 with one line per fault.

    A stage that computes nothing is spared the seconds that importing torch and FAISS takes.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it tells which build it tried, line by line
    arguments = sys.argv[1:]
    if len(arguments) != int(needs_item):
        sys.exit(f"error: expected {'one item' if needs_item else 'no item'} as argument, got {len(arguments)}")
    try:
        config = load_config()
        if computes:
            set_threads(config.runtime.threads)
        main(config, *arguments)
    except RamerError as error:
        for line in error.faults:
            print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
