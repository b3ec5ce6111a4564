"""A PostgreSQL of the test's own, on loopback."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import free_port


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A new cluster until the context ends: the URI of its database, as MLflow takes it.

    Skips where PostgreSQL or the driver is not installed, or where root has nobody to run it as.
    """
    pytest.importorskip("psycopg", reason="psycopg, the driver of PostgreSQL, is not installed")
    found = shutil.which("initdb") or next(iter(glob.glob("/usr/lib/postgresql/*/bin/initdb")), None)
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    binaries, user, port = Path(found).resolve().parent, _somebody(), str(free_port())
    # Not in a folder of pytest's, which others may not enter.
    with tempfile.TemporaryDirectory(prefix="ramer-postgresql-", ignore_cleanup_errors=True) as folder:
        if user is not None:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        made = [str(binaries / "initdb"), "--auth", "trust", "--username", "me", "--no-sync", "-D", data]
        subprocess.run(made, user=user, check=True, capture_output=True, cwd="/")
        options = ["-D", data, "-p", port, "-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        server = subprocess.Popen([str(binaries / "postgres"), *options], user=user, cwd="/", stderr=subprocess.DEVNULL)
        try:
            ask = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", port]
            deadline = time.monotonic() + 60
            while subprocess.run(ask).returncode:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield f"postgresql+psycopg://me:hunter2-planted@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # fast, whoever is still connected
            server.wait(timeout=60)


def _somebody() -> str | None:
    if os.geteuid():
        return None
    for name in ("postgres", "nobody"):
        if not subprocess.run(["id", name], capture_output=True).returncode:
            return name
    return pytest.skip("PostgreSQL does not run as root, and there is nobody else")
