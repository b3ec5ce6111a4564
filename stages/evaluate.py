"""Score one method under all seven conditions: ``python -m stages.evaluate <method>``."""

from ramer.pipeline.evaluate import evaluate
from stages._harness import run

if __name__ == "__main__":
    run(evaluate, per="method")
