"""Fields of a request, in its JSON and in its query: known ones, and each of them once."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from ramer.config import one_line
from ramer.errors import RamerError

MOST_NAMED = 5  # faulty fields of one request that are told


def named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, as ``object_pairs_hook`` of ``json.loads``, which by itself keeps the last of a name.

    Raises:
        RamerError: a name stands twice.

    Example:
        >>> json.loads('{"audio": [0.1], "audio": null}', object_pairs_hook=named_once)
        Traceback (most recent call last):
        ramer.errors.RamerError: request: audio: given more than once
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RamerError([f"request: {name}: given more than once" for name in _twice(name for name, _ in pairs)])
    return found


async def refuse_repeated(request: Request) -> None:
    """Before FastAPI's own reading of a body counts; what is no JSON is told by that.

    Raises:
        RamerError: a field stands twice.
    """
    body = await request.body()
    with contextlib.suppress(ValueError, RecursionError):
        json.loads(body, object_pairs_hook=named_once)


def check_query(request: Request, taken: Collection[str], otherwise: str = "") -> None:
    """Refuse fields of an address that nothing would come of.

    Args:
        taken: the names of those that are read.
        otherwise: what is said of any other in place of those names.

    Raises:
        HTTPException: 422, a field is none of them, or given twice.
    """
    given = [name for name, _ in request.query_params.multi_items()]
    unknown = list(dict.fromkeys(name for name in given if name not in taken))[:MOST_NAMED]
    faults = []
    if unknown:
        expected = otherwise or f"no such field, expected {', '.join(taken)}"
        faults = [f"query: {', '.join(map(one_line, unknown))}: {expected}"]
    faults += [f"query: {name}: given more than once" for name in _twice(name for name in given if name in taken)]
    if faults:
        raise HTTPException(422, "; ".join(faults))


def _twice(names: Iterable[str]) -> list[str]:
    counts = Counter(names)
    return [one_line(name) for name, many in counts.items() if many > 1][:MOST_NAMED]
