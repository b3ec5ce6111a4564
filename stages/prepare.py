"""Read, check and split the corpus: ``python -m stages.prepare``."""

from ramer.pipeline.prepare import prepare
from stages._harness import run

if __name__ == "__main__":
    run(prepare)
