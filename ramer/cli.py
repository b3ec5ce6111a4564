"""The command ``ramer``. Every heavy import waits until a command runs, so that help is immediate."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ramer import __version__
from ramer.commands import database
from ramer.commands.demo import demo
from ramer.commands.evaluate import evaluate
from ramer.commands.export import export
from ramer.commands.extract import extract
from ramer.commands.given import Command
from ramer.commands.init import init
from ramer.commands.labels import labels
from ramer.commands.neighbours import neighbours
from ramer.commands.predict import predict
from ramer.commands.promote import promote
from ramer.commands.report import report
from ramer.commands.serve import serve
from ramer.commands.tune import tune
from ramer.credentials import without_credentials
from ramer.errors import RamerError, few, in_one_line, refusal_behind
from ramer.instructions import hold_instructions
from ramer.starting import INTERRUPTED, check_place, run_program, start

app = typer.Typer(
    name="ramer",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: rich takes half of the time that help takes
)


def _say_version(asked: bool) -> bool:
    if asked:
        typer.echo(f"ramer {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Emotion recognition from audio, face and text when some of them are missing.

    --project names a folder whose pipeline has run; --model whatever predicts: such a folder, an exported one, or
    models:/NAME@ALIAS of the registry. Both are the current folder if nothing is said.
    """


def plain_errors(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a fault of the user's input into one clear line each on stderr and exit code 2."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            check_place()
            hold_instructions(_portable(kwargs))
            return command(*args, **kwargs)
        except RamerError as error:
            for line in _advised(error):
                print(f"error: {without_credentials(line)}", file=sys.stderr)
            raise typer.Exit(2) from None
        except BrokenPipeError:  # whoever reads has enough; Python would complain again as it leaves
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            told = _refusal(error)
            if told is None:
                raise
            print(f"error: {without_credentials(told)}", file=sys.stderr)
            raise typer.Exit(2) from None

    return wrapped


def _refusal(error: Exception) -> str | None:
    """One line of what the system or a GPU refused; None where neither did."""
    refusal = error if isinstance(error, OSError) else refusal_behind(error)
    if refusal is not None:
        return in_one_line(refusal)
    from ramer.devices import refusal_of_gpu

    return refusal_of_gpu(error, "device")


def _portable(given: dict[str, Any]) -> bool:
    """``runtime.portable`` of the project that a command works on; that of a new project where there is none."""
    from ramer.config import load_config
    from ramer.project import Project

    params = Project(Path(given.get("project") or given.get("model") or ".")).params
    try:
        return load_config(params).runtime.portable if params.is_file() else True
    except RamerError:  # the command says what it needs of it
        return True


def _advised(error: RamerError) -> list[str]:
    """The lines of an error, with what to do where an output of a project's pipeline is at fault."""
    if not error.artifacts:
        return few(error.faults)
    from ramer.pipeline.origin import is_output

    ours = {line for line, path in error.artifacts.items() if is_output(path)}
    return [f"{line}; run `dvc repro`" if line in ours else line for line in few(error.faults)]


for _command in (init, predict, evaluate, neighbours, report, export, promote, demo, serve, labels, extract, tune):
    app.command(cls=Command)(plain_errors(_command))

_database = typer.Typer(help="The clips that a model retrieves from.", no_args_is_help=True)
_database.command(cls=Command)(plain_errors(database.add))
app.add_typer(_database, name="database")


if __name__ == "__main__":
    start()
    run_program(app)
