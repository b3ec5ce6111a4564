"""Stage ``check``: refuse bad parameters before any work starts, and say which code each stage runs."""

from pathlib import Path

from ramer.config import Config
from ramer.pipeline.check import check
from stages._code import write_digests
from stages._run import run


def main(config: Config) -> None:
    check(config, Path("data/params.checked"))
    write_digests(Path("data/code"))


if __name__ == "__main__":
    run(main)
