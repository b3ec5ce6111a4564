"""Stage ``check``: refuse bad parameters before any work starts."""

from pathlib import Path

from ramer.check import check
from ramer.config import Config
from stages._run import run


def main(config: Config) -> None:
    check(config, Path("data/params.checked"))


if __name__ == "__main__":
    run(main)
