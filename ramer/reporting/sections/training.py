"""How training went."""

from __future__ import annotations

from ramer.reporting.sections.report_section import Content, Inputs, Section

_PER_CONDITION = "per_condition"


def _content(page: Inputs) -> Content:
    about = page.results.descriptions
    return {
        "per_condition": [n for n in page.order if about[n].type == _PER_CONDITION],
        "encoder_scores": page.results.encoder_scores,
    }


SECTION = Section("training", "Training", _content, of_training=True)
