"""What a run of extraction made, and what it tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ramer.errors import CorpusError
from ramer.extraction.clips import FoundClips
from ramer.extraction.manifest import Manifest


class Made(NamedTuple):
    """What there is after a run.

    Attributes:
        manifest: of everything in the folder, or in the shard.
        done: clips that the run worked on.
        gone: clips of earlier runs that are no longer there.
    """

    manifest: Manifest
    done: int
    gone: int


@dataclass(frozen=True)
class Summary:
    """What a run left behind.

    Attributes:
        counts: modality to status to number of clips.
        dims: modality to length of a vector.
        clips: number of them.
        done: clips that this run worked on.
        left_out: one line per clip that cannot be used.
        passed_over: one line per kind of file that was not looked at, with a count.
        gone: clips of earlier runs that are no longer there.
    """

    counts: dict[str, dict[str, int]]
    dims: dict[str, int]
    clips: int
    done: int
    left_out: tuple[str, ...]
    passed_over: tuple[str, ...]
    gone: int

    @classmethod
    def of(cls, made: Made, found: FoundClips, clips: int) -> Summary:
        """Of what was made from so many of the clips that were found."""
        manifest = made.manifest
        counts = {m: dict(manifest.counts(m)) for m in manifest.settings.modalities}
        told = tuple(found.left_out), tuple(found.passed_over)
        return cls(counts, dict(manifest.dims), clips, made.done, *told, made.gone)


def check_any(manifest: Manifest, media: Path, features: Path) -> None:
    """Refuse a corpus of which nothing could be made.

    Raises:
        CorpusError: no clip gave a vector.
    """
    if not any(manifest.counts(m).get("extracted") for m in manifest.settings.modalities):
        raise CorpusError(f"{media}: no clip gave a vector in any modality; {features} says why")
