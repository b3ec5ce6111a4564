"""The comparisons of ``docs/results.md``: every method in every regime, with all labels and with few.

    python -m benchmarks.results run --corpora DIR --work DIR             # the main regimes; hours
    python -m benchmarks.results run --corpora DIR --work DIR mosi --methods ramer,zero_fill
    python -m benchmarks.results tables                                   # docs/results/*.json into the pages

``run`` clones the committed project once per regime into ``--work`` and keeps what the tables need in
``docs/results/<name>.json``. A regime that is kept with these parameters is not run again (``--again`` runs it), and
one that was killed goes on: in its clone shared stages and methods that are done stay. ``--methods`` runs some of
them; the table holds all that were run in that clone. It calls the functions of the stages in one process, which
spares the start of fifty; the results are those of the regime's `dvc exp run`, to the byte (``--dvc`` runs that
instead).
Corpora: ``ravdess_meld.npz`` and ``mosi.npz``. Processor time of a regime on two cores: see ``seconds`` in what is
kept.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks._kept import KEPT, keep, write_kept
from benchmarks._method import SHARED, mark, marked, train_and_score_once
from benchmarks._regimes import MAIN, PRESET, REGIMES
from benchmarks._run import ROOT
from benchmarks._tables import write_tables
from ramer import engine
from ramer.config import Config, load_config
from ramer.modalities import MODALITIES
from ramer.pipeline.check import check
from ramer.pipeline.dump import dump
from ramer.pipeline.index import index
from ramer.pipeline.prepare import prepare
from ramer.pipeline.pretrain import pretrain
from ramer.pipeline.report import report
from ramer.pipeline.retrieve import retrieve
from ramer.project import Project
from ramer.seeding import set_threads

SLOW = (
    "ramer_plus",
    "retrieval_distil",
    "taught_product",
    "discriminant",
    "mmin",
    "if_mmin",
    "distil",
    "blend",
    "momke",
    "modality_dropout",
    "per_condition",
    "simmlm",
    "primd",
    "icl_ca",
)


def changes_of(name: str, corpora: str) -> list[str]:
    """All that a regime changes in ``params.yaml``, the methods of the preset too."""
    preset = PRESET.read_text("utf-8").split()[1::2]
    return ["tracking.enabled=false", *REGIMES[name].changes(corpora), *preset]


def recipe_of(name: str) -> str:
    """Digest of all parameters of a regime, wherever its corpora lie."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy(Project(ROOT).params, folder))
        write_params(path, changes_of(name, "CORPORA"))
        params = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()


def run(name: str, corpora: Path, work: Path, methods: Collection[str], *, again: bool, through_dvc: bool) -> None:
    """Run one regime in a clone and keep what the tables need, unless that is kept already."""
    path, recipe = KEPT / f"{name}.json", recipe_of(name)
    before = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if not again and before.get("recipe") == recipe and set(methods or before["wanted"]) <= set(before["methods"]):
        print(f"{name}: kept, made with {before['commit'][:7]}; --again runs it anew")
        return
    commit = call("git", "rev-parse", "HEAD", read=True).strip()
    clone = clone_at(commit, work / name, again)
    changes = changes_of(name, str(corpora.resolve()))
    if through_dvc:
        call("dvc", "exp", "run", *(part for change in changes for part in ("-S", change)), cwd=clone)
    else:
        write_params(Project(clone).params, changes)
    chosen = ("--methods", ",".join(methods)) if methods else ()
    call(sys.executable, "-m", "benchmarks.results", "stages", *chosen, *(["--ran"] if through_dvc else []), cwd=clone)
    kept = json.loads((clone / "kept.json").read_text("utf-8"))
    write_kept(path, kept | {"commit": commit, "recipe": recipe})


