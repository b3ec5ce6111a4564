"""One method trained and scored, as other processes import it; marks say what is done."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from ramer.config import Config
from ramer.pipeline.evaluate import evaluate
from ramer.pipeline.train import train
from ramer.project import Project

SHARED = "shared stages"
_LATER = ("methods", "report", "serve", "tracking")  # sections that no result of a method follows from


def train_and_score(config: Config, project: Project, name: str) -> float:
    """Every replicate of a method; returns seconds of processor time."""
    begun = time.process_time()
    train(config, project, name)
    evaluate(config, project, name)
    return time.process_time() - begun


def train_and_score_once(config: Config, project: Project, name: str) -> float:
    """``train_and_score``, unless a mark says that it was done with these parameters; the seconds that it took."""
    seconds = marked(config, project, name)
    return mark(config, project, name, train_and_score(config, project, name)) if seconds is None else seconds


def mark(config: Config, project: Project, name: str, seconds: float) -> float:
    """Note that a method, or what all share, is done with these parameters; returns the seconds."""
    path = _mark(project, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"recipe": _recipe(config, name), "seconds": round(seconds)}), "utf-8")
    return round(seconds)


def marked(config: Config, project: Project, name: str) -> float | None:
    """Seconds that it took, None where it was not done with these parameters."""
    path = _mark(project, name)
    noted = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return float(noted["seconds"]) if noted.get("recipe") == _recipe(config, name) else None


def _mark(project: Project, name: str) -> Path:
    return project.root / ".marks" / f"{name.replace(' ', '_')}.json"


def _recipe(config: Config, name: str) -> str:
    """Digest of all that the result follows from."""
    params = config.model_dump(mode="json")
    own = {} if name == SHARED else params["methods"][name]
    relevant = {key: section for key, section in params.items() if key not in _LATER} | {"own": own}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()
