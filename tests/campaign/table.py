"""``python -m tests.campaign.table``: campaigns, one after another, and docs/reliability.md of what became of them."""

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.campaign.attacking import SEED, SHARE, TALLY
from tests.support.closure import ROOT

PAGE = ROOT / "docs" / "reliability.md"
_COUNTS = ("tried", "right", "refused")
_FEWEST = 20_000  # attempts of a whole campaign
_HEAD = """# Reliability
`make campaign` attacks what reads, writes or serves, with random input and at random moments, and writes this page. A
sample of the same attacks is part of `make test`. *Right*: it ended as if nothing had happened, at the latest when it
was run again. *Refused*: it was told in at most 40 lines, and nothing was left half written. *Wrong* is all else: a
traceback, an answer that differs, a file that is neither the old nor the new one, a lost run, a hang.

`make campaign RUNS=3` makes three campaigns with three seeds; `SEED=n` makes the attempts of an earlier one again, and
`SHARE=0.1` a tenth of them. Each attack has a number of attempts and a time after which it begins none.

"""


@dataclass
class Campaign:
    """What one campaign wrote down.

    Attributes:
        attacks: a line for each of them. skipped: what could not be attacked here. broke: tests that did not get to the
            end of their attack.
    """

    seed: str
    minutes: float
    attacks: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    broke: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> list[str]:
        return [f"{line['kind']}: {fault}" for line in self.attacks for fault in line["wrong"]] + self.broke

    def total(self, count: str) -> int:
        return sum(int(line[count]) for line in self.attacks)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign.table", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="campaigns, one after another")
    parser.add_argument("--seed", type=int, default=None, help="of the first one; the same makes the same attempts")
    parser.add_argument("--share", type=float, default=1.0, help="of the attempts of a campaign")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 2), help="attacks at a time")
    arguments = parser.parse_args()
    first = random.randrange(10**6) if arguments.seed is None else arguments.seed
    done: list[Campaign] = []
    for seed in range(first, first + arguments.runs):
        done.append(_campaign(str(seed), arguments.share, arguments.processes))
        PAGE.write_text(_page(done, arguments.share), "utf-8")
        tried = f"{done[-1].total('tried'):,} attempts in {done[-1].minutes:.0f} minutes"
        sys.stdout.write(f"{PAGE.relative_to(ROOT)}: seed {seed}, {tried}, {len(done[-1].wrong)} wrong\n")
    return int(any(campaign.wrong for campaign in done))


def _campaign(seed: str, share: float, processes: int) -> Campaign:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ramer-campaign-") as folder:
        tally = Path(folder, "tally")
        environment = {SHARE: str(share), SEED: seed, TALLY: str(tally)}
        shared = ["-n", str(processes), "--dist", "load", "--maxschedchunk", "1"]
        command = [sys.executable, "-m", "pytest", "-q", "-m", "campaign", *shared, "tests/campaign"]
        code = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}).returncode
        lines = [json.loads(line) for line in tally.read_text("utf-8").splitlines()] if tally.exists() else []
    campaign = Campaign(seed, (time.monotonic() - started) / 60)
    campaign.attacks = [line for line in lines if "kind" in line]
    campaign.skipped = [line["skipped"] for line in lines if "skipped" in line]
    campaign.broke = [line["broke"] for line in lines if "broke" in line]
    if code and not campaign.wrong:
        campaign.broke.append(f"pytest ended with exit code {code}")
    fewest = round(_FEWEST * min(share, 1.0))
    if campaign.total("tried") < fewest:
        campaign.broke.append(f"only {campaign.total('tried'):,} attempts, {fewest:,} were expected")
    return campaign


def _page(campaigns: list[Campaign], share: float) -> str:
    runs = ["| campaign | minutes | tried | right | refused | wrong |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for one in campaigns:
        counts = " | ".join(f"{one.total(count):,}" for count in _COUNTS)
        runs.append(f"| seed {one.seed} | {one.minutes:.0f} | {counts} | {len(one.wrong)} |")
    rows = ["| attacked | tried | right | refused | wrong |", "| --- | ---: | ---: | ---: | ---: |"]
    for kind in sorted({str(line["kind"]) for one in campaigns for line in one.attacks}):
        lines = [line for one in campaigns for line in one.attacks if line["kind"] == kind]
        counts = " | ".join(f"{sum(int(line[count]) for line in lines):,}" for count in _COUNTS)
        rows.append(f"| {kind} | {counts} | {sum(len(line['wrong']) for line in lines)} |")
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}"
    made = f"{machine}; a share of {share:g} of the attempts."
    parts = [_HEAD + "\n".join(runs), "All of them together:\n\n" + "\n".join(rows), made]
    for title, found in (
        ("Fewer attempts than planned, for the time was over", _cut_short(campaigns)),
        ("Not attacked", sorted({line for one in campaigns for line in one.skipped})),
        ("What went wrong", [f"seed {one.seed}: {fault}" for one in campaigns for fault in one.wrong]),
    ):
        if found:
            parts.append(f"{title}:\n" + "\n".join(f"- {line}" for line in found))
    return "\n\n".join(parts) + "\n"


def _cut_short(campaigns: list[Campaign]) -> list[str]:
    lines = ((one.seed, line) for one in campaigns for line in one.attacks)
    return [f"seed {s}: {a['kind']}, {a['tried']} of {a['planned']}" for s, a in lines if a["tried"] < a["planned"]]


if __name__ == "__main__":
    sys.exit(main())
