"""A password in any setting that is a URI is neither printed nor written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ramer.files import read_json
from tests.support.servers import free_port
from tests.support.tracked import Workspace, runs, start
from tests.support.tree import commit, git

SECRET = "hunter%2F2-planted"
# As it stands, and as libraries decode it.
SHAPES = (SECRET, "hunter/2-planted")


def found_in(*folders: Path) -> list[str]:
    """Files that hold the secret; git's and DVC's own settings are where the user has written it."""
    held = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not {".git", ".dvc"} & set(path.parts):
                content = path.read_bytes()
                held += [str(path) for shape in SHAPES if shape.encode() in content]
    return held


def plant(root: Path) -> None:
    git(root, "remote", "add", "origin", f"https://me:{SECRET}@git.example/ramer.git")
    (root / ".dvc" / "config").write_text(
        f"[core]\n    remote = lab\n['remote \"lab\"']\n    url = https://me:{SECRET}@store.example/ramer\n", "utf-8"
    )


SETTINGS = {
    "down": {"MLFLOW_TRACKING_URI": f"http://me:{SECRET}@127.0.0.1:{{port}}"},
    "unknown host": {"MLFLOW_TRACKING_URI": f"http://me:{SECRET}@name.invalid:{{port}}"},
    "slash": {"MLFLOW_TRACKING_URI": f"http://me:{SECRET.replace('%2F', '/')}@127.0.0.1:{{port}}"},
    "database": {"MLFLOW_TRACKING_URI": f"postgresql://me:{SECRET}@127.0.0.1:{{port}}/db"},
    "scheme": {"MLFLOW_TRACKING_URI": f"nonsense://me:{SECRET}@127.0.0.1/x"},
    "password": {"MLFLOW_TRACKING_URI": "http://127.0.0.1:{port}", "MLFLOW_TRACKING_PASSWORD": SHAPES[1]},
    "proxy": {"MLFLOW_TRACKING_URI": "http://name.invalid", "http_proxy": f"http://me:{SECRET}@127.0.0.1:{{port}}"},
    "registry": {"MLFLOW_REGISTRY_URI": f"nonsense://me:{SECRET}@127.0.0.1/x"},
}
# Settings of others that are a URI and that MLflow, DVC or their clients read.
OTHERS = ("MLFLOW_REGISTRY_URI", "MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL", "https_proxy")
COMMANDS = {
    "track": ("-m", "stages.track"),
    "ui": ("-m", "ramer.tracking", "ui"),
    "predict": ("-m", "ramer.cli", "predict", "--model", "models:/ramer@champion", "x.npz"),
}


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        *((name, "track") for name in SETTINGS),
        ("down", "ui"),
        ("scheme", "ui"),
        ("down", "predict"),
        ("scheme", "predict"),
    ],
)
def test_a_store_that_fails_is_told_without_its_password(workspace: Workspace, settings: str, command: str) -> None:
    plant(workspace.root)
    given = {name: value.format(port=free_port()) for name, value in SETTINGS[settings].items()}
    process = start(workspace.root, given, *COMMANDS[command])
    out, errors = process.communicate(timeout=200)
    assert "Traceback" not in errors
    assert not [shape for shape in SHAPES if shape in out + errors], errors
    assert not found_in(workspace.root)
    if "MLFLOW_TRACKING_URI" in given:
        assert len(errors.strip().splitlines()) == 1, errors
        assert process.returncode == (0 if command == "track" else 2)


@pytest.mark.slow
def test_a_server_that_is_reached_with_a_password_keeps_none(
    workspace: Workspace, server: str, server_folder: Path
) -> None:
    plant(workspace.root)
    uri = server.replace("://", f"://me:{SECRET}@")
    others = dict.fromkeys(OTHERS, f"http://me:{SECRET}@127.0.0.1:1")
    process = start(workspace.root, others | {"MLFLOW_TRACKING_URI": uri, "DVC_EXP_NAME": "with-password"})
    out, errors = process.communicate(timeout=200)
    assert read_json(workspace.receipt)["logged"] is True, errors
    assert "with-password" in {str(run.info.run_name) for run in runs(MlflowClient(server), "experiment")}
    assert not [shape for shape in SHAPES if shape in out + errors], errors
    assert not found_in(workspace.root, server_folder)
    link = start(workspace.root, {"MLFLOW_TRACKING_URI": uri}, "-m", "ramer.tracking", "ui")
    assert link.communicate(timeout=200)[0].startswith(f"{server}/#/experiments/")


WRITERS = {
    "stage report": ("-m", "stages.report"),
    "stage track": ("-m", "stages.track"),
    "report": ("-m", "ramer.cli", "report", "--html", "copy.html"),
    "export": ("-m", "ramer.cli", "export", "exported"),
    "promote": ("-m", "ramer.cli", "promote"),
}


@pytest.mark.slow
def test_nothing_that_a_project_writes_holds_a_password(
    served: Path, server: str, server_folder: Path, tmp_path: Path
) -> None:
    """The report, its pages, an export, the registered model and all files of the run."""
    root = shutil.copytree(served, tmp_path / "project")
    (root / ".dvc").mkdir()
    git(root, "init", "--quiet")
    for name in ("dvc.lock", "code.py", ".gitignore"):
        (root / name).write_text("", "utf-8")
    commit(root)
    plant(root)
    secret = dict.fromkeys(OTHERS, f"http://me:{SECRET}@127.0.0.1:1") | {"MLFLOW_TRACKING_PASSWORD": SHAPES[1]}
    secret |= {"MLFLOW_TRACKING_URI": server.replace("://", f"://me:{SECRET}@"), "MLFLOW_TRACKING_USERNAME": "me"}
    secret |= {"AWS_SECRET_ACCESS_KEY": SHAPES[1], "DVC_EXP_NAME": "whole"}
    del secret["MLFLOW_REGISTRY_URI"]  # the registry is the server, too: a model goes into it
    for name, line in WRITERS.items():
        process = start(root, secret, *line)
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, (name, errors)
        assert not [shape for shape in SHAPES if shape in out + errors], (name, errors)
    written = {path.suffix for path in root.rglob("*") if path.is_file()}
    assert written >= {".html", ".json", ".parquet", ".safetensors"}
    assert "whole" in {str(run.info.run_name) for run in runs(MlflowClient(server), "experiment")}
    assert MlflowClient(server).search_registered_models()
    assert not found_in(root, server_folder)
