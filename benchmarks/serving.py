"""How many requests a served model answers: ``ramer serve`` and ``mlflow models serve`` with the same model and clips.

Each server is a process on loopback; as many clients ask it for one clip at a time, each on a connection of its own.
Prints JSON: requests a second, the median and the 99th percentile in milliseconds, and how many were refused.

    python -m benchmarks.serving [--seconds 10] [--clients 4] [--model model/]
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._run import parser, report
from benchmarks.predict import build_project
from ramer.modalities import CONDITIONS, MODALITIES, condition_masks
from ramer.serving.modelfiles import export_model
from ramer.serving.predictor import Predictor
from ramer.tracking.package import package_model

STARTS_WITHIN = 180.0  # seconds, on a busy machine


def main() -> None:
    options = parser(__doc__, seconds=10, clients=4, rows=2000)
    options.add_argument("--model", type=Path, help="an exported model; one of the default parameters is made else")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="ramer-serving-") as folder:
        exported = Path(folder, "model")
        model = given.model or _make_model(Path(folder, "project"), exported, given.rows)
        bodies = _records(Predictor.load(model).dims)
        servers = {
            "ramer serve": (_ramer(model), "/predict", "records"),
            "mlflow models serve": (_mlflow(model, Path(folder)), "/invocations", "dataframe_records"),
        }
        figures = {name: _measure(*server, bodies, given) for name, server in servers.items()}
    report(given, figures)


def _make_model(root: Path, out: Path, rows: int) -> Path:
    build_project(root, "ramer", rows, [0])
    export_model(root, out, "ramer")
    return out


def _records(dims: dict[str, int]) -> list[dict[str, list[float] | None]]:
    """A clip under each condition in turn."""
    rng = np.random.default_rng(0)
    vectors = {m: rng.normal(size=dim).round(4).tolist() for m, dim in dims.items() if dim}
    return [
        {m: vectors.get(m) if held else None for m, held in zip(MODALITIES, mask, strict=True)}
        for mask in condition_masks()
    ]


def _ramer(model: Path) -> list[str]:
    return [sys.executable, "-m", "ramer.cli", "serve", "--model", str(model), "--port"]


def _mlflow(model: Path, folder: Path) -> list[str]:
    packed = folder / "packed"
    dims = Predictor.load(model).dims
    package_model(model, packed, {"audio": np.zeros(dims["audio"], dtype=np.float32)})
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(packed), "--env-manager", "local"]
    return [*command, "--host", "127.0.0.1", "--port"]


def _measure(
    command: list[str], path: str, key: str, records: Sequence[dict[str, Any]], options: Any
) -> dict[str, float]:
    bodies = [json.dumps({key: [record]}).encode() for record in records]
    seconds: list[float] = []
    refused: list[int] = []
    with _running(command, path, bodies[0]) as port:
        end = time.perf_counter() + options.seconds
        clients = [
            threading.Thread(target=_ask, args=(port, path, bodies, end, seconds, refused))
            for _ in range(options.clients)
        ]
        start = time.perf_counter()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        took = time.perf_counter() - start
    return {
        "requests": len(seconds) + len(refused),
        "requests_per_second": len(seconds) / took,
        "median_ms": 1000 * float(np.median(seconds)) if seconds else float("nan"),
        "p99_ms": 1000 * float(np.quantile(seconds, 0.99)) if seconds else float("nan"),
        "refused": len(refused),
    }


def _ask(port: int, path: str, bodies: Sequence[bytes], end: float, seconds: list[float], refused: list[int]) -> None:
    """One client: a request after the other, under each condition in turn."""
    turn = 0
    while time.perf_counter() < end:
        start = time.perf_counter()
        status = _post(port, path, bodies[turn % len(CONDITIONS)])
        if status == http.client.OK:
            seconds.append(time.perf_counter() - start)
        else:
            refused.append(status)
        turn += 1


def _post(port: int, path: str, body: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        return answer.status


@contextlib.contextmanager
def _running(command: list[str], path: str, body: bytes) -> Iterator[int]:
    """The server as a process: its port, once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if _post(port, path, body) == http.client.OK:
                    break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)}: did not answer within {STARTS_WITHIN:g} s")
            time.sleep(0.5)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 15)  # MLflow starts workers of its own
        process.wait(30)


if __name__ == "__main__":
    main()
