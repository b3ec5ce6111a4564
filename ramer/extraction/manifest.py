"""What was extracted, by which model, what is missing and why: the file that makes features repeatable."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

import ramer
from ramer.config import Section, fault_lines
from ramer.data.names import name_problem
from ramer.errors import ConfigError, CorpusError, raise_if_scarce
from ramer.extraction.manifest_record import STATUSES, Entry, MadeFeatures, ManifestRecord, ModelRecord
from ramer.extraction.settings import ExtractionSettings
from ramer.files import read_json
from ramer.modalities import MODALITIES

FILE_NAME = "manifest.json"
FORMAT = 1


@dataclass
class Manifest:
    """Settings, encoders and clips of one feature folder.

    Attributes:
        settings: how features are made.
        records: per modality (and ``recognition``) the encoder: name, revision or digest, version.
        dims: per modality the length of a vector.
        clips: clip -> modality -> {status, source, sha256, reason, or notes and faces, recognised}.
    """

    settings: ExtractionSettings
    records: dict[str, ModelRecord]
    dims: dict[str, int] = field(default_factory=dict)
    clips: dict[str, dict[str, Entry]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path) -> Manifest:
        """Read a manifest, given its path or the path of the folder above.

        Raises:
            CorpusError: not there, not JSON, of another format, or with settings that are not valid.
        """
        path = Path(path)
        if path.is_dir():
            path = next((p for p in (path / FILE_NAME, path / "features" / FILE_NAME) if p.exists()), path / FILE_NAME)
        try:
            raw = read_json(path)
        except FileNotFoundError:
            raise CorpusError(f"{path}: no such file, expected the manifest that ramer extract wrote") from None
        except (OSError, ValueError) as error:
            raise_if_scarce(error)
            raise CorpusError(f"{path}: not a manifest: {error}") from None
        return cls.parse(raw, str(path))

    @classmethod
    def parse(cls, raw: object, path: str) -> Manifest:
        """A manifest from its JSON; ``path`` names it in messages.

        Raises:
            CorpusError: as ``read``.
        """
        if not isinstance(raw, dict) or raw.get("format") != FORMAT:
            found = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
            raise CorpusError(f"{path}: format: expected {FORMAT}, got {found!r}")
        try:
            held = ManifestRecord.parse(raw)
        except ValidationError as error:
            raise CorpusError(fault_lines(error, path)) from None
        except (AttributeError, TypeError) as error:
            raise CorpusError(f"{path}: not a manifest: {type(error).__name__}: {error}") from None
        if unsafe := [f"{path}: clip {name!r}: {fault}" for name in held.clips if (fault := name_problem(name))]:
            raise CorpusError(unsafe)
        records = {m: made.extractor for m, made in held.modalities.items()}
        records |= {"recognition": held.recognition} if held.recognition is not None else {}
        dims = {m: made.dim for m, made in held.modalities.items() if made.dim is not None}
        return cls(held.settings, records, dims, {clip: dict(entries) for clip, entries in held.clips.items()})

    def write(self, path: Path) -> None:
        """Write it; the same features always give the same bytes."""
        settings = self.settings
        made = {
            m: MadeFeatures(
                folder=f"{settings.of(m).name}-UTT",
                frames_folder=f"{settings.of(m).name}-FRA" if settings.per_frame else None,
                dim=self.dims.get(m),
                extractor=self.records[m],
                fingerprint=self.fingerprint(m),
                counts={status: self.counts(m)[status] for status in STATUSES},
            )
            for m in settings.modalities
        }
        recognition = self.records.get("recognition")
        record = ManifestRecord(
            ramer=ramer.__version__, settings=settings, modalities=made, recognition=recognition, clips=self.clips
        )
        record.write(path)

    def counts(self, modality: str) -> Counter[str]:
        """How many clips have each status in a modality."""
        return Counter(entry["status"] for _, entry in self.entries(modality))

    def entries(self, modality: str) -> Iterator[tuple[str, Entry]]:
        """Clips and their entries of a modality."""
        return ((clip, found[modality]) for clip, found in self.clips.items() if modality in found)

    def fingerprint(self, modality: str) -> str:
        """Digest of everything that decides a modality's vectors, apart from the clip itself."""
        made_by = {"settings": self.settings.of(modality).deciding, "extractor": self.records[modality]}
        return digest_json(made_by)


def digest_json(value: object) -> str:
    """SHA-256 of a value's sorted JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def merged(new: Manifest, old: Manifest) -> Manifest:
    """``new`` with the modalities of ``old`` that it does not make, and the entries that are still valid."""
    kept = [m for m in old.settings.modalities if m not in new.settings.modalities]
    sections: dict[str, Section | None] = {m: old.settings.of(m) for m in kept}
    records = new.records | {m: old.records[m] for m in kept}
    if "text" in kept:
        sections["recognition"] = old.settings.recognition
        records |= {"recognition": old.records["recognition"]} if "recognition" in old.records else {}
    try:
        settings = ExtractionSettings.model_validate(dict(new.settings) | sections)
    except ValidationError as error:
        raise ConfigError(fault_lines(error, "settings")) from None
    result = Manifest(settings, records)
    for modality in MODALITIES:
        if modality in result.settings.modalities and modality in old.settings.modalities:
            if result.fingerprint(modality) != old.fingerprint(modality):
                continue
            for clip, entry in old.entries(modality):
                result.clips.setdefault(clip, {})[modality] = entry
            if modality in old.dims:
                result.dims[modality] = old.dims[modality]
    return result
