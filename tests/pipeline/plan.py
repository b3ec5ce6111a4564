"""``dvc.yaml`` as read by these tests: stages of one template share deps, params and outs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML

from ramer.config import load_config
from tests.pipeline.closure import ROOT

METHOD_FILE = "ramer/methods/${item.type}.py"
CORPUS = "${corpus.path}"


@dataclass(frozen=True)
class Stage:
    """One entry of ``stages``, its ``foreach`` unwrapped."""

    name: str
    foreach: Any
    cmd: str
    deps: tuple[str, ...]
    params: tuple[str, ...]
    outs: tuple[str, ...]

    @property
    def source(self) -> str:
        return f"stages/{self.name}.py"


def read_stages() -> dict[str, Stage]:
    """The templates of ``dvc.yaml`` by name."""
    raw = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text("utf-8"))
    return {name: _stage(name, entry) for name, entry in raw["stages"].items()}


def method_files() -> set[str]:
    """Every file that may be the type of a method."""
    return {f.relative_to(ROOT).as_posix() for f in (ROOT / "ramer/methods").glob("[!_]*.py")}


def default_corpus_path() -> str:
    return load_config(ROOT / "params.yaml").corpus.path


def _stage(name: str, entry: dict[str, Any]) -> Stage:
    body = entry.get("do", entry)
    outs = [out if isinstance(out, str) else next(iter(out)) for out in body.get("outs", []) + body.get("metrics", [])]
    return Stage(
        name, entry.get("foreach"), body["cmd"], tuple(body["deps"]), tuple(body.get("params", ())), tuple(outs)
    )
