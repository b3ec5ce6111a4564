"""One method trained and scored, as other processes import it."""

from __future__ import annotations

import time

from ramer.config import Config
from ramer.pipeline.evaluate import evaluate
from ramer.pipeline.train import train
from ramer.project import Project


def train_and_score(config: Config, project: Project, name: str) -> float:
    """Every replicate of a method; returns seconds of processor time."""
    begun = time.process_time()
    train(config, project, name)
    evaluate(config, project, name)
    return time.process_time() - begun
