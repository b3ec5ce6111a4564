"""Commands as a user types them, in this process."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from ramer.cli import app


def call(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; what is no exit is raised."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def refused(*arguments: str | Path) -> str:
    """The one line that a refused command gives."""
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")
