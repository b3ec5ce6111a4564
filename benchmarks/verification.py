"""What comparing a model with its digests costs when it is loaded.

Prints JSON: milliseconds and MB of the project's model as it is here (or of the exported one that ``--model`` names),
the best of several rounds with files that the system has in memory, how long the whole loading takes with and
without it, and the seconds of one file of ``--megabytes``.

    python -m benchmarks.verification [--model .] [--megabytes 1000]
"""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from benchmarks._run import parser, report
from ramer import digests
from ramer.serving.modelfiles import find_model
from ramer.serving.predictor import Predictor

BLOCK = 1 << 20


def best(run: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of several rounds."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def compared(model: Path) -> tuple[int, int]:
    """Files that are compared when a model is found, and their bytes."""
    with mock.patch.object(digests, "digest_file", wraps=digests.digest_file) as counted:
        find_model(model)
    sizes = [Path(call.args[0]).stat().st_size for call in counted.call_args_list]
    return len(sizes), sum(sizes)


def large_file(megabytes: int, folder: Path, rounds: int) -> float:
    """Seconds that one large file takes."""
    path = folder / "large"
    with path.open("wb") as file:
        for _ in range(megabytes * 1_000_000 // BLOCK):
            file.write(os.urandom(BLOCK))
    known = digests.digest_files(folder, [path])
    return best(lambda: digests.check_files(folder, known, folder / "model.json"), rounds)


def main() -> None:
    made = parser(__doc__, megabytes=1000, rounds=5)
    made.add_argument("--model", type=Path, default=Path())
    options = made.parse_args()
    files, size = compared(options.model)
    found, loaded = {}, {}
    for verify in (True, False):
        found[verify] = best(functools.partial(find_model, options.model, verify=verify), options.rounds)
        loaded[verify] = best(functools.partial(Predictor.load, options.model, verify=verify), options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        large = large_file(options.megabytes, Path(folder), options.rounds)
    report(
        options,
        {
            "files": files,
            "megabytes": size / 1e6,
            "verification_ms": 1000 * (found[True] - found[False]),
            "load_ms": 1000 * loaded[True],
            "load_unverified_ms": 1000 * loaded[False],
            "large_file_s": large,
        },
    )


if __name__ == "__main__":
    main()
