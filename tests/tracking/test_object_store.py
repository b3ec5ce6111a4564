"""A server whose runs are in PostgreSQL and whose files are in S3, and files that go straight into S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ramer.files import read_json
from tests.support.postgresql import postgresql
from tests.support.s3 import ObjectStore, object_store, objects, require_object_store
from tests.support.servers import free_port, mlflow_server
from tests.support.tracked import Workspace, runs, start
from tests.support.tree import METHODS

pytestmark = pytest.mark.slow


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[ObjectStore]:
    require_object_store()
    with object_store(tmp_path) as store:
        yield store


def test_a_server_on_postgresql_and_s3_gets_a_whole_run(workspace: Workspace, s3: ObjectStore, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    with postgresql() as database:
        stores = ["--backend-store-uri", database, "--artifacts-destination", f"s3://{s3.bucket}/files"]
        environment = s3.environment | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with mlflow_server("server", *stores, health="/health", folder=folder, seconds=240, **environment) as address:
            process = start(workspace.root, {"MLFLOW_TRACKING_URI": address, "DVC_EXP_NAME": "real"})
            said = process.communicate(timeout=500)[1]
            assert read_json(workspace.receipt)["logged"] is True, said
            client = MlflowClient(address)
            (run,) = runs(client, "experiment")
            assert (run.info.run_name, run.info.status) == ("real", "FINISHED")
            assert len(runs(client, "method")) == len(METHODS)
            local = client.download_artifacts(run.info.run_id, "params.yaml", str(tmp_path))
            assert Path(local).read_bytes() == (workspace.root / "params.yaml").read_bytes()
    assert any(name.endswith("params.yaml") for name in objects(s3))


def _straight(workspace: Workspace, s3: ObjectStore) -> dict[str, str]:
    """An experiment whose files its clients put into S3 themselves."""
    workspace.client.create_experiment("ramer", f"s3://{s3.bucket}/straight")
    return s3.environment


def test_files_that_go_straight_into_s3_are_there(workspace: Workspace, s3: ObjectStore) -> None:
    process = start(workspace.root, _straight(workspace, s3))
    said = process.communicate(timeout=300)[1]
    assert read_json(workspace.receipt)["logged"] is True, said
    assert any(name.startswith("straight/") for name in objects(s3))


WRONG = {
    "nobody answers": lambda s3: {"MLFLOW_S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"},
    "no bucket": lambda s3: {},
    "no keys": lambda s3: {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"},
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_bucket_that_takes_nothing_is_one_line_and_the_next_run_logs(
    workspace: Workspace, s3: ObjectStore, fault: str
) -> None:
    good = _straight(workspace, ObjectStore(s3.endpoint, "absent") if fault == "no bucket" else s3)
    once = {"AWS_MAX_ATTEMPTS": "1", "AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}
    process = start(workspace.root, good | once | WRONG[fault](s3))
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "hunter2" not in said
    assert len(said.strip().splitlines()) == 1, said
    assert "NOT logged to MLflow" in said
    assert read_json(workspace.receipt)["logged"] is False
    if fault != "no bucket":
        assert not start(workspace.root, good).communicate(timeout=300)[1].count("NOT logged")
        assert read_json(workspace.receipt)["logged"] is True
