"""Train one method on every replicate: ``python -m stages.train <method>``."""

from ramer.pipeline.train import train
from stages._harness import run

if __name__ == "__main__":
    run(train, per="method")
