"""What a copy of the report says of its run: date, commit, versions, changed parameters, costs.

None of it is in ``results/report.html``, whose bytes are the same wherever the same results were computed; it is added
to a copy (``ramer report --html``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2

from ramer.errors import StaleError

PLACE = "<!--run-->"


@dataclass(frozen=True)
class Cost:
    """What one method costs; None for what was not measured on this machine.

    Attributes:
        training_s: of all replicates.
        parameters: learnt numbers of one replicate.
        clip_ms, batch_ms, batch_rows: to predict one clip, and so many at once.
        training_mb, predicting_mb: largest memory of the stage.
        device: where it was measured.
    """

    method: str
    training_s: float | None = None
    parameters: int | None = None
    clip_ms: float | None = None
    batch_ms: float | None = None
    batch_rows: int | None = None
    training_mb: float | None = None
    predicting_mb: float | None = None
    device: str = ""


@dataclass(frozen=True)
class Stamp:
    """The run behind a report.

    Attributes:
        made: when the results were made.
        commit: that made them, with the names of files that differed from it.
        versions: of Python and the packages that matter; none where they are not known.
        changed: parameters that differed from that commit's: key, value there, value here; None where not known.
        costs: one for each method.
    """

    made: str
    commit: str
    versions: Mapping[str, str]
    changed: Sequence[tuple[str, str, str]] | None
    costs: Sequence[Cost]


def stamped(page: str, stamp: Stamp, source: Path) -> str:
    """A copy of the page that says where it comes from.

    Args:
        page: the report.
        source: its path.

    Raises:
        StaleError: a report of an earlier version has no place for it.
    """
    if page.count(PLACE) != 1:
        raise StaleError(f"{source}: written by another version, there is no place for date and commit", source)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = resources.files("ramer.reporting").joinpath("stamp.html.j2").read_text("utf-8")
    return page.replace(PLACE, environment.from_string(text).render(stamp=stamp))
