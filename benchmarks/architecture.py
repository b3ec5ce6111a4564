"""The picture of ``docs/architecture.md``, drawn from ``dvc.yaml``, the import contract and the imports themselves.

python -m benchmarks.architecture    # writes docs/images/architecture.svg
"""

from __future__ import annotations

import argparse
import ast
import textwrap
from dataclasses import dataclass
from html import escape
from itertools import pairwise

import yaml

from benchmarks._run import ROOT
from benchmarks._source import Checkout, read_folder

PICTURE = ROOT / "docs" / "images" / "architecture.svg"

WIDTH, MARGIN = 1160, 20
STAGE_HEIGHT, ROOM_HEIGHT, FLOOR_GAP = 66, 26, 8
ROOMS_WIDTH, ABOUT_LETTERS = 830, 106
STAGES_A_ROW = 5
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2430; }
.title { font-size: 17px; font-weight: 600; }
.name { font-weight: 600; }
.small { font-size: 11px; fill: #586074; }
.stage { fill: #e8f0fe; stroke: #7b96c9; }
.room { fill: #f4f1e8; stroke: #b3a67c; }
.about { font-size: 12px; fill: #3f4656; }
.uses { fill: none; stroke-width: 1.2; stroke-opacity: .75; }
.arrow { fill: none; stroke: #7b96c9; stroke-width: 1.5; marker-end: url(#head); }
"""


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


def stages(code: Checkout) -> list[tuple[str, list[str]]]:
    """Stages in their order, each with what it writes; a stage of many says over what."""
    found = []
    for name, entry in yaml.safe_load(code.files["dvc.yaml"])["stages"].items():
        items = entry.get("foreach")
        body = entry.get("do", entry)
        written = [
            out if isinstance(out, str) else next(iter(out)) for k in ("outs", "metrics") for out in body.get(k, [])
        ]
        many = "" if items is None else "@method" if isinstance(items, str) else "@modality"
        folders = list(dict.fromkeys(_shown(out) for out in written))
        found.append((f"{name}{many}", folders))
    return found


def _shown(out: str) -> str:
    """An output without the item of its stage; of several files in a folder the folder."""
    path, _, inside = out.partition("/${")
    return f"{path}/" if inside else path


def uses(code: Checkout) -> set[tuple[str, str]]:
    """Pairs of rooms (importing, imported) without those that a longer way between the two implies."""
    pairs = {(code.room(a), code.room(b)) for a, b in code.edges}
    direct = {(a, b) for a, b in pairs if a is not None and b is not None and a != b}
    below: dict[str, set[str]] = {}

    def reached(room: str) -> set[str]:
        if room not in below:
            below[room] = set()
            for _, lower in (pair for pair in direct if pair[0] == room):
                below[room] |= {lower} | reached(lower)
        return below[room]

    return {(a, b) for a, b in direct if not any(b in reached(c) for x, c in direct if x == a and c != b)}


def purpose(code: Checkout, room: str) -> str:
    """First line of a room's docstring."""
    module = code.modules.get(room)
    text = (ast.get_docstring(module.tree) if module else None) or ""
    return text.partition("\n")[0].rstrip(".").replace("`", "")


def draw(code: Checkout) -> str:
    """The whole picture as SVG."""
    upper, lower = _stages(stages(code), top=54), _floors(code, top=280)
    rooms = sum(map(len, code.layers))
    height = 280 + rooms * ROOM_HEIGHT + len(code.layers) * (FLOOR_GAP + 6) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        'role="img" aria-label="The stages of the pipeline and the rooms of the code">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8Z" fill="#7b96c9"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(MARGIN, 30, "The pipeline: each stage and what it writes", "title"),
        *upper,
        _text(MARGIN, 262, "The code: a room imports from rooms below it only", "title"),
        _text(MARGIN + ROOMS_WIDTH + 24, 262, "imports that no longer way implies", "small"),
        *lower,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _stages(listed: list[tuple[str, list[str]]], top: float) -> list[str]:
    width = (WIDTH - 2 * MARGIN - (STAGES_A_ROW - 1) * 28) / STAGES_A_ROW
    boxes = [
        Box(MARGIN + (i % STAGES_A_ROW) * (width + 28), top + (i // STAGES_A_ROW) * 92, width, STAGE_HEIGHT)
        for i in range(len(listed))
    ]
    parts = []
    for (name, written), box in zip(listed, boxes, strict=True):
        parts += [_rectangle(box, "stage"), _text(box.middle, box.y + 20, name, "name", middle=True)]
        lines = textwrap.wrap(", ".join(written), 32, break_long_words=False, max_lines=2, placeholder=" ...")
        parts += [_text(box.middle, box.y + 38 + 14 * i, line, "small", middle=True) for i, line in enumerate(lines)]
    for a, b in pairwise(boxes):
        middle = a.y + a.height / 2
        if a.y == b.y:
            parts.append(f'<path class="arrow" d="M{a.x + a.width:.0f} {middle:.0f}H{b.x - 2:.0f}"/>')
        else:
            between = (a.y + a.height + b.y) / 2
            way = f"M{a.middle:.0f} {a.y + a.height:.0f}V{between:.0f}H{b.middle:.0f}V{b.y - 2:.0f}"
            parts.append(f'<path class="arrow" d="{way}"/>')
    return parts


def _floors(code: Checkout, top: float) -> list[str]:
    """One line a room, a band a floor; what a room imports is an arc on the right in the room's own colour."""
    places: dict[str, float] = {}
    parts = []
    y = top
    for rooms in code.layers:
        band = Box(MARGIN, y, ROOMS_WIDTH, ROOM_HEIGHT * len(rooms) + 6)
        parts.append(_rectangle(band, "room"))
        for i, room in enumerate(rooms):
            places[room] = y + 3 + ROOM_HEIGHT * (i + 0.5)
            parts.append(_text(band.x + 12, places[room] + 4, room, "name"))
            parts.append(_text(band.x + 186, places[room] + 4, _cut(purpose(code, room)), "about"))
        y += band.height + FLOOR_GAP
    colours = {room: f"hsl({137 * i % 360} 55% 42%)" for i, room in enumerate(places)}
    arcs = [_arc(places[a], places[b], colours[a]) for a, b in sorted(uses(code))]
    return [*parts, *arcs]


def _cut(text: str) -> str:
    return textwrap.shorten(text, ABOUT_LETTERS, placeholder=" ...")


def _arc(upper: float, lower: float, colour: str) -> str:
    start = MARGIN + ROOMS_WIDTH
    out = start + 24 + 0.75 * abs(lower - upper) ** 0.93
    way = f"M{start} {upper:.0f}C{out:.0f} {upper:.0f} {out:.0f} {lower:.0f} {start + 7} {lower:.0f}"
    head = f"M{start + 8} {lower - 4:.0f}L{start} {lower:.0f}L{start + 8} {lower + 4:.0f}Z"
    return f'<path class="uses" d="{way}" stroke="{colour}"/><path d="{head}" fill="{colour}"/>'


def _rectangle(box: Box, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height}" rx="6"/>'
    )


def _text(x: float, y: float, text: str, kind: str, *, middle: bool = False) -> str:
    anchor = ' text-anchor="middle"' if middle else ""
    return f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}"{anchor}>{escape(text)}</text>'


def main() -> None:
    argparse.ArgumentParser(description="Draw the picture of docs/architecture.md.").parse_args()
    PICTURE.write_text(draw(read_folder(ROOT)), "utf-8")
    print(PICTURE.relative_to(ROOT))


if __name__ == "__main__":
    main()