def clone_at(commit: str, clone: Path, again: bool) -> Path:
    """The regime's clone of the committed project; one of another commit, or to be run again, is made anew."""
    if clone.exists() and (again or call("git", "rev-parse", "HEAD", cwd=clone, read=True).strip() != commit):
        shutil.rmtree(clone)
    if not clone.exists():
        call("git", "clone", "--quiet", str(ROOT), str(clone))
        call("git", "config", "user.name", "benchmark", cwd=clone)
        call("git", "config", "user.email", "benchmark@localhost", cwd=clone)
    call("git", "checkout", "--quiet", "--", "params.yaml", cwd=clone)
    return clone


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


def run_stages(methods: Collection[str], ran: bool) -> None:
    """Everything that ``dvc repro`` would run here but tracking; methods side by side, one process each.

    Args:
        methods: to run; none: all.
        ran: everything was run by DVC: only report what is there.
    """
    project = Project()
    config = load_config(project.params)
    unknown = [name for name in methods if name not in config.methods]
    if unknown:
        sys.exit(f"error: --methods: {', '.join(unknown)}: expected some of {', '.join(config.methods)}")
    set_threads(config.runtime.threads)
    spent = {} if ran else run_methods(config, project, list(methods or config.methods))
    done = [name for name in config.methods if ran or marked(config, project, name) is not None]
    shown = config.model_copy(update={"methods": {name: config.methods[name] for name in done}})
    report(shown, project)
    write_kept(
        project.root / "kept.json",
        keep(project, shown) | {"seconds": spent, "wanted": list(methods or config.methods)},
    )


def run_methods(config: Config, project: Project, names: list[str]) -> dict[str, float]:
    """Run what is not done yet; seconds of processor time per method and of the stages that all share."""
    shared = marked(config, project, SHARED)
    if shared is None:
        begun = processor_seconds()
        check(config, project)
        prepare(config, project)
        for modality in MODALITIES:
            for stage in (pretrain, dump, index, retrieve):
                stage(config, project, modality)
        shared = mark(config, project, SHARED, processor_seconds() - begun)
    names = sorted(names, key=lambda n: str(config.methods[n]["type"]) not in SLOW)  # the slow ones first
    resources = engine.Resources(config.runtime.threads)
    work = partial(train_and_score_once, config, project)
    spent = engine.map(work, names, resources=resources, description="methods")
    return {SHARED: shared, **dict(zip(names, spent, strict=True))}


def processor_seconds() -> float:
    """Processor time of this process and of those that it has ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def call(*parts: str, cwd: Path = ROOT, read: bool = False) -> str:
    done = subprocess.run(parts, cwd=cwd, check=False, text=True, stdout=subprocess.PIPE if read else None)
    if done.returncode:
        sys.exit(f"error: {' '.join(parts[:4])} ended with {done.returncode} in {cwd}")
    return done.stdout or ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command")
    runs = commands.add_parser("run", help="run regimes and keep their figures")
    runs.add_argument("--corpora", type=Path, required=True)
    runs.add_argument("--work", type=Path, required=True)
    runs.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(REGIMES)}; none: {', '.join(MAIN)}")
    runs.add_argument("--again", action="store_true", help="run also what is kept")
    runs.add_argument("--dvc", action="store_true", help="run every stage through DVC")
    commands.add_parser("tables", help="put the kept figures into the pages")
    stages = commands.add_parser("stages", help="the stages of this folder's params.yaml, in one process")
    stages.add_argument("--ran", action="store_true", help="they were run by DVC: only report and keep")
    for one in (runs, stages):
        one.add_argument("--methods", default="", help="names, with commas between them; none: all")
    given = parser.parse_args()
    if given.command is None:  # as one of `make bench`, which takes minutes and not hours
        return parser.print_help()
    if given.command == "tables":
        return write_tables()
    methods = [name for name in given.methods.split(",") if name]
    if given.command == "stages":
        return run_stages(methods, given.ran)
    unknown = [n for n in given.names if n not in REGIMES]
    if unknown:
        sys.exit(f"error: {', '.join(unknown)}: expected one of {', '.join(REGIMES)}")
    given.work.mkdir(parents=True, exist_ok=True)
    for name in given.names or MAIN:
        run(name, given.corpora, given.work.resolve(), methods, again=given.again, through_dvc=given.dvc)
    return None


if __name__ == "__main__":
    main()
