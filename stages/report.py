"""Stage ``report``: compare the listed methods and say which to use."""

from pathlib import Path

from ramer.config import Config
from ramer.reporting.report import report
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
    print(f"report: {OUT / 'report.html'}; its table: ramer report")


if __name__ == "__main__":
    run(main)
