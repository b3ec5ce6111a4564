"""What ``make install`` checks: every package that the project asks for, at its pinned version, with hashes."""

from __future__ import annotations

import importlib.util
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from tests.support.closure import ROOT

_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def entries(name: str) -> dict[NormalizedName, tuple[str, list[str]]]:
    """Version and hashes by package of one file in ``requirements/``."""
    found = {}
    for entry in re.split(r"^(?=\S)", (ROOT / "requirements" / f"{name}.txt").read_text("utf-8"), flags=re.MULTILINE):
        if entry.strip():
            package, _, rest = entry.partition("==")
            found[canonicalize_name(package)] = re.split(r"[ ;\\\n]", rest)[0], _HASH.findall(entry)
    return found


def project() -> dict[str, list[Requirement]]:
    """What the project and each of its extras ask for; torch alone has no hashes that would hold."""
    about = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = {"run": about["dependencies"], **about["optional-dependencies"]}
    parsed = {extra: [Requirement(line) for line in lines] for extra, lines in asked.items()}
    return {extra: [one for one in lines if one.name != "torch"] for extra, lines in parsed.items()}


def test_every_dependency_has_hashes_and_the_pinned_version() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").split())
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    run = entries("run")
    for extra, wanted in project().items():
        held = run | entries(extra)
        lacking = [one.name for one in wanted if canonicalize_name(one.name) not in held]
        assert not lacking, f"requirements/{extra}.txt lacks {lacking}: run `make hashes`"
        assert all(hashes for _, hashes in held.values())
        other = {name: version for name, (version, _) in held.items() if pinned.get(name, version) != version}
        assert not other, f"requirements/{extra}.txt is not what constraints.txt pins: run `make hashes`"
        unfit = [one for one in wanted if not one.specifier.contains(held[canonicalize_name(one.name)][0])]
        assert not unfit, f"requirements/{extra}.txt does not fit pyproject.toml: {unfit}"


def test_torch_and_its_parts_of_cuda_are_left_to_the_index_that_they_come_from() -> None:
    names = {name for extra in project() if extra != "gpu" for name in entries(extra)}
    assert not {name for name in names if name in ("torch", "triton") or name.startswith("nvidia-")}


@pytest.mark.parametrize(
    ("licence", "bound"),
    [
        ("EPL-2.0 OR GPL-2.0-or-later", True),  # no choice without copyleft
        ("Apache-2.0 OR GPL-2.0-or-later", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("GPLv2 with linking exception", True),
        ("MIT AND PSF-2.0", False),
    ],
)
def test_copyleft_is_what_leaves_no_other_choice(licence: str, bound: bool) -> None:
    spec = importlib.util.spec_from_file_location("supply_chain", ROOT / ".ci" / "supply_chain.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.is_copyleft(licence) is bound


def test_every_copyleft_licence_is_named_on_its_page() -> None:
    page = (ROOT / "docs" / "licences.md").read_text("utf-8")
    named, table = page.split("None of them is changed")
    only = re.findall(r"^\| (\S+) \| \S+ \| (?:A|L)?(?:GPL|MPL|EPL)[^|]*\|$", table, re.MULTILINE)
    assert len(only) > 5
    assert [name for name in only if f"`{name}`" not in named] == []
