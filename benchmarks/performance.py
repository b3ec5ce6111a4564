"""Run every benchmark at full size, keep what it printed, and write ``docs/performance.md`` from that.

python -m benchmarks.performance                  # all but the whole pipeline at MER2024's size
python -m benchmarks.performance search encoder   # these, beside what was kept of the others
python -m benchmarks.performance preset           # the whole pipeline: 10 minutes (40 on a busy machine), 8 GB of disk
python -m benchmarks.performance startup --before ../before      # what is compared with another checkout
python -m benchmarks.performance --write          # the document alone
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks._claims import CLAIMS, Claim
from benchmarks._run import ROOT, say, told

KEPT = Path(__file__).parent / "measured"
DOCUMENT = ROOT / "docs" / "performance.md"
RUNS = {
    "search": "benchmarks.search --full",
    "encoder": "benchmarks.encoder",
    "training": "benchmarks.training",
    "approximate": "benchmarks.approximate",
    "growth": "benchmarks.growth",
    "corpus": "benchmarks.corpus --clips 20000",
    "predict": "benchmarks.predict --threads 1",
    "pipeline": "benchmarks.pipeline",
    "tracking": "benchmarks.tracking",
    "startup": "benchmarks.startup",
    "sharing": "benchmarks.sharing",
    "serving": "benchmarks.serving",
    "preset": "benchmarks.memory --preset presets/mer2024.txt",
}
COMPARED = {"startup": "ae676df", "sharing": "36d3e72"}  # with a checkout of this commit
LEFT_OUT = ("preset", *COMPARED)  # what is long, and what asks for another checkout
THREADED = ("search", "encoder", "training", "approximate", "growth")
VERDICTS = {True: "met", False: "**missed**", None: "not at this size"}
INTRODUCTION = """# Performance
Written by `make bench` (`python -m benchmarks.performance`) from what the benchmarks print; their JSON is kept in
`benchmarks/measured/`. Ratios compare runs that took turns within one process or script, so that other work on the
machine falls on both sides. Seconds are of this machine and of the load stated beside them.
"""


def run(name: str, threads: int | None = None, before: Path | None = None) -> None:
    """Run a benchmark in a process of its own and keep its JSON with the command and the seconds that it took."""
    command = RUNS[name] + (f" --threads {threads}" if threads and name in THREADED else "")
    compared = before if name in COMPARED else None
    say(f"{name}: python -m {command}")
    start = time.perf_counter()
    arguments = [*command.split(), *(["--before", str(compared)] if compared else [])]
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed")
    result = json.loads(done.stdout) | {
        "command": f"python -m {command}" + (f" --before {told(compared)}" if compared else ""),
        "took_seconds": time.perf_counter() - start,
    }
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps(result, indent=2, sort_keys=True) + "\n", "utf-8")
    say(f"{name}: {result['took_seconds']:.0f} s")


def write_document() -> None:
    kept = {file.stem: json.loads(file.read_text("utf-8")) for file in sorted(KEPT.glob("*.json"))}
    measured = [claim for claim in CLAIMS if claim.run in kept]
    lines = [INTRODUCTION, "## Targets", "| work | target | measured | |", "| --- | --- | --- | --- |"]
    lines += [row(claim, kept[claim.run]) for claim in measured]
    missed = [c for c in measured if c.met is not None and c.met(figures_of(kept[c.run])) is False]
    if missed:
        lines += ["", "## What is missed, and why"]
        lines += [f"**{claim.work}.** {claim.limit(figures_of(kept[claim.run]))}\n" for claim in missed]
    lines += ["", "## Runs", "| run | machine | load | command | seconds |", "| --- | --- | --- | --- | --- |"]
    lines += [run_row(name, result) for name, result in kept.items()]
    lines += details(kept)
    DOCUMENT.write_text("\n".join(lines).rstrip() + "\n", "utf-8")


def figures_of(result: dict[str, Any]) -> dict[str, Any]:
    return {**result["figures"], "settings": result["settings"]}


def row(claim: Claim, result: dict[str, Any]) -> str:
    figures = figures_of(result)
    verdict = VERDICTS[claim.met(figures)] if claim.met else ""
    return f"| {claim.work} | {claim.target} | {claim.measured(figures)} | {verdict} |"


def run_row(name: str, result: dict[str, Any]) -> str:
    machine = result["machine"]
    threads = result["settings"].get("threads")
    used = f", {threads} thread{'s' * (threads != 1)}" if threads else ""
    instructions = ", ".join(machine["instructions"]) or "none of avx2, avx512, amx"
    what = f"{machine['cores']} cores of {machine['processor']} ({instructions}), {machine['memory_gb']} GB{used}"
    return f"| {name} | {what} | {machine['load_average']} | `{result['command']}` | {result['took_seconds']:.0f} |"


def details(kept: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    if "preset" in kept:
        stages = kept["preset"]["figures"]["stages"]
        lines += ["", "## The MER2024-shaped preset, stage by stage"]
        lines += ["Peak anonymous resident memory (`RssAnon`) of the stage's processes, sampled.", ""]
        lines += ["| stage | peak MB | seconds |", "| --- | --- | --- |"]
        lines += [f"| {name} | {s['peak_mb']:.0f} | {s['seconds']:.0f} |" for name, s in stages.items()]
    if "startup" in kept:
        lines += _startup(kept["startup"]["figures"])
    if "sharing" in kept:
        lines += _sharing(kept["sharing"]["figures"])
    if "serving" in kept:
        lines += _serving(kept["serving"]["figures"])
    if "growth" in kept:
        figures = kept["growth"]["figures"]
        lines += ["", "## Growth with the pool"]
        lines += [
            "Processor seconds (peak anonymous MB); the exponent is fitted to the three largest sizes.",
            "",
        ]
        lines += ["| stage | " + " | ".join(f"{size:,} rows" for size in figures["pool_rows"]) + " | exponent |"]
        lines += ["| --- |" + " --- |" * (len(figures["pool_rows"]) + 1)]
        for name, exponent in figures["exponents"].items():
            cells = [
                f"{s:.1f} ({p:.0f})"
                for s, p in zip(figures["cpu_seconds"][name], figures["peak_mb"][name], strict=True)
            ]
            lines.append(f"| {name} | " + " | ".join(cells) + f" | {exponent:.2f} |")
    if "training" in kept:
        shares = kept["training"]["figures"]["shares"]
        said = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
        lines += ["", "## Where an epoch of the head goes", f"Share of the profiled time, callees included: {said}."]
    return [*lines, "", (KEPT / "gpu.md").read_text("utf-8").rstrip()]


def _startup(figures: dict[str, Any]) -> list[str]:
    """Of each stage: interpreter, imports and parameters, before its first line of work."""
    heads = tuple(figures["sum_of_the_default_run"])
    lines = ["", "## Before the first line of work"]
    lines += [
        "Processor seconds of one start, the end of Python included (in brackets: up to the first line of work),",
        f"in turn with a checkout of {COMPARED['startup']}; the last line is the sum over the default run.",
        "",
    ]
    for name, stage in figures["stages"].items():
        taken = {method: one["now"]["processor"] for method, one in stage.get("methods", {}).items()}
        if taken:
            least, most = min(taken, key=taken.__getitem__), max(taken, key=taken.__getitem__)
            told = f"from {taken[least]:.2f} now ({least}) to {taken[most]:.2f} ({most})"
            lines[-1:] = [f"Of {name} it is the mean over the methods, {told}.", ""]
    lines += [f"| stage | starts | {' | '.join(heads)} |", "| --- | --- |" + " --- |" * len(heads)]
    for name, stage in figures["stages"].items():
        cells = [f"{stage[h]['processor']:.2f} ({stage[h]['processor_to_first_line']:.2f})" for h in heads]
        lines.append(f"| {name} | {stage['stages']} | {' | '.join(cells)} |")
    sums = figures["sum_of_the_default_run"]
    starts = sum(stage["stages"] for stage in figures["stages"].values())
    cells = [f"{sums[h]['processor']:.1f} ({sums[h]['processor_to_first_line']:.1f})" for h in heads]
    return [*lines, f"| **all** | {starts} | {' | '.join(cells)} |"]


def _sharing(figures: dict[str, Any]) -> list[str]:
    """Of each stage that shares out its replicates: seconds now, and with forked workers."""
    lines = ["", "## Replicates shared out"]
    lines += [
        "Seconds (in brackets: of processors, with those of other processes) of a stage, in turn with a checkout of",
        f"{COMPARED['sharing']}, whose workers are forked; the sums are {figures['now_to_before']:.2f} to 1.",
        "",
    ]
    lines += ["| stage | before | now |", "| --- | --- | --- |"]
    for name, stage in figures["stages"].items():
        cells = [f"{stage[head]['wall']:.1f} ({stage[head]['processor']:.1f})" for head in ("before", "now")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _serving(figures: dict[str, Any]) -> list[str]:
    """Of each server of a model: what several clients at a time are given."""
    lines = ["", "## Requests to a served model"]
    lines += ["Four clients at a time, a clip a request, on loopback; clients and server share the machine.", ""]
    lines += [
        "| server | requests | a second | median | 99th percentile | refused |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, one in figures.items():
        cells = f"{one['requests']:.0f} | {one['requests_per_second']:.0f} | {one['median_ms']:.1f} ms"
        lines.append(f"| `{name}` | {cells} | {one['p99_ms']:.1f} ms | {one['refused']:.0f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(RUNS)}")
    parser.add_argument("--threads", type=int, help="of those that take it; on a busy machine 1 tells more")
    parser.add_argument("--before", type=Path, help=f"another checkout, for {' and '.join(COMPARED)}")
    parser.add_argument("--write", action="store_true", help="write the document from what was kept")
    options = parser.parse_args()
    unknown = set(options.names) - set(RUNS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; expected {', '.join(RUNS)}")
    if not options.before and "sharing" in options.names:
        parser.error(f"sharing: --before: expected a checkout of {COMPARED['sharing']}")
    if not options.write:
        for name in options.names or [name for name in RUNS if name not in LEFT_OUT]:
            run(name, options.threads, options.before)
    write_document()


if __name__ == "__main__":
    main()
