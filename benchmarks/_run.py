"""What every benchmark shares: one JSON document on stdout that says on which machine its figures were measured."""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def parser(description: str | None, **defaults: int) -> argparse.ArgumentParser:
    """A parser with one integer option per default."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in defaults.items():
        made.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    return made


def machine() -> dict[str, Any]:
    """Cores that this process may use, the processor and its instruction sets, memory in GB."""
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in cpu.splitlines() if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": named.get("model name", "unknown"),
        "instructions": [name for name in INSTRUCTIONS if name in named.get("flags", "").split()],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
    }


def told(path: Path) -> str:
    """A path as a reader may have it: below the project, or a name beside it; where it lay is nobody's business.

    Example:
        >>> told(Path("/somewhere/before"))
        '../before'
    """
    whole = path.resolve()
    return whole.relative_to(ROOT).as_posix() if whole.is_relative_to(ROOT) else f"../{whole.name}"


def report(options: argparse.Namespace, figures: Mapping[str, Any]) -> None:
    """Print the figures with what they were measured with."""
    settings = {name: told(v) if isinstance(v, Path) else v for name, v in vars(options).items()}
    document = {
        "settings": settings,
        "machine": {**machine(), "load_average": round(os.getloadavg()[0], 2)},
        "figures": rounded(figures),
    }
    json.dump(document, sys.stdout, indent=2, sort_keys=True)
    print()


def rounded(value: Any) -> Any:
    """Floats to four significant digits."""
    if isinstance(value, Mapping):
        return {key: rounded(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def best_seconds(
    contenders: Mapping[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Best wall and processor seconds of each over rounds in which all take turns: other work falls on all alike."""
    wall, cpu = dict.fromkeys(contenders, float("inf")), dict.fromkeys(contenders, float("inf"))
    for _ in range(rounds):
        for name, run in contenders.items():
            start, worked = time.perf_counter(), time.process_time()
            run()
            wall[name] = min(wall[name], time.perf_counter() - start)
            cpu[name] = min(cpu[name], time.process_time() - worked)
    return wall, cpu


def shares(profiler: cProfile.Profile, parts: Mapping[str, tuple[str, str]]) -> dict[str, float]:
    """Share of the profiled time that each part takes, its callees included.

    Args:
        parts: the end of the file's path and the function's name.
    """
    stats = pstats.Stats(profiler)
    total = stats.total_tt  # type: ignore[attr-defined]
    found = dict.fromkeys(parts, 0.0)
    for (file, _, function), (_, _, _, cumulative, _) in stats.stats.items():  # type: ignore[attr-defined]
        for part, (where, name) in parts.items():
            if function == name and file.endswith(where):
                found[part] = cumulative / total
    return found


def say(text: str) -> None:
    """A line of progress on stderr: stdout is for the JSON."""
    print(text, file=sys.stderr, flush=True)
