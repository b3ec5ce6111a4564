"""Exported models as an earlier version wrote them, and ones whose description has been edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ramer.digests import digest_files
from ramer.files import read_json, write_json
from ramer.inputs import LIVE
from ramer.serving.description import MODEL_FILE, ModelDescription


def as_format_1(model: Path) -> Path:
    """Turn an exported model into what version 0.1 wrote: no digests, no inputs, no seed, no formats of its parts."""
    described = read_json(model / MODEL_FILE)
    new = {"files", "digest"}
    new |= set() if LIVE in described["inputs"] else {"inputs"}  # named since methods have encoders of their own
    new |= set() if described["additions"] else {"folders", "additions"}
    old = {key: value for key, value in described.items() if key not in new} | {"format": 1}
    old["retrieval"] = {key: value for key, value in described["retrieval"].items() if key != "seed"}
    write_json(model / MODEL_FILE, old)
    for path in (model / "heads/method.json", *model.glob("index*/*/*.json")):
        later = ("format", "crossfit_digest")
        write_json(path, {key: value for key, value in read_json(path).items() if key not in later})
    return model


def reseal(model: Path) -> Path:
    """Make the digests of files that have been changed again, as if they had been exported so."""
    files = digest_files(model, [path for path in sorted(model.iterdir()) if path.name != MODEL_FILE])
    edit_description(model, files=files)
    return model


def edit_description(model: Path, **changed: Any) -> None:
    """Change what a model says of itself; its digest is made again, as if it had been exported so."""
    ModelDescription.read(model).model_copy(update=changed).write(model)
