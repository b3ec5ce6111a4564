"""Index one modality's database rows: ``python -m stages.index <modality>``."""

from ramer.pipeline.index import index
from stages._harness import run

if __name__ == "__main__":
    run(index, per="modality")
