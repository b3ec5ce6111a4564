"""Log one complete MLflow run: ``python -m stages.track``."""

from ramer.pipeline.track import track
from stages._harness import run

if __name__ == "__main__":
    run(track, computes=False)
