"""Refuse bad parameters before any work starts, and say which code each stage runs: ``python -m stages.check``."""

from ramer.config import Config
from ramer.pipeline.check import check
from ramer.project import Project
from stages._code import write_digests
from stages._harness import run


def main(config: Config, project: Project) -> None:
    """The check, and the digests of the code behind every stage."""
    check(config, project)
    write_digests(project)


if __name__ == "__main__":
    run(main)
