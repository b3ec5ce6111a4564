"""Colours of lines and dots: seen on their paper (WCAG 2.2, 1.4.11: at least 3 to 1), and told apart."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import ramer.reporting.explorer as explorer
from ramer.reporting.figures.style import MODALITY_COLORS, PALETTE

WHITE, LEAST = "#ffffff", 3.0
FOLDER = Path(str(explorer.__file__)).parent
# Machado, Oliveira and Fernandes (2009), severity 1, of linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}


def linear(color: str) -> np.ndarray:
    rgb = np.array(to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def lab(color: str, sight: str) -> np.ndarray:
    """CIELAB of a colour as it is seen."""
    seen = np.clip(SIGHT[sight] @ linear(color), 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in xyz / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def named_in(script: str) -> list[str]:
    """The colours that a script of the explorer draws with."""
    listed = re.search(r"const (?:COLORS|PAIR) = \[(.*?)\]", (FOLDER / script).read_text("utf-8"))
    assert listed is not None
    return re.findall(r"#[0-9A-Fa-f]{6}", listed[1])


@pytest.mark.parametrize("color", [*PALETTE, *MODALITY_COLORS.values()])
def test_a_figure_is_seen_on_white(color: str) -> None:
    assert contrast(color, WHITE) >= LEAST


@pytest.mark.parametrize("sight", SIGHT)
def test_no_two_colours_look_alike(sight: str) -> None:
    for colors, least in ((PALETTE[:10], 15), (PALETTE, 10), (named_in("map.js"), 14), (named_in("risk.js"), 30)):
        for one, other in combinations(colors, 2):
            assert np.linalg.norm(lab(one, sight) - lab(other, sight)) >= least, (one, other)


@pytest.mark.parametrize("script", ["map.js", "risk.js"])
def test_the_explorer_is_seen_on_white_and_on_dark_paper(script: str) -> None:
    styles = (FOLDER / "explorer.css").read_text("utf-8")
    papers = set(re.findall(r"--paper: (#[0-9a-f]{6})", styles))
    assert len(papers) == 2
    for color in named_in(script):
        assert min(contrast(color, paper) for paper in papers) >= LEAST, color
