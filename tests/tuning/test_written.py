"""``ramer tune --apply``: the value alone is another text, whatever YAML the entry stands in."""

from __future__ import annotations

from pathlib import Path

import pytest

from ramer.errors import ConfigError
from ramer.tuning.spaces import Value
from ramer.tuning.written import apply
from ramer.yaml12 import read_yaml

CASES: dict[str, tuple[str, dict[str, Value], str]] = {
    "four spaces": (
        "methods:\n    mine:   # ä\n        type: ramer\n        k:   5  # few\n\n    other: {type: prior}\n",
        {"k": 7, "rerank": "learned"},
        "methods:\n    mine:   # ä\n        type: ramer\n        k:   7  # few\n        rerank: learned\n\n"
        "    other: {type: prior}\n",
    ),
    "Windows' ends of lines": (
        "methods:\r\n  mine:\r\n    type: ramer # it\r\n  other: {type: prior}\r\n",
        {"k": 7},
        "methods:\r\n  mine:\r\n    type: ramer # it\r\n    k: 7\r\n  other: {type: prior}\r\n",
    ),
    "no end of the last line": (
        "methods:\n  mine:\n    type: ramer",
        {"k": 7},
        "methods:\n  mine:\n    type: ramer\n    k: 7",
    ),
    "over several lines": (
        "methods:\n  mine: {type: ramer,\n         k: 5 }\n",
        {"k": 7, "tau": 1e-05},
        "methods:\n  mine: {type: ramer,\n         k: 7, tau: 1e-05 }\n",
    ),
    "another's alias for it": (
        "methods:\n  mine: &base {type: label_knn, k: 10}\n  other: *base # the same\n  third: *base\n",
        {"k": 7},
        "methods:\n  mine: &base {type: label_knn, k: 7}\n  other: {type: label_knn, k: 10} # the same\n"
        "  third: {type: label_knn, k: 10}\n",
    ),
    "an alias itself": (
        "methods:\n  other: &base\n      type: label_knn\n      k: 10\n  mine:  *base\n",
        {"k": 7},
        "methods:\n  other: &base\n      type: label_knn\n      k: 10\n  mine:  {type: label_knn, k: 7}\n",
    ),
    "a value that is an alias": (
        "methods:\n  other: {type: label_knn, k: &k 10}\n  mine: {type: ramer, k: *k}\n",
        {"k": 7},
        "methods:\n  other: {type: label_knn, k: &k 10}\n  mine: {type: ramer, k: 7}\n",
    ),
    "what is merged in": (
        "methods:\n  other: &base {type: label_knn, k: 10}\n  mine:\n    <<: *base\n    type: label_knn\n",
        {"k": 7},
        "methods:\n  other: &base {type: label_knn, k: 10}\n  mine:\n    <<: *base\n    type: label_knn\n    k: 7\n",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_all_else_stays(case: str, tmp_path: Path) -> None:
    before, options, after = CASES[case]
    params = tmp_path / "params.yaml"
    params.write_bytes(before.encode())
    apply(params, {"mine": options})
    assert params.read_bytes().decode() == after
    old, new = read_yaml(before), read_yaml(after)
    assert isinstance(old, dict)
    old["methods"]["mine"] = old["methods"]["mine"] | options
    assert new == old


@pytest.mark.parametrize("entry", ["  mine: &base {type: ramer, k: 5}\n  other: {<<: *base, rerank: learned}\n",
                                   "  mine: {type: ramer, k: &k 5}\n  other: {type: label_knn, k: *k}\n"])  # fmt: skip
def test_what_another_entry_shares_is_refused_in_one_line(entry: str, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(f"methods:\n{entry}", "utf-8")
    with pytest.raises(ConfigError, match=r"params\.yaml: methods\.mine: shares text with another entry") as refused:
        apply(params, {"mine": {"k": 7}})
    assert len(refused.value.faults) == 1
    assert params.read_text("utf-8") == f"methods:\n{entry}"
