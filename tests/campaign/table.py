"""``python -m tests.campaign.table``: all attacks for a while, and docs/reliability.md of what became of them."""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.campaign.attacking import MINUTES, SEED, TALLY
from tests.support.closure import ROOT

PAGE = ROOT / "docs" / "reliability.md"
_HEAD = """# Reliability
`make campaign` attacks what reads, writes or serves, with random input and at random moments, and writes this page. A
sample of the same attacks is part of `make test`. *Right*: it ended as if nothing had happened, at the latest when it
was run again. *Refused*: it was told in a line or a few, and nothing was left half written. *Wrong* is all else: a
traceback, an answer that differs, a file that is neither the old nor the new one, a lost run, a hang.

"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.table", description=__doc__)
    parser.add_argument("--minutes", type=float, default=35.0, help="for all attacks together, about")
    parser.add_argument("--seed", default=str(random.randrange(10**6)), help="the same one makes the same attempts")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ramer-campaign-") as folder:
        tally = Path(folder, "tally")
        environment = {MINUTES: str(arguments.minutes), SEED: arguments.seed, TALLY: str(tally)}
        command = [sys.executable, "-m", "pytest", "-q", "-m", "campaign", "-p", "no:xdist", "tests/campaign"]
        code = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode
        lines = [json.loads(line) for line in tally.read_text("utf-8").splitlines()] if tally.exists() else []
    PAGE.write_text(_page(lines, arguments.seed, (time.monotonic() - started) / 60), "utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)}: {sum(line['tried'] for line in lines)} attempts\n")
    return code


def _page(lines: list[dict[str, Any]], seed: str, minutes: float) -> str:
    rows = ["| attacked | tried | right | refused | wrong |", "| --- | ---: | ---: | ---: | ---: |"]
    for line in sorted(lines, key=lambda line: str(line["kind"])):
        tried, right, refused = (f"{line[key]:,}" for key in ("tried", "right", "refused"))
        rows += [f"| {line['kind']} | {tried} | {right} | {refused} | {len(line['wrong'])} |"]
    total = {key: sum(int(line[key]) for line in lines) for key in ("tried", "right", "refused")}
    wrong = sum(len(line["wrong"]) for line in lines)
    rows.append(f"| all | {total['tried']:,} | {total['right']:,} | {total['refused']:,} | {wrong} |")
    faults = [f"- {line['kind']}: {fault}" for line in lines for fault in line["wrong"]]
    made = f"Seed {seed}, {minutes:.0f} minutes, Python {platform.python_version()}, {os.cpu_count()} cores."
    page = _HEAD + "\n".join(rows) + f"\n\n{made}\n"
    return page + ("\nWhat went wrong:\n" + "\n".join(faults) + "\n" if faults else "")


if __name__ == "__main__":
    sys.exit(main())
