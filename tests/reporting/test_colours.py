"""Colours of lines and dots: seen on their paper (WCAG 2.2, 1.4.11: at least 3 to 1), and told apart."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.colors import to_rgb

import ramer.reporting.explorer as explorer
from ramer.reporting.figures.style import MODALITY_COLORS, PALETTE

WHITE, LEAST = "#ffffff", 3.0
FOLDER = Path(str(explorer.__file__)).parent


def luminance(color: str) -> float:
    """Relative luminance, as WCAG defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("color", [*PALETTE, *MODALITY_COLORS.values()])
def test_a_figure_is_seen_on_white(color: str) -> None:
    assert contrast(color, WHITE) >= LEAST


def test_no_two_methods_have_one_colour() -> None:
    for one, other in combinations(PALETTE, 2):
        assert sum(abs(a - b) for a, b in zip(to_rgb(one), to_rgb(other), strict=True)) > 0.1, (one, other)


@pytest.mark.parametrize("script", ["map.js", "risk.js"])
def test_the_explorer_is_seen_on_white_and_on_dark_paper(script: str) -> None:
    styles = (FOLDER / "explorer.css").read_text("utf-8")
    papers = set(re.findall(r"--paper: (#[0-9a-f]{6})", styles))
    assert len(papers) == 2
    named = re.search(r"const (?:COLORS|PAIR) = \[(.*?)\]", (FOLDER / script).read_text("utf-8"))
    assert named is not None
    colors = re.findall(r"#[0-9A-Fa-f]{6}", named[1])
    assert len(colors) > 1
    for color in colors:
        assert min(contrast(color, paper) for paper in papers) >= LEAST, color
