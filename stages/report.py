"""Stage ``report``: compare the listed methods and say which to use."""

import logging
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
    logging.info("report: %s; its table: ramer report", OUT / "report.html")


if __name__ == "__main__":
    run(main)
