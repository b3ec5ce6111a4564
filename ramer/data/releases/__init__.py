"""Corpora of the field as their owners hand them out: one file a corpus reads labels from its names and tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ramer.data.releases import cremad, iemocap, meld, mer, ravdess, sentiment
from ramer.data.releases.release import Release

# A reader gets the folder of the release and the folder that is extracted, None for the usual one of that release.
RELEASES: dict[str, Callable[[Path, Path | None], Release]] = {
    "cremad": cremad.read,
    "iemocap": iemocap.read_four,
    "iemocap4": iemocap.read_four,
    "iemocap6": iemocap.read_six,
    "meld": meld.read,
    "mer": mer.read,
    "mosei": sentiment.read,
    "mosi": sentiment.read,
    "ravdess": ravdess.read,
    "sims": sentiment.read,
    "simsv2": sentiment.read,
}
