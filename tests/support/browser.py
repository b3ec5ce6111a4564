"""A real browser for pages that are files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def chromium() -> Iterator[Any]:
    """Headless Chromium through Playwright; skips where either is absent."""
    if CHROMIUM is None:
        pytest.skip("no chromium on the path")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: dev)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def said_of_pdf(tool: str, path: Path, *options: str) -> str:
    """What ``pdfinfo`` or ``pdftotext`` says of a PDF; skips where they are absent."""
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} on the path (poppler)")
    output = ["-"] if tool == "pdftotext" else []
    return subprocess.run([tool, *options, path, *output], capture_output=True, text=True, check=True).stdout


# Texts whose colour is less than 4.5 times as light or dark as what they stand on, and controls whose edge is less than
# 3 times (WCAG 2, AA). What cannot be used may be fainter.
FAINT = """
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const ground = (node) => { const layers = [];
    for (let at = node; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]); };
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (one, other) => {
    const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05); };
  const faint = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.getClientRects().length || node.closest(":disabled, script, option")) continue;
    const below = ground(node), found = contrast(over(rgba(getComputedStyle(node).color), below), below);
    if (found < 4.5) faint.push(`${node.textContent.trim().slice(0, 40)}: ${found.toFixed(2)}`);
  }
  for (const node of document.querySelectorAll("select, textarea, button, [role=switch], .drop")) {
    if (!node.getClientRects().length || node.matches(":disabled, .off, thead button")) continue;
    const style = getComputedStyle(node), behind = ground(node.parentElement);
    const edge = style.borderTopStyle === "none" ? ground(node) : over(rgba(style.borderTopColor), behind);
    const found = contrast(edge, behind);
    if (found < 3) faint.push(`edge of ${node.id || node.textContent.trim()}: ${found.toFixed(2)}`);
  }
  return faint;
}
"""
