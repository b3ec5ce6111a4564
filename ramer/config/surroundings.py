"""What a project runs on, who works, what it serves and logs: ``runtime``, ``engine``, ``serve``, ``tracking``."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Annotated, Literal

from pydantic import Field

from ramer.config.section import Count, Positive, Section

BEST = "best"  # as serve.method
DEVICE_NAMES = r"auto|cpu|cuda(:\d+)?"  # a pattern
RAY_ADDRESS = "RAY_ADDRESS"  # what Ray, too, reads from the environment
RAY_ADDRESS_SETTING = "RAMER_RAY_ADDRESS_SETTING"  # which key gave that address, for messages; unset: itself


class Runtime(Section):
    """What decides the bits of a result besides the data.

    Attributes:
        threads: of torch, FAISS and BLAS, part of the result.
        device: auto, cpu, cuda or cuda:N.
        portable: on x86-64 compute with AVX2 and nothing newer, the same on every processor that has it; false
            computes with all that the processor has.
    """

    threads: Count = 1
    device: Annotated[str, Field(pattern=rf"^({DEVICE_NAMES})$")] = "auto"
    portable: bool = True


class Engine(Section):
    """Who works where ``RAMER_ENGINE`` is ``ray``; no stage depends on it, as it changes no byte of any output.

    Attributes:
        ray_address: of the cluster, HOST:PORT; null takes one that runs on this machine.
    """

    ray_address: Annotated[str, Field(min_length=1)] | None = None

    def name_cluster(self, environment: MutableMapping[str, str]) -> None:
        """Say in an environment where the cluster is, unless that says so itself."""
        if self.ray_address is not None and not environment.get(RAY_ADDRESS):
            environment[RAY_ADDRESS] = self.ray_address
            environment[RAY_ADDRESS_SETTING] = "params.yaml: engine.ray_address"


class Serve(Section):
    """What answers for new clips.

    Attributes:
        method: what is predicted with and registered as a model: a name under ``methods``, or ``best``, the one of
            those that may be deployed which is best on validation rows.
        model: its name in MLflow's registry.
        registration: auto registers, except from a temporary copy (``dvc exp run --temp`` and queued); always; never.
    """

    method: str = BEST
    model: Annotated[str, Field(pattern=r"^[^/:%@\\]+$")] = "ramer"
    registration: Literal["auto", "always", "never"] = "auto"


class Tracking(Section):
    """What is logged to MLflow.

    Attributes:
        enabled: log to MLflow.
        max_artifact_mb: a larger file is logged as path, md5 and DVC remote.
        timeout_s: seconds after which a store that is too slow is given up; the results stay, and a retry goes on.
    """

    enabled: bool = True
    experiment: Annotated[str, Field(min_length=1)] = "ramer"
    max_artifact_mb: Positive = 100.0
    timeout_s: Positive = 600.0
