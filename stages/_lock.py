"""Refuse a lock file that was cut as it was written, which DVC would stop at: ``make repro`` begins with it."""

from ramer.pipeline.committed import check_lock
from ramer.project import Project
from stages._harness import plain_errors

if __name__ == "__main__":
    with plain_errors(Project()):
        check_lock(Project())
