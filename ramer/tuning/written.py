"""The best options as a user has them: a command line, or an edited ``params.yaml`` with its comments."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ramer.files import atomic_file
from ramer.tuning.spaces import Value


def as_command(changes: Mapping[str, Mapping[str, Value]], entries: Mapping[str, Mapping[str, Any]]) -> str:
    """``dvc exp run`` with the options of some methods.

    Args:
        changes: method to options. entries: ``methods`` as it stands; an option that it does not name is added.

    Example:
        >>> as_command({"ramer": {"k": 7, "rerank": "learned"}}, {"ramer": {"type": "ramer", "k": 5}})
        'dvc exp run -S methods.ramer.k=7 -S +methods.ramer.rerank=learned'
    """
    settings = [
        f"{'' if option in entries[method] else '+'}methods.{method}.{option}={_text(value)}"
        for method, options in changes.items()
        for option, value in options.items()
    ]
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(one)}" for one in settings)])


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def apply(params: Path, changes: Mapping[str, Mapping[str, Value]]) -> None:
    """Set the options of some methods in ``params.yaml``; comments and all else stay."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    raw = yaml.load(params.read_text("utf-8"))
    for method, options in changes.items():
        for option, value in options.items():
            raw["methods"][method][option] = value
    text = StringIO()
    yaml.dump(raw, text)
    with atomic_file(params) as temporary:
        temporary.write_text(text.getvalue(), "utf-8")
