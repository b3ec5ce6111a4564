"""An S3-compatible store of the test's own, on loopback."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.servers import free_port

_BUCKET = "ramer"


@dataclass(frozen=True)
class ObjectStore:
    """A bucket, and what its clients have to know."""

    endpoint: str
    bucket: str = _BUCKET

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "hunter2-planted",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
        }


def require_object_store(*packages: str) -> None:
    """Skip where the server, or a client of it, is not installed."""
    for package in ("moto", "flask_cors", "boto3", *packages):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed (extra: dev)")


@contextlib.contextmanager
def object_store(folder: Path, port: int | None = None) -> Iterator[ObjectStore]:
    """moto's server with an empty bucket until the context ends; it keeps everything in memory."""
    port = port or free_port()
    store = ObjectStore(f"http://127.0.0.1:{port}")
    with open(folder / "s3.log", "w", encoding="utf-8") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while not _made(f"{store.endpoint}/{store.bucket}"):
            assert process.poll() is None, (folder / "s3.log").read_text("utf-8")
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield store
    finally:
        process.kill()
        process.wait()


def _made(bucket: str) -> bool:
    """Whether the bucket could be made, so that the server is up; it asks nobody who they are."""
    try:
        with urllib.request.urlopen(urllib.request.Request(bucket, method="PUT"), timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def objects(store: ObjectStore) -> set[str]:
    """Names of what the bucket holds."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id="somebody",
        aws_secret_access_key="hunter2-planted",
        region_name="us-east-1",
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=store.bucket)
    return {item["Key"] for page in pages for item in page.get("Contents", [])}
