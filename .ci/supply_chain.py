"""What ramer is built on: ``licences`` of every package, ``audit`` of known vulnerabilities."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SBOM = ROOT / "build" / "sbom.json"
LICENCES = ROOT / "docs" / "licences.md"
_COPYLEFT = re.compile(r"\b(?:A|L)?GPL|\bMPL|\bEPL|\bCDDL|\bEUPL|Mozilla Public|General Public", re.IGNORECASE)
_CHOICE = re.compile(r"\bOR\b")
_PREFIX = "License :: OSI Approved :: "


def licences() -> None:
    """Write docs/licences.md from the bill of materials."""
    components = json.loads(SBOM.read_text("utf-8"))["components"]
    found = sorted((c["name"], c["version"].partition("+")[0], _licence(c)) for c in components)
    copyleft = [row for row in found if _COPYLEFT.search(row[2]) and not _CHOICE.search(row[2])]
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


if __name__ == "__main__":
    sys.exit(audit(sys.argv[2]) if sys.argv[1] == "audit" else licences())
