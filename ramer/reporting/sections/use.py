"""Which method to use."""

from __future__ import annotations

from ramer.reporting import words
from ramer.reporting.sections.report_section import Content, Inputs, Section


def _content(page: Inputs) -> Content:
    return {
        "advice": words.advice(page.results, page.findings, page.settings.served),
        "product_words": words.product_paragraph(page.results, page.findings),
    }


SECTION = Section("use", "Which method to use", _content, of_training=True)
