"""Stage ``train@<method>``: one missing-modality model per replicate."""

from pathlib import Path

from ramer.config import Config
from ramer.pipeline.train import train_method
from ramer.training.workspace import Workspace
from stages._run import run


def main(config: Config, method: str) -> None:
    workspace = Workspace(Path("data/prepared"), Path("data/states"), Path("data/neighbours"), Path("models"))
    train_method(config, method, workspace, Path("models/methods") / method)


if __name__ == "__main__":
    run(main, needs_item=True)
