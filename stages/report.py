"""Compare the methods: ``python -m stages.report``."""

from ramer.pipeline.report import report
from stages._harness import run

if __name__ == "__main__":
    run(report)
