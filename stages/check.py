"""Refuse bad parameters before any work starts, and say which code each stage runs: ``python -m stages.check``."""

from ramer.config import Config
from ramer.project import Project
from stages._harness import Stage, run


def stage() -> Stage:
    return main


def main(config: Config, project: Project) -> None:
    """The check, and the digests of the code behind every stage."""
    from ramer.pipeline.check import check
    from stages._code import write_digests

    check(config, project)
    write_digests(project)


if __name__ == "__main__":
    run(stage)
