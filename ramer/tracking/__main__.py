"""``python -m ramer.tracking ui``: print where the MLflow UI shows this project's runs, as ``make ui`` does."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from ramer.config import load_config
from ramer.credentials import without_credentials
from ramer.errors import RamerError, few, in_one_line
from ramer.tracking import experiment_link


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ramer.tracking", description="The MLflow side of this project.")
    commands = parser.add_subparsers(required=True)
    ui = commands.add_parser("ui", help="print the address of the table of runs; makes the store ready if it is new")
    ui.add_argument("--server", default="http://127.0.0.1:5000", help="where the MLflow server listens")
    arguments = parser.parse_args()
    try:
        link = experiment_link(load_config().tracking.experiment, os.environ, Path.cwd(), arguments.server)
    except RamerError as error:
        sys.stderr.writelines(f"error: {without_credentials(line)}\n" for line in few(error.faults))
        sys.exit(2)
    except OSError as error:
        sys.stderr.write(f"error: {without_credentials(in_one_line(error))}\n")
        sys.exit(2)
    sys.stdout.write(link + "\n")


if __name__ == "__main__":
    main()
