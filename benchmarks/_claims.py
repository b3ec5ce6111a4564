"""What is claimed, which figure says so, and what the limit is where a target is missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

Figures = dict[str, Any]


def _nothing(figures: Figures) -> str:
    return ""


@dataclass(frozen=True)
class Claim:
    """A row of the table.

    run: the benchmark. measured: its figures (and ``settings``) in words. met: whether they reach the target, None
    without one; it gives None where the run was smaller than the target's. limit: why not, where they do not.
    """

    work: str
    target: str
    run: str
    measured: Callable[[Figures], str]
    met: Callable[[Figures], bool | None] | None = None
    limit: Callable[[Figures], str] = _nothing


def _ivf(f: Figures) -> Figures:
    kinds: Figures = f["kinds"]
    return max(kinds.values(), key=lambda k: k["times_exact"])


def _milliseconds_a_stage(f: Figures) -> float:
    seconds = f["median_seconds"]
    return 1000 * (seconds["grown"] - seconds["empty"]) / f["stages"]["grown"]


def _slowest_clip(f: Figures, clock: str = "") -> float:
    return max(f[f"one_clip_{clock}ms"].values())


def _stacking_gain(f: Figures) -> float:
    quick, plain = f["one_clip_cpu_ms"], f["one_clip_per_replicate_cpu_ms"]
    return float(median(plain[condition] / quick[condition] for condition in quick))


def _clip_limit(f: Figures) -> str:
    profile = ", ".join(f"{name} {100 * share:.0f} %" for name, share in f["shares"].items())
    return (
        f"An answer is the mean of {f['replicates']} replicates, each with encoders, database and head of its own. "
        f"Under {f['slowest']}, the slowest condition, the time goes to: {profile} (profiled, callees included), "
        "spread over more than a thousand calls of a few microseconds each; of the search most is reading all keys "
        "once, at the speed of memory."
    )


def _preset_peak(f: Figures) -> str:
    stage = max((n for n in f["stages"] if n != "dvc"), key=lambda n: f["stages"][n]["peak_mb"])
    return f"{f['peak_mb'] / 1000:.2f} GB ({stage}); the whole run {f['seconds'] / 60:.0f} minutes"


CLAIMS = (
    Claim(
        "every stage of the MER2024-shaped preset (5,030 + 115,595 rows, 1024/768/5120)",
        "RssAnon below 1.5 GB",
        "preset",
        _preset_peak,
        lambda f: f["peak_mb"] < 1500,
    ),
    Claim(
        "exact top-5 of 5,030 queries in 115,595 x 256, own speaker excluded",
        "at most 1.5 x the blocked product",
        "search",
        lambda f: f"{f['search_over_product']:.2f} x ({f['cpu_search_over_product']:.2f} x in processor time)",
        lambda f: f["search_over_product"] <= 1.5,
    ),
    Claim(
        "the same against one search per sample",
        "at least 8 x faster",
        "search",
        lambda f: f"{f['loop_over_search']:.1f} x",
        lambda f: f["loop_over_search"] >= 8,
        lambda f: (
            "The loop reads all keys once per query at the memory's speed; ours multiplies at "
            f"{f['search_over_product']:.2f} x the blocked product's time, which is the limit."
        ),
    ),
    Claim(
        "the same against FAISS' flat index in one call (top 5 only: no exclusion, no second scoring)",
        "",
        "search",
        lambda f: f"{f['faiss_over_search']:.2f} x as fast",
    ),
    Claim(
        "an epoch of missing-modality training, frozen encoders, 5,030 rows, all conditions",
        "at least 100 x faster than with per-sample retrieval",
        "training",
        lambda f: (
            f"{f['plain_over_ours']:.0f} x ({f['epoch_seconds']:.2f} s against {f['plain_epoch_seconds']:.0f} s); "
            f"{f['plain_over_ours_60_epochs_all_in']:.0f} x over 60 epochs with everything done once included"
        ),
        lambda f: f["plain_over_ours"] >= 100,
    ),
    Claim(
        "training step of the 5120-wide two-layer encoder, batch 64, float32",
        "at least 1.8 x faster than stock modules with stock Adam",
        "encoder",
        lambda f: f"{f['train_step']['ratio_wall']:.2f} x ({f['train_step']['ratio_cpu']:.2f} x in processor time)",
        lambda f: f["train_step"]["ratio_wall"] >= 1.8,
    ),
    Claim(
        "dumping 20,000 rows at 5120",
        "at least 1.4 x faster than stock",
        "encoder",
        lambda f: (
            f"{f['settings']['rows']:,} rows, {f['settings']['repeats']} repeat: {f['dump']['ratio_wall']:.2f} x "
            f"({f['dump']['ratio_cpu']:.2f} x in processor time)"
        ),
        lambda f: f["dump"]["ratio_wall"] >= 1.4 if f["settings"]["rows"] >= 20_000 else None,
        lambda f: (
            "In processor time, which other work on the machine disturbs less, the ratio is "
            f"{f['dump']['ratio_cpu']:.2f}."
        ),
    ),
    Claim(
        "approximate search in 10^6 states of the synthetic preset x 256",
        "recall@5 at least 0.95 at 20 x the exact throughput",
        "approximate",
        lambda f: (
            f"in {f['settings']['rows']:,}: recall@5 {_ivf(f)['recall_at_5']:.3f} at {_ivf(f)['times_exact']:.0f} x "
            f"({_ivf(f)['cpu_times_exact']:.0f} x in processor time), "
            f"{_ivf(f)['queries_per_second']:.0f} queries a second"
        ),
        lambda f: (
            None
            if f["settings"]["rows"] < 1_000_000
            else _ivf(f)["recall_at_5"] >= 0.95 and _ivf(f)["times_exact"] >= 20
        ),
        lambda f: (
            f"Exact search answers {f['exact_queries_per_second']:.0f} queries a second, since it is a matrix "
            "product; the inverted lists that have to be visited hold too many keys to be 20 x as fast as that."
        ),
    ),
    Claim(
        "growth of dump, index and retrieve from 10^4 to 10^6 pool rows (1,000 fixed queries)",
        "linear",
        "growth",
        lambda f: "exponents " + ", ".join(f"{n} {f['exponents'][n]:.2f}" for n in ("dump", "index", "retrieve")),
        lambda f: all(f["exponents"][n] <= 1.1 for n in ("dump", "index", "retrieve")),
        lambda f: (
            "Seconds by size are in the table below; a stage whose constant part is small shows more of the "
            "disk's writing at the largest size."
        ),
    ),
    Claim(
        "reading a MERBench folder of 345,000 files (1024/768/5120)",
        "parallel, resumable",
        "corpus",
        lambda f: (
            f"{f['files_per_second']:.0f} files a second, {f['extrapolated_seconds'] / 60:.1f} minutes by proportion "
            f"from {f['files']:,} files; a run killed half-way was finished in {f['resumed_seconds']:.1f} s, one at a "
            f"go took {f['seconds']:.1f} s; {f['peak_mb']:.0f} MB"
        ),
    ),
    Claim(
        "`ramer predict` of one clip, warm process, 10^4-row database",
        "5 ms",
        "predict",
        lambda f: (
            f"{median(f['one_clip_ms'].values()):.1f} ms under the median condition, {_slowest_clip(f):.1f} ms under "
            f"the slowest; {_slowest_clip(f, 'one_replicate_'):.1f} ms by one replicate instead of {f['replicates']}"
        ),
        lambda f: _slowest_clip(f) <= 5,
        _clip_limit,
    ),
    Claim(
        "one clip in all replicates at once, against one replicate after the other",
        "2 x",
        "predict",
        lambda f: f"{_stacking_gain(f):.1f} x in processor time, the median over the seven conditions",
        lambda f: _stacking_gain(f) >= 2,
        lambda f: "A way that does not pay twice goes.",
    ),
    Claim(
        "a batch of 1,000 clips, seven conditions mixed, the same database",
        "0.5 s",
        "predict",
        lambda f: f"{f['batch']['batch_s']:.2f} s, {f['batch']['loop_to_batch']:.0f} x as fast as one by one",
        lambda f: f["batch"]["batch_s"] <= 0.5,
        lambda f: "Three replicates' exact searches and encoders; see the profile of one clip.",
    ),
    Claim(
        "`ramer --help`",
        "0.5 s",
        "pipeline",
        lambda f: f"{f['median_seconds']['ramer_help']:.2f} s (best {f['best_seconds']['ramer_help']:.2f} s)",
        lambda f: f["median_seconds"]["ramer_help"] <= 0.5,
    ),
    Claim(
        "`dvc repro` with nothing to do at 50 stages",
        "3 s",
        "pipeline",
        lambda f: (
            f"{f['median_seconds']['grown']:.1f} s at {f['stages']['grown']} stages, "
            f"{f['median_seconds']['default']:.1f} s at {f['stages']['default']}; an empty DVC project "
            f"{f['median_seconds']['empty']:.1f} s"
        ),
        lambda f: f["median_seconds"]["grown"] <= 3,
        lambda f: (
            f"{f['median_seconds']['empty']:.1f} s of it an empty project takes too (importing DVC, its "
            f"configuration and locks); the rest, {_milliseconds_a_stage(f):.0f} ms a stage, is DVC's reading of "
            "params.yaml once per stage and its look at every dependency."
        ),
    ),
    Claim(
        "`dvc repro` with nothing to do at the default 32 stages",
        "2 s",
        "pipeline",
        lambda f: f"{f['median_seconds']['default']:.1f} s (best {f['best_seconds']['default']:.1f} s)",
        lambda f: f["median_seconds"]["default"] <= 2,
        lambda f: "As at 50 stages: what DVC does once, and once per stage; none of this code runs.",
    ),
    Claim(
        "stage `track`, eight methods, store that exists",
        "6 s",
        "tracking",
        lambda f: (
            f"{f['seconds']['track']:.1f} s, {f['seconds']['track_registering']:.1f} s with a model registered; "
            f"bare `import mlflow` {f['seconds']['import']:.1f} s, with first "
            f"contact {f['seconds']['contact_known_store']:.1f} s "
            f"(a new store {f['seconds']['contact_new_store']:.1f} s)"
        ),
        lambda f: f["seconds"]["track_registering"] <= 6,
        lambda f: (
            "Most of it is loading MLflow and SQLAlchemy, and one search of all installed packages for the model's "
            "requirements, which `mlflow.pyfunc.save_model` makes."
        ),
    ),
)
