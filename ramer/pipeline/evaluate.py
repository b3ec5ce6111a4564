"""Stage ``evaluate@<method>``: one method under all seven conditions."""

from __future__ import annotations

from ramer.config import Config
from ramer.devices import else_on_cpu
from ramer.methods.shared.scoring import score_method
from ramer.project import Project
from ramer.training.costs import PREDICTING_FILE, write_cost
from ramer.training.workspace import Workspace


def evaluate(config: Config, project: Project, method: str) -> None:
    """Predict and score every replicate's test rows.

    Raises:
        ConfigError: there is no such device.
        StaleError: a checkpoint is absent or is not the one that training described.
    """
    else_on_cpu(config.runtime.device, lambda device: _evaluate(config.on(device), project, method))


def _evaluate(config: Config, project: Project, method: str) -> None:
    trained, out = project.method(method), project.method_results(method)
    cost = score_method(Workspace(project), trained, config.evaluate, config.runtime, out)
    write_cost(cost, project.costs(method) / PREDICTING_FILE)
