"""What is given on a command line, before a command sees it: no empty text, no number that is none."""

from __future__ import annotations

import math
from typing import Any

import typer
from typer.core import TyperCommand

# Empty, these say that there is nothing: nothing dropped, available or said.
_MAY_BE_EMPTY = frozenset({"drop", "available", "transcript"})


class Command(TyperCommand):
    """A command whose options and arguments hold something.

    Empty text is what an unset variable of a shell gives, and would be taken for an option that is not there.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # typer gives its own context, which has no name
        if not ctx.resilient_parsing:
            written = self.make_parser(ctx).parse_args(args=list(args))[0]
            if not written.get("help"):
                self._refuse([name for name, value in written.items() if _is_empty(name, value)], "empty text")
        rest = super().parse_args(ctx, args)
        self._refuse([name for name, value in ctx.params.items() if _is_no_number(value)], "no finite number")
        return rest

    def _refuse(self, names: list[str], what: str) -> None:
        shown = {param.name: param.opts[0] if param.opts[0].startswith("-") else param.name for param in self.params}
        for name in names:
            typer.echo(f"error: {str(shown[name]).replace('_', '-')}: {what}, expected a value", err=True)
        if names:
            raise typer.Exit(2)


def _is_empty(name: str, value: object) -> bool:
    many = value if isinstance(value, list | tuple) else (value,)
    return name not in _MAY_BE_EMPTY and any(isinstance(one, str) and not one.strip() for one in many)


def _is_no_number(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
