"""Tracking servers that fail, hang, slow down or die: results stay, it is said, and a retry logs one whole run."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient

from ramer.files import read_json
from tests.campaign.attacking import PATIENCE, Attack, lines_of
from tests.support.servers import free_port, pass_on, read_body
from tests.support.tracked import Workspace, runs, start

pytestmark = pytest.mark.campaign

WAYS = ("500", "garbage", "cut", "slow", "hangs", "dies", "down")
_TIMEOUT = 20


@contextlib.contextmanager
def failing(server: str, way: str, after: int) -> Iterator[str]:
    """In front of a server, one that behaves for ``after`` requests: its address."""
    if way == "down":
        yield f"http://127.0.0.1:{free_port()}"
        return
    host, count, over = urlsplit(server).netloc, itertools.count(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = read_body(self)
            bad = next(count) >= after
            if bad and way == "hangs":
                over.wait(600)
                return
            if bad and way == "dies":
                self.connection.close()
                return
            if bad and way == "slow":
                over.wait(2.0)
            status, _, content = pass_on(self, host, body)
            if bad and way == "500":
                status, content = 500, b"no"
            if bad and way == "garbage":
                content = b"<html>" + content[: len(content) // 2]
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if bad and way == "cut" else content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    listening = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_address[1]}"
    finally:
        over.set()
        listening.shutdown()
        listening.server_close()
        thread.join()


def _attempt(rng: random.Random, one: Attack, workspace: Workspace, server: str, patience: float) -> None:
    way, after, name = rng.choice(WAYS), rng.choice((0, 1, 2, 5, 10, 20, 40, 60)), f"attempt{one.tried}-{one.seed}"
    settings = {"DVC_EXP_NAME": name, "DVC_EXP_BASELINE_REV": "b" * 40}
    started = time.monotonic()
    with failing(server, way, after) as address:
        process = start(workspace.root, settings | {"MLFLOW_TRACKING_URI": address})
        _, errors = process.communicate(timeout=400)
    took = time.monotonic() - started
    logged = read_json(workspace.receipt)["logged"]
    said = [line for line in lines_of(errors) if "NOT logged to MLflow" in line]
    case = f"{way} after {after} requests"
    if process.returncode or "Traceback" in errors or bool(said) == logged:
        one.went_wrong(f"{case}: exit {process.returncode}, logged {logged}: {errors[-400:]}")
        return
    if took > patience:
        one.went_wrong(f"{case}: took {took:.0f} s")
        return
    process = start(workspace.root, settings | {"MLFLOW_TRACKING_URI": server})
    _, errors = process.communicate(timeout=400)
    client = MlflowClient(server)
    found = [run for run in runs(client, "experiment") if run.info.run_name == name]
    if read_json(workspace.receipt)["logged"] is not True or "FINISHED" not in {run.info.status for run in found}:
        one.went_wrong(f"{case}, tried again: {[run.info.status for run in found]}: {errors[-400:]}")
    elif logged:
        one.right += 1
    else:
        one.refused += 1


def test_servers_that_fail(attack: Callable[..., Attack], workspace: Workspace, server: str) -> None:
    one = attack("tracking servers that fail, hang or die", 16, 2, minutes=2.5)
    params = workspace.root / "params.yaml"
    params.write_text(params.read_text("utf-8") + f"tracking: {{timeout_s: {_TIMEOUT}}}\n", "utf-8")
    started = time.monotonic()
    process = start(workspace.root, {"MLFLOW_TRACKING_URI": server})
    process.communicate(timeout=400)
    patience = _TIMEOUT + PATIENCE * (time.monotonic() - started)
    for rng in one.attempts():
        _attempt(rng, one, workspace, server, patience)
