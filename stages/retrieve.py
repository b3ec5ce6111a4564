"""Find one modality's neighbours: ``python -m stages.retrieve <modality>``."""

from ramer.pipeline.retrieve import retrieve
from stages._harness import run

if __name__ == "__main__":
    run(retrieve, per="modality")
