"""Stage ``train@<method>``: one missing-modality model per replicate."""

from __future__ import annotations

import time

from ramer.config import Config
from ramer.devices import else_on_cpu
from ramer.errors import ConfigError
from ramer.methods import method_class, method_options
from ramer.methods.shared.fitting import fit_method
from ramer.modalities import MODALITIES
from ramer.pipeline.unfinished import savepoints_of
from ramer.project import Project
from ramer.training.costs import TRAINING_FILE, TrainingCost, peak_mb, trained_digest, write_cost
from ramer.training.workspace import Workspace


def train(config: Config, project: Project, method: str) -> None:
    """Fit ``methods.<method>`` on every replicate.

    Raises:
        ConfigError: no such method or device, or an option is bad.
        RetrievalError: k exceeds a database or the lists.
        StaleError: what the method reads is absent, or does not fit the rest.
    """
    else_on_cpu(config.runtime.device, lambda device: _train(config.on(device), project, method))


def _train(config: Config, project: Project, method: str) -> None:
    if method not in config.methods:
        raise ConfigError(f"{project.params}: methods.{method}: no such method, expected {', '.join(config.methods)}")
    options = method_options(method, config.methods[method])
    workspace, threads = Workspace(project), config.runtime.threads
    device = method_class(options.type).device_for(config.runtime.device)
    folders = (project.states, project.neighbours, project.encoders, project.indexes)
    read = [project.prepared, *(folder(modality) for folder in folders for modality in MODALITIES)]
    settings, code = [options, config.train], [f"methods/{options.type}"]
    kept = savepoints_of(
        project, "train", method, threads=threads, device=device, inputs=read, settings=settings, code=code
    )
    start = time.perf_counter()
    with kept as savepoints:
        fit_method(method, options, workspace, config.train, config.runtime, project.method(method), savepoints)
    cost = TrainingCost(
        trained=trained_digest(project.method(method)),
        seconds=round(savepoints.before + time.perf_counter() - start, 2),
        peak_mb=peak_mb(),
        device=device,
    )
    write_cost(cost, project.costs(method) / TRAINING_FILE)
