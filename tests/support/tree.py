"""A small workspace with every file that the pipeline writes, in the formats that its stages share."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pandas as pd
import yaml

from ramer.array_files import write_tensors
from ramer.config import Config, load_config
from ramer.evaluation.model_cards import Gap, ModelCard, ModelCards, Score
from ramer.files import digest_file, write_json, write_table
from ramer.modalities import AVERAGE, CONDITIONS, MODALITIES
from ramer.project import Project
from ramer.seeding import generator
from ramer.training.method_record import METHOD_FILE, TrainedMethod

LABELS = ("happy", "sad")
METHODS: dict[str, dict[str, Any]] = {
    "ramer": {"type": "ramer", "k": 5, "aggregate": "similarity"},
    "zero_fill": {"type": "zero_fill"},
    "oracle": {"type": "oracle"},
}
CORPUS_DIGEST = "c0ffee" * 10 + "beef"
EPOCHS = 4


def build(root: Path, methods: dict[str, dict[str, Any]] | None = None, seeds: int = 3, rows: int = 12) -> Config:
    """Write params, results, models and a git repository with one commit under ``root``."""
    methods = METHODS if methods is None else methods
    serve = {"method": next(iter(methods)), "registration": "never"}  # nothing here could be loaded
    params = {"prepare": {"seeds": list(range(seeds))}, "methods": methods, "serve": serve}
    root.mkdir(parents=True, exist_ok=True)
    project = Project(root)
    project.params.write_text(yaml.safe_dump(params, sort_keys=False), "utf-8")
    (root / ".gitignore").write_text("/data/\n/models/\n/results/\n/.tracking/\n/mlflow.db*\n/mlartifacts/\n", "utf-8")
    project.dvc.mkdir(exist_ok=True)
    (project.dvc / "config").write_text(
        "[core]\n    remote = lab\n['remote \"lab\"']\n    url = https://me:secret@store.example/ramer\n", "utf-8"
    )
    project.lock.write_text("schema: '2.0'\nstages: {}\n", "utf-8")
    (root / "code.py").write_text("ANSWER = 42\n", "utf-8")
    git(root, "init", "--quiet")
    commit(root)
    replicates = [f"fold0_seed{seed}" for seed in range(seeds)]
    _write_prepared(project, seeds)
    for modality in MODALITIES:
        _write_encoder(project.encoders(modality), modality, replicates)
        _write_index(project.indexes(modality), modality, replicates, rows)
    for method, options in methods.items():
        _write_method(project, method, options, replicates, rows)
    _write_reports(project, methods)
    return load_config(project.params)


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path) -> str:
    git(root, "add", "--all", "--", "params.yaml", "dvc.lock", "code.py", ".gitignore")
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    git(root, *identity, "commit", "--quiet", "--allow-empty", "--message", "Try something")
    return git(root, "rev-parse", "HEAD")


def _write_prepared(project: Project, seeds: int) -> None:
    info = {
        "name": "tiny",
        "digest": CORPUS_DIGEST,
        "dims": dict.fromkeys(MODALITIES, 4),
        "label_names": LABELS,
        "rows": 12,
        "counts": {"fold0_seed0": {"train": {"rows": 6}, "val": {"rows": 3}, "test": {"rows": 3}}},
        "replicates": [{"fold": 0, "seed": seed} for seed in range(seeds)],
    }
    project.prepared.mkdir(parents=True)
    write_json(project.corpus, info)


def _write_encoder(folder: Path, modality: str, replicates: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in replicates:
        weights = generator(0, modality, name).normal(size=(4, 4)).astype(np.float32)
        write_tensors(folder / f"{name}.safetensors", {"weight": weights}, {"modality": modality})
    write_json(folder / "encoder.json", {"modality": modality, "absent": False})
    _history(replicates, "val_weighted_f1").to_csv(folder / "history.csv", index=False)


def _write_index(folder: Path, modality: str, replicates: list[str], rows: int) -> None:
    folder.mkdir(parents=True)
    for name in replicates:
        index = faiss.IndexFlatIP(8)
        index.add(generator(0, "index", modality, name).normal(size=(rows, 8)).astype(np.float32))
        faiss.write_index(index, str(folder / f"{name}.faiss"))
        write_json(folder / f"{name}.json", {"modality": modality, "ids": [f"clip{i}" for i in range(rows)]})


def _write_method(project: Project, method: str, options: dict[str, Any], replicates: list[str], rows: int) -> None:
    trained, results = project.method(method), project.method_results(method)
    trained.mkdir(parents=True)
    results.mkdir(parents=True)
    for name in replicates:
        weights = generator(0, method, name).normal(size=(4, 4)).astype(np.float32)
        write_tensors(trained / f"{name}.safetensors", {"weight": weights}, {"method": method})
    chosen = {key: value for key, value in options.items() if key != "type"}
    about = TrainedMethod(
        name=method,
        type=options["type"],
        options={**chosen, "hidden": [256, 128]},
        inputs=(),
        deployable=options["type"] != "oracle",
        retrieval=options["type"] == "ramer",
        validation_selection=0.5,
        replicates={},
    )
    about.write(trained / METHOD_FILE)
    _history(replicates, "val_selection").to_csv(trained / "history.csv", index=False)
    about.scored.write(results / METHOD_FILE)
    write_json(results / "metrics.json", _metrics(method))
    write_json(results / "retrieval.json", {})
    write_json(results / "confusion.json", {"labels": LABELS, **{name: [[3, 1], [0, 2]] for name in CONDITIONS}})
    table = pd.DataFrame({"id": [f"clip{i}" for i in range(rows)], "replicate": replicates[0], "condition": "avt"})
    write_table(results / "predictions.parquet", table.assign(predicted=LABELS[0], **{"p/happy": 0.7, "p/sad": 0.3}))


def _metrics(method: str) -> dict[str, float | None]:
    metrics: dict[str, float | None] = {"retained/weighted_f1": 0.8, "a/f1_happy@work": 0.25, "a/f1_sad": None}
    draws = generator(0, "metrics", method)
    for condition in (*CONDITIONS, AVERAGE):
        for metric in ("accuracy", "uar", "weighted_f1", "macro_f1", "ece"):
            metrics[f"{condition}/{metric}"] = round(float(draws.uniform(0.3, 0.7)), 4)
            metrics[f"{condition}/{metric}_std"] = 0.01
    return metrics


def _write_reports(project: Project, methods: dict[str, dict[str, Any]]) -> None:
    write_json(project.summary, {"reference": "zero_fill", "methods": {name: {} for name in methods}})
    write_json(project.headline, {name: {"avg6_weighted_f1": 0.5} for name in methods})
    project.report.write_text("<!doctype html><title>Report</title>", "utf-8")
    project.explorer.write_text("<!doctype html><title>Explorer</title>", "utf-8")
    cards = ModelCards(
        confidence=0.95,
        coverage=0.9,
        reference="zero_fill",
        units=12,
        unit="speaker",
        limits=("Only 12 speakers were tested: intervals from so few are somewhat too narrow.",),
        methods={name: _card(name) for name in methods},
    )
    cards.write(project.cards)
    project.plots.mkdir()
    (project.plots / "conditions.png").write_bytes(b"\x89PNG\r\n\x1a\n")


def _card(method: str) -> ModelCard:
    scores = [Score(metric="weighted_f1", condition=c, value=0.5, low=0.4, high=0.625) for c in (*CONDITIONS, AVERAGE)]
    gap = Gap(metric="weighted_f1", condition=AVERAGE, difference=-0.015, low=-0.03, high=0.002, p=0.08, p_holm=0.16)
    advice = (f"`{method}` is 1.5 points below `zero_fill` on this corpus.",)
    gaps = () if method == "zero_fill" else (gap,)
    return ModelCard(trained="", scores=tuple(scores), gaps=gaps, advice=advice)


def _history(replicates: list[str], score: str) -> pd.DataFrame:
    """Replicate i stops i epochs early."""
    return pd.DataFrame(
        [
            {"replicate": name, "epoch": epoch, "train_loss": 1.0 / epoch + i, score: 0.1 * epoch}
            for i, name in enumerate(replicates)
            for epoch in range(1, EPOCHS + 1 - i)
        ]
    )


def digests(root: Path) -> dict[str, str]:
    """Every file below ``root`` and its digest."""
    return {p.relative_to(root).as_posix(): digest_file(p) for p in sorted(root.rglob("*")) if p.is_file()}
