"""An exported model as an MLflow model: code, signature, example and the files that prediction needs."""

from __future__ import annotations

import hashlib
import warnings
from importlib.metadata import version
from pathlib import Path

import faiss
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, DataType, Object, ParamSchema, ParamSpec, Property, Schema

import ramer
from ramer.data.prepared import PreparedCorpus
from ramer.files import digest_file
from ramer.modalities import MODALITIES
from ramer.serving.description import MODEL_FILE, ModelDescription
from ramer.serving.exported_model import IN_MLFLOW

_CODE = Path(__file__).with_name("served.py")
# What prediction computes with; the rest follows from ramer itself.
_REQUIREMENTS = ("faiss-gpu" if hasattr(faiss, "StandardGpuResources") else "faiss-cpu", "mlflow", "numpy", "torch")


def package_model(exported: Path, out: Path, example: dict[str, np.ndarray]) -> None:
    """Write an MLflow model that answers with the exported one.

    Args:
        exported: a folder that ``export_model`` wrote, called ``model``.
        out: folder to write.
        example: one clip's vectors; a modality that is not in it is null in the input example.
    """
    if exported.name != IN_MLFLOW.name:
        raise ValueError(f"exported: expected a folder called {IN_MLFLOW.name}, got {exported.name}")
    description = ModelDescription.read(exported)
    row = {m: [example[m].tolist() if m in example else None] for m in MODALITIES if description.dims[m]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own type hints, as it is imported
        import mlflow.pyfunc

        mlflow.pyfunc.save_model(
            str(out),
            python_model=str(_CODE),
            artifacts={IN_MLFLOW.name: str(exported)},
            signature=_signature(description),
            input_example=(pd.DataFrame(row), {"neighbours": False}),
            pip_requirements=_requirements(),
            metadata={
                "corpus": description.corpus.model_dump(),
                "method": description.method,
                "inputs": {m: dim for m, dim in description.dims.items() if dim},  # numbers in a list, or null
            },
        )


def digest_model(exported: Path) -> str:
    """Of all that a packaged model answers with: its files, the code that asks them and what both run on."""
    sha = hashlib.sha256(digest_file(exported / MODEL_FILE).encode())  # which names every other file and its digest
    sha.update(digest_file(_CODE).encode())
    sha.update("\n".join(_requirements()).encode())
    return sha.hexdigest()


def _requirements() -> list[str]:
    return [f"ramer=={ramer.__version__}", *(f"{name}=={version(name)}" for name in _REQUIREMENTS)]


def example_of(corpus: PreparedCorpus) -> dict[str, np.ndarray]:
    """The mean training vectors of the first replicate, which are nobody's, without the second modality there is."""
    present = [m for m in MODALITIES if corpus.dims[m]]
    shown = present if len(present) < 2 else [present[0], *present[2:]]
    return {m: corpus.scaler(m, corpus.replicates[0]).mean for m in shown}


def _signature(description: ModelDescription) -> ModelSignature:
    # No inputs: MLflow would drop whatever field they do not name, without a word to the client. Prediction checks what
    # it is given, and the metadata says what it takes.
    near = Object(
        [
            Property("target", DataType.string),
            Property("id", DataType.string),
            Property("score", DataType.double),
            Property("label", DataType.string, required=False),
        ]
    )
    return ModelSignature(
        outputs=Schema(
            [
                ColSpec(DataType.string, "available"),
                ColSpec(Array(DataType.string), "missing"),
                ColSpec(DataType.string, "predicted"),
                ColSpec(DataType.string, "method"),
                *(ColSpec(DataType.double, f"p/{label}") for label in description.label_names),
                ColSpec(Array(near), "neighbours", required=False),
                ColSpec(Array(DataType.string), "set", required=False),
                ColSpec(DataType.boolean, "answered", required=False),
            ]
        ),
        # A coverage or a risk of 0, which none can have, is none.
        params=ParamSchema(
            [
                ParamSpec("neighbours", DataType.boolean, False),
                ParamSpec("coverage", DataType.double, 0.0),
                ParamSpec("risk", DataType.double, 0.0),
            ]
        ),
    )
