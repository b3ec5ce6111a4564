"""The sections in the order in which they stand on the page: a new one is a line here."""

from __future__ import annotations

from ramer.reporting.sections import (
    calibration,
    caveats,
    classes,
    conditions,
    confusion,
    corpus,
    differences,
    missing_at_random,
    pool,
    retrieval,
    sets,
    training,
    use,
)
from ramer.reporting.sections.report_section import Section, nothing

SECTIONS: tuple[Section, ...] = (
    use.SECTION,
    conditions.SECTION,
    differences.SECTION,
    missing_at_random.SECTION,
    sets.SECTION,
    retrieval.SECTION,
    classes.SECTION,
    pool.SECTION,
    confusion.SECTION,
    calibration.SECTION,
    training.SECTION,
    corpus.SECTION,
    Section("words", "Words", nothing),
    Section("made", "How it was made", nothing),
    caveats.SECTION,
)
