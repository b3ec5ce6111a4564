"""What retrieval does, and how good its neighbours are."""

from __future__ import annotations

from ramer.reporting import words
from ramer.reporting.findings import neighbour_purity
from ramer.reporting.sections.report_section import Content, Inputs, Section

_SPEAKER_COLUMNS = (
    ("with_exclusion", "as retrieved"),
    ("without_exclusion", "without exclusion"),
    ("speaker_chance", "by chance"),
)


def _content(page: Inputs) -> Content:
    purity = neighbour_purity(page.results)
    own_group = page.settings.retrieval.exclude == "speaker"
    return {
        "sentences": words.where_retrieval_wins_and_loses(page.findings),
        "purity": purity,
        "purity_sentence": words.purity_sentence(purity),
        "speaker_columns": _SPEAKER_COLUMNS,
        "scope": page.settings.retrieval.scope,
        "excluded": f"its own {page.group}'s rows" if own_group else "itself",
        "shuffled_missing": page.findings.retrieval is not None
        and (page.findings.control_gain is None or page.findings.control_is_random),
    }


SECTION = Section("retrieval", "Retrieval", _content, of_training=True)
