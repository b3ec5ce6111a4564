"""Stage ``report``: compare the listed methods and say which to use."""

from pathlib import Path

from rich.console import Console

from ramer.config import Config
from ramer.files import read_json
from ramer.reporting.report import report
from ramer.reporting.tables import comparison_table
from stages._run import run

OUT = Path("results")


def main(config: Config) -> None:
    report(
        config,
        results=OUT / "methods",
        prepared=Path("data/prepared"),
        neighbours=Path("data/neighbours"),
        encoders=Path("models/encoders"),
        methods_models=Path("models/methods"),
        out=OUT,
    )
    console = Console(width=None if Console().is_terminal else 110)
    console.print(comparison_table(read_json(OUT / "summary.json")))
    console.print(f"report: {OUT / 'report.html'}")


if __name__ == "__main__":
    run(main)
