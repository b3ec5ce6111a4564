"""The comparisons of ``docs/results.md``: every method on every corpus, labelled and with few labels.

    python -m benchmarks.results run --corpora DIR --work DIR [name ...]    # hours; each experiment is a clone in DIR
    python -m benchmarks.results tables                                     # docs/results/*.json into the pages

``run`` clones the committed project once per experiment and keeps what the tables need in
``docs/results/<name>.json``. It calls the functions of the stages in one process, which spares the start of fifty; the
results are those of the experiment's `dvc exp run`, to the byte (``--dvc`` runs that instead).
Corpora: ``ravdess_meld.npz`` and ``mosi.npz``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from benchmarks._method import train_and_score
from ramer import engine
from ramer.config import load_config
from ramer.evaluation.scenarios import AREA
from ramer.modalities import AVERAGE, CONDITIONS, FULL_CONDITION, MODALITIES
from ramer.pipeline.check import check
from ramer.pipeline.dump import dump
from ramer.pipeline.index import index
from ramer.pipeline.prepare import prepare
from ramer.pipeline.pretrain import pretrain
from ramer.pipeline.report import report
from ramer.pipeline.retrieve import retrieve
from ramer.project import Project
from ramer.reporting.markdown import markdown_table
from ramer.reporting.tables import points, signed
from ramer.seeding import set_threads

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "docs" / "results"
TABLES = ROOT / "docs" / "result_tables.md"
BRIEF_PAGES = (ROOT / "docs" / "results.md", ROOT / "README.md")
BRIEF_METHODS = ("oracle", "blend", "late_product", "distil", "zero_fill", "ramer_literal", "ramer", "ramer_shuffled")
PRESET = ROOT / "presets" / "all_methods.txt"


@dataclass(frozen=True)
class Experiment:
    """corpus: file name, None for the synthetic one. settings: beside those of the preset."""

    corpus: str | None
    settings: tuple[str, ...] = ()


def _few(corpus: str | None, labels: int) -> Experiment:
    return Experiment(corpus, (f"prepare.label_budget={labels}", "retrieval.scope=all"))


SLOW = ("mmin", "if_mmin", "distil", "blend", "momke", "modality_dropout", "per_condition")
# Forms of RAMER that hold encoders of their own.
ENCODERS = tuple(
    f"+methods.ramer_{name}.{setting}"
    for name, more in {
        "features": ("retrieve=features",),
        "finetune": ("encoder=finetune",),
        "finetune_rebuilt": ("encoder=finetune", "rebuild_every=5"),
    }.items()
    for setting in ("type=ramer", *more)
)
RAVDESS, MOSI = "ravdess_meld.npz", "mosi.npz"
EXPERIMENTS = {
    "synthetic": Experiment(None),
    "mosi": Experiment(MOSI),
    # With the control of blend: is it two kinds of members that help, or two members?
    "ravdess_meld": Experiment(
        RAVDESS, ("+methods.blend_twice.type=blend", "+methods.blend_twice.members=[distil,distil]")
    ),
    "ravdess_meld_crossfit": Experiment(RAVDESS, ("dump.crossfit=4",)),
    **{f"ravdess_meld_{n}_labels": _few(RAVDESS, n) for n in (100, 200, 400)},
    **{f"mosi_{n}_labels": _few(MOSI, n) for n in (100, 200, 400)},
    **{f"synthetic_{n}_labels": _few(None, n) for n in (100, 200, 400)},
    "ravdess_meld_encoders": Experiment(RAVDESS, ENCODERS),
    "ravdess_meld_six_folds": Experiment(RAVDESS, ("prepare.folds=6",)),
}


def settings(experiment: Experiment, corpora: str) -> list[str]:
    """The arguments of ``dvc exp run``; ``corpora`` is the folder of the packed files."""
    where = [] if experiment.corpus is None else ["corpus.kind=npz", f"corpus.path={corpora}/{experiment.corpus}"]
    return [part for setting in (*where, *experiment.settings) for part in ("-S", setting)]


def command(name: str) -> str:
    """The command of an experiment as a reader would type it."""
    own = " ".join(settings(EXPERIMENTS[name], "CORPORA"))
    return " ".join(part for part in ("dvc exp run", own, f"$(cat presets/{PRESET.name})") if part)


def run(name: str, corpora: Path, work: Path, through_dvc: bool) -> None:
    """Run one experiment in a clone and keep what the tables need."""
    clone = work / name
    if not clone.exists():
        call("git", "clone", "--quiet", str(ROOT), str(clone))
        call("git", "config", "user.name", "benchmark", cwd=clone)
        call("git", "config", "user.email", "benchmark@localhost", cwd=clone)
    given = ["-S", "tracking.enabled=false", *settings(EXPERIMENTS[name], str(corpora.resolve()))]
    given += PRESET.read_text("utf-8").split()
    if through_dvc:
        call("dvc", "exp", "run", *given, cwd=clone)
    else:
        write_params(Project(clone).params, given[1::2])
        call(sys.executable, "-m", "benchmarks.results", "stages", cwd=clone)
    kept = keep(json.loads(Project(clone).summary.read_text("utf-8")))
    kept["commit"] = call("git", "rev-parse", "HEAD", cwd=clone, read=True).strip()
    kept["purity"] = {
        path.parent.name: json.loads(path.read_text("utf-8"))["mean"]["label_purity"]
        for path in sorted(Project(clone).all_neighbours.glob("*/diagnostics.json"))
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{name}.json").write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", "utf-8")


def write_params(path: Path, changes: Sequence[str]) -> None:
    """Set ``key.of.section=value`` (a leading + is allowed) in a params file."""
    editor, values = YAML(), YAML(typ="safe", pure=True)  # the first keeps the order, which is that of the tables
    params = editor.load(path.read_text("utf-8"))
    for change in changes:
        key, value = change.removeprefix("+").split("=", 1)
        *sections, last = key.split(".")
        section = params
        for part in sections:
            section = section.setdefault(part, {})
        section[last] = values.load(value)
    with path.open("w", encoding="utf-8") as file:
        editor.dump(params, file)


def run_stages() -> None:
    """Everything that ``dvc repro`` would run here but tracking; methods side by side, one process each."""
    project = Project()
    config = load_config(project.params)
    set_threads(config.runtime.threads)
    check(config, project)
    prepare(config, project)
    for modality in MODALITIES:
        for stage in (pretrain, dump, index, retrieve):
            stage(config, project, modality)

    names = sorted(config.methods, key=lambda n: str(config.methods[n]["type"]) not in SLOW)  # the slow ones first
    resources = engine.Resources(config.runtime.threads)
    spent = engine.map(partial(train_and_score, config, project), names, resources=resources, description="methods")
    report(config, project)
    for name, seconds in zip(names, spent, strict=True):
        print(f"{name}: {seconds:.0f} s of processor time, training and evaluation of all replicates")


def keep(summary: dict[str, Any]) -> dict[str, Any]:
    """Weighted F1 alone, rounded: what ``markdown_table`` reads, and the imbalanced rates."""
    scenarios = [s for s in summary["scenarios"] if s == AREA or s.startswith("imbalanced_")]
    columns = (*CONDITIONS, AVERAGE, *scenarios)
    methods = {}
    for name, method in summary["methods"].items():
        scores = {c: {"weighted_f1": {k: round(v, 5) for k, v in method[c]["weighted_f1"].items()}} for c in columns}
        methods[name] = {"deployable": method["deployable"], **scores}
    told = [c for c in summary["comparisons"] if c["metric"] == "weighted_f1" and c["condition"] in (AVERAGE, AREA)]
    rounded = [{k: round(v, 5) if isinstance(v, float) else v for k, v in c.items()} for c in told]
    return {"reference": summary["reference"], "scenarios": scenarios, "methods": methods, "comparisons": rounded}


def write_tables() -> None:
    """Put the kept figures between ``<!-- name -->`` and ``<!-- end -->`` of the pages."""
    text = TABLES.read_text("utf-8")
    for name in EXPERIMENTS:
        text = _between(text, name, _section(name), TABLES)
    TABLES.write_text(text, "utf-8")
    for page in BRIEF_PAGES:
        page.write_text(_between(page.read_text("utf-8"), "brief", brief_table(), page), "utf-8")


def _section(name: str) -> str:
    path = KEPT / f"{name}.json"
    text = f"\n```bash\n{command(name)}\n```\n\n"
    if not path.exists():
        return f"{text}*Not run yet.*\n\n"
    kept = json.loads(path.read_text("utf-8"))
    return f"{text}{markdown_table(kept)}\n{purity_line(kept['purity'])}\n"


def _between(text: str, name: str, put: str, page: Path) -> str:
    begin, end = f"<!-- {name} -->\n", "<!-- end -->"
    before, found, rest = text.partition(begin)
    if not found or end not in rest:
        sys.exit(f"error: {page}: expected a place for {name}, {begin.strip()} and {end}")
    return before + begin + put + rest[rest.index(end) :]


def brief_table() -> str:
    """A few methods on the settings that say most, for the pages that sum up."""
    folds, few, mosi = (
        json.loads((KEPT / f"{name}.json").read_text("utf-8"))
        for name in ("ravdess_meld_six_folds", "ravdess_meld_200_labels", "mosi")
    )
    told = {c["method"]: c for c in folds["comparisons"] if c["condition"] == AVERAGE}
    reference = folds["reference"]
    lines = [
        f"| method | `ravdess_meld` avg6 | avt | avg6 against `{reference}` [95 %] | with 200 labels | `mosi` avg6 |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in sorted(BRIEF_METHODS, key=lambda n: -_score(folds, n, AVERAGE)):
        against = "reference"
        if name != reference:
            difference, low, high = (signed(told[name][key]) for key in ("difference", "low", "high"))
            against = f"{difference} [{low}, {high}]"
        scores = [
            points(_score(folds, name, AVERAGE)),
            points(_score(folds, name, FULL_CONDITION)),
            against,
            points(_score(few, name, AVERAGE)),
            points(_score(mosi, name, AVERAGE)),
        ]
        mark = "" if folds["methods"][name]["deployable"] else " †"
        lines.append(f"| `{name}`{mark} | {' | '.join(scores)} |")
    return "\n".join(lines) + "\n"


def _score(kept: dict[str, Any], method: str, condition: str) -> float:
    return float(kept["methods"][method][condition]["weighted_f1"]["mean"])


def purity_line(purity: dict[str, dict[str, float]]) -> str:
    shares = ", ".join(f"{m} {100 * p['train']:.0f} / {100 * p['test']:.0f}" for m, p in purity.items())
    return f"Five nearest neighbours with the query's own label, % of training / test rows: {shares}.\n"


def call(*parts: str, cwd: Path = ROOT, read: bool = False) -> str:
    done = subprocess.run(parts, cwd=cwd, check=False, text=True, stdout=subprocess.PIPE if read else None)
    if done.returncode:
        sys.exit(f"error: {' '.join(parts[:4])} ended with {done.returncode} in {cwd}")
    return done.stdout or ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command")
    runs = commands.add_parser("run")
    runs.add_argument("--corpora", type=Path, required=True)
    runs.add_argument("--work", type=Path, required=True)
    runs.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(EXPERIMENTS)}; none: all")
    runs.add_argument("--dvc", action="store_true", help="run every stage through DVC")
    commands.add_parser("tables")
    commands.add_parser("stages", help="the stages of this folder's params.yaml, in one process")
    given = parser.parse_args()
    if given.command is None:  # as one of `make bench`, which takes minutes and not hours
        return parser.print_help()
    if given.command == "tables":
        return write_tables()
    if given.command == "stages":
        return run_stages()
    unknown = [n for n in given.names if n not in EXPERIMENTS]
    if unknown:
        sys.exit(f"error: {', '.join(unknown)}: expected one of {', '.join(EXPERIMENTS)}")
    given.work.mkdir(parents=True, exist_ok=True)
    for name in given.names or EXPERIMENTS:
        run(name, given.corpora, given.work.resolve(), given.dvc)
    return None


if __name__ == "__main__":
    main()
