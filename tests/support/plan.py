"""``dvc.yaml`` as read by these tests: stages of one template share deps, params and outs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ruamel.yaml import YAML

from tests.support.closure import ROOT

METHOD_CODE = "data/code/methods/${item.type}.json"


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


def instances(methods: dict[str, str]) -> dict[str, Stage]:
    """Every stage that DVC would list for these methods (name: type), templates filled in."""
    found = {}
    for stage in read_stages().values():
        items = {"": ""} if stage.foreach is None else methods
        items = dict.fromkeys(stage.foreach, "") if isinstance(stage.foreach, list) else items
        for item, kind in items.items():
            found[f"{stage.name}@{item}" if item else stage.name] = _filled(stage, item, kind)
    return found


def rerun_by(key: str, methods: dict[str, str]) -> set[str]:
    """Stages that a new value of ``key`` reruns if whatever runs writes something new.

    ``check`` always writes the same: nothing that hangs on it reruns.
    """
    stages = instances(methods)
    touched = {
        name
        for name, stage in stages.items()
        if "params.yaml" in stage.deps or any(f"{key}.".startswith(f"{param}.") for param in stage.params)
    }
    waiting = touched - {"check"}
    while waiting:
        outs = stages[waiting.pop()].outs
        fed = {name for name, stage in stages.items() if any(overlap(d, out) for d in stage.deps for out in outs)}
        waiting |= fed - touched
        touched |= fed
    return touched


def overlap(dep: str, out: str) -> bool:
    """Whether a dependency is an output, lies in it or holds it."""
    return dep == out or out.startswith(f"{dep}/") or dep.startswith(f"{out}/")


def method_files() -> set[str]:
    """Every file that may be the type of a method."""
    return {f.relative_to(ROOT).as_posix() for f in (ROOT / "ramer/methods").glob("[!_]*.py")}


def _filled(stage: Stage, item: str, kind: str) -> Stage:
    def fill(texts: tuple[str, ...]) -> tuple[str, ...]:
        named = (text.replace("${item.type}", kind).replace("${key}", item) for text in texts)
        return tuple(text.replace("${item}", item) for text in named)

    return replace(stage, deps=fill(stage.deps), params=fill(stage.params), outs=fill(stage.outs))


def _stage(name: str, entry: dict[str, Any]) -> Stage:
    body = entry.get("do", entry)
    outs = [out if isinstance(out, str) else next(iter(out)) for out in body.get("outs", []) + body.get("metrics", [])]
    return Stage(
        name, entry.get("foreach"), body["cmd"], tuple(body["deps"]), tuple(body.get("params", ())), tuple(outs)
    )
