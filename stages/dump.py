"""Write one modality's hidden states and posteriors: ``python -m stages.dump <modality>``."""

from ramer.pipeline.dump import dump
from stages._harness import run

if __name__ == "__main__":
    run(dump, per="modality")
