"""Refuse bad parameters before any work starts, and say which code each stage runs: ``python -m stages.check``."""

from ramer.config import Config
from ramer.project import Project
from stages._harness import Stage, run


def stage() -> Stage:
    from ramer.pipeline.check import check
    from stages._code import write_digests

    def check_and_digest(config: Config, project: Project) -> None:
        check(config, project)
        write_digests(project)

    return check_and_digest


if __name__ == "__main__":
    run(stage)
