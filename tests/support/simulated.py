"""Small results as the pipeline would leave them, from a seeded simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ramer.config import Config, Evaluate, parse_config
from ramer.evaluation.conformal_record import CONFORMAL_FILE, conformal_scores
from ramer.evaluation.predictions import confusion_by_condition, score_predictions
from ramer.evaluation.scenarios import scenarios
from ramer.files import write_json, write_table
from ramer.modalities import CONDITIONS, MODALITIES
from ramer.pipeline.report import report
from ramer.project import Project

LABELS = ("neutral", "angry", "happy", "sad", "worried", "surprise")
# name: type, deployable, retrieval, skill of the simulated predictions
METHODS: dict[str, tuple[str, bool, bool, float]] = {
    "ramer": ("ramer", True, True, 1.05),
    "ramer_literal": ("ramer", True, True, 0.8),
    "zero_fill": ("zero_fill", True, False, 1.0),
    "mean_fill": ("mean_fill", True, False, 0.95),
    "late_product": ("late_product", True, False, 1.3),
    "random_neighbours": ("random_neighbours", True, False, 0.7),
    "oracle": ("oracle", False, False, 1.9),
    "prior": ("prior", True, False, 0.0),
}


class SimulatedProject(Project):
    """A project with simulated results; change its files, then ``run``.

    Args:
        before: what the names of classes, speakers and clips start with.
    """

    def __init__(
        self, root: Path, methods: dict[str, tuple[str, bool, bool, float]], seeds: int, speakers: int, before: str = ""
    ) -> None:
        super().__init__(root)
        self.kinds, self.seeds, self.speakers, self.before = methods, seeds, speakers, before
        self.names = tuple(f"{before}{name}" for name in LABELS)
        rng = np.random.default_rng(0)
        self.rows = speakers * 12
        self.labels = rng.choice(len(LABELS), size=self.rows, p=[0.25, 0.22, 0.2, 0.15, 0.1, 0.08])
        self._write_prepared()
        self._write_neighbours_and_encoders(rng)
        for number, name in enumerate(methods):
            self._write_method(name, np.random.default_rng([1, number]))

    def config(self, **sections: Any) -> Config:
        methods = {name: {"type": kind} for name, (kind, *_) in self.kinds.items()}
        raw = {"methods": methods, "report": {"draws": 300}, "serve": {"method": next(iter(methods))}}
        return parse_config(raw | sections)

    def run(self, **sections: Any) -> Path:
        report(self.config(**sections), self)
        return self.results

    def _write_prepared(self) -> None:
        folder = self.prepared
        folder.mkdir(parents=True)
        speakers = [f"{self.before}speaker{i // 12:02}" for i in range(self.rows)]
        names = [self.names[i] for i in self.labels]
        write_table(folder / "rows.parquet", pd.DataFrame({"id": self.ids, "speaker": speakers, "label": names}))
        held = {f"label/{n}": int((self.labels == i).sum()) for i, n in enumerate(self.names)}
        counts = {"pool": {"rows": 4000}, **{s: {"rows": self.rows, **held} for s in ("train", "val", "test")}}
        replicates = [{"fold": 0, "seed": s} for s in range(self.seeds)]
        lacking = {s: {"audio": 3, "video": 4, "text": 1, "all": 0} for s in ("train", "val", "test", "pool")}
        write_json(
            self.corpus,
            {
                "name": "synthetic",
                "dims": {"audio": 128, "video": 96, "text": 256},
                "label_names": self.names,
                "group_name": "speaker",
                "replicates": replicates,
                "rows": 3 * self.rows + 4000,
                "counts": {f"fold0_seed{r['seed']}": counts for r in replicates},
                "naturally_missing": {f"fold0_seed{r['seed']}": lacking for r in replicates},
                "label_budget": None,
                "provenance": {"kind": "synthetic"},
                "notes": ["fold0: 2 speakers are in both train and test"],
            },
        )

    def _write_neighbours_and_encoders(self, rng: np.random.Generator) -> None:
        shares = {"audio": (0.72, 0.51), "video": (0.81, 0.44), "text": (0.9, 0.66)}
        for m in MODALITIES:
            folder = self.neighbours(m)
            folder.mkdir(parents=True)
            train, test = shares[m]
            mean = {
                "database_rows": 240.0,
                "label_purity": {"train": train, "val": test, "test": test},
                "top_score": {"train": 0.9, "val": 0.8, "test": 0.8},
                "same_speaker": {"with_exclusion": 0.0, "without_exclusion": 0.4, "chance": 0.06},
            }
            write_json(folder / "diagnostics.json", {"modality": m, "replicates": {}, "mean": mean})
            self._write_history(self.encoders(m), ("train_loss", "val_loss", "val_weighted_f1"), rng)

    def _write_history(self, path: Path, columns: tuple[str, ...], rng: np.random.Generator) -> None:
        path.mkdir(parents=True, exist_ok=True)
        lines = []
        for seed in range(self.seeds):
            for epoch in range(1, 20 + 4 * seed):
                fall, rise = 1.7 * np.exp(-epoch / 8), 0.6 * (1 - np.exp(-epoch / 5))
                values = {"train_loss": fall, "val_loss": 0.5 + fall + 0.012 * epoch, "val_weighted_f1": rise}
                values["val_selection"] = rise
                noisy = {c: values[c] + rng.normal(scale=0.01) for c in columns}
                lines.append({"replicate": f"fold0_seed{seed}", "epoch": epoch, **noisy})
        pd.DataFrame(lines).to_csv(path / "history.csv", index=False)

    def _write_method(self, name: str, rng: np.random.Generator) -> None:
        kind, deployable, retrieval, skill = self.kinds[name]
        folder = self.method_results(name)
        folder.mkdir(parents=True)
        table = self._predict(skill, rng)
        write_table(folder / "predictions.parquet", table)
        write_json(folder / "metrics.json", score_predictions(table, self.names, 15, scenarios(Evaluate())))
        write_json(folder / "confusion.json", confusion_by_condition(table, self.names))
        write_json(folder / "retrieval.json", {})
        validated = self._predict(skill, np.random.default_rng([2, len(name)]))
        conformal_scores(validated, dict.fromkeys(self.ids, "avt"), list(self.names), "").write(folder / CONFORMAL_FILE)
        about = {"name": name, "type": kind, "deployable": deployable, "retrieval": retrieval}
        write_json(folder / "method.json", {**about, "validation_selection": 0.4 + 0.1 * skill, "options": {}})
        if kind not in ("late_product", "prior"):
            self._write_history(self.method(name), ("train_loss", "val_selection"), rng)

    def _predict(self, skill: float, rng: np.random.Generator) -> pd.DataFrame:
        frames = []
        truth = np.eye(len(LABELS))[self.labels]
        luck = rng.normal(size=(len(CONDITIONS), self.rows, len(LABELS)))
        for seed in range(self.seeds):
            for i, (condition, held) in enumerate(CONDITIONS.items()):
                logits = luck[i] + 0.3 * rng.normal(size=truth.shape) + skill * (0.6 + 0.5 * len(held)) * truth
                proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
                columns = {"id": self.ids, "replicate": f"fold0_seed{seed}", "fold": 0, "seed": seed}
                columns |= {"condition": condition, "label": [self.names[j] for j in self.labels]}
                columns["predicted"] = [self.names[j] for j in proba.argmax(axis=1)]
                columns |= {f"p/{n}": proba[:, j].astype(np.float32) for j, n in enumerate(self.names)}
                frames.append(pd.DataFrame(columns))
        return pd.concat(frames, ignore_index=True)

    @property
    def ids(self) -> list[str]:
        return [f"{self.before}clip{i:04}" for i in range(self.rows)]
