"""Encoder checkpoints: weights, scaler and architecture in one safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from ramer.array_files import read_tensors, write_tensors
from ramer.data.prepared import Scaler
from ramer.errors import StaleError, raise_if_scarce
from ramer.nn.encoder import UnimodalEncoder
from ramer.nn.residual import ResidualEncoder
from ramer.training.encoder_record import EncoderDescription


def build_encoder(description: EncoderDescription) -> UnimodalEncoder:
    """A freshly initialised encoder.

    Raises:
        ConfigError: heads do not divide the width.
    """
    about = description
    sizes = about.input_dim, len(about.label_names)
    if about.kind == "residual":
        return ResidualEncoder(
            *sizes,
            hidden_dim=about.hidden_dim,
            model_dim=about.model_dim,
            layers=about.layers,
            heads=about.heads,
            ff_dim=about.ff_dim,
            dropout=about.dropout,
            input_dropout=about.input_dropout,
        )
    return UnimodalEncoder(
        *sizes,
        hidden_dim=about.hidden_dim,
        model_dim=about.model_dim,
        layers=about.layers,
        heads=about.heads,
        ff_dim=about.ff_dim,
        dropout=about.dropout,
        classifier_dims=about.classifier_dims,
        input_dropout=about.input_dropout,
    )


def save_encoder(
    path: str | Path, weights: Mapping[str, torch.Tensor], scaler: Scaler, description: EncoderDescription
) -> None:
    """Write an encoder's state dict with its scaler; the same weights give the same bytes."""
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in weights.items()}
    write_tensors(
        path, tensors | {"scaler.mean": scaler.mean, "scaler.std": scaler.std}, description.model_dump(mode="json")
    )


def load_encoder(path: str | Path) -> tuple[UnimodalEncoder, Scaler]:
    """Read an encoder, in eval mode on the CPU, and the scaler of its inputs.

    Raises:
        StaleError: the file is absent, damaged or not an encoder's checkpoint.
    """
    encoder, scaler, _ = load_described_encoder(path)
    return encoder, scaler


def load_described_encoder(path: str | Path) -> tuple[UnimodalEncoder, Scaler, EncoderDescription]:
    """As ``load_encoder``, with the description that the checkpoint carries."""
    path = Path(path)
    if not path.is_file():
        raise StaleError(f"{path}: no such encoder", path)
    try:
        tensors, metadata = read_tensors(path)
    except Exception as error:  # safetensors raises its own, OSError or a JSON error, by the kind of damage
        raise_if_scarce(error)
        raise StaleError(f"{path}: not a readable safetensors file: {_one_line(error)}", path) from None
    try:
        scaler = Scaler(_pop_vector(tensors, "scaler.mean"), _pop_vector(tensors, "scaler.std"))
        description = EncoderDescription.model_validate(metadata, strict=False)
        with _Unfilled():
            encoder = build_encoder(description)
        encoder.load_state_dict({n: torch.from_numpy(a) for n, a in tensors.items()}, assign=True)
        if scaler.mean.shape != (encoder.input_dim,) or scaler.std.shape != (encoder.input_dim,):
            raise ValueError(f"scaler: expected {encoder.input_dim} numbers, got {scaler.mean.shape}")
    except Exception as error:  # any of a dozen kinds: whatever does not fit is a foreign file
        raise StaleError(f"{path}: not a unimodal encoder's checkpoint: {_one_line(error)}", path) from None
    return encoder.eval().requires_grad_(False), scaler, description


class _Unfilled(TorchFunctionMode):
    """Weights are allocated and not drawn: those of the checkpoint take their place.

    On the device "meta" torch imports its compiler to draw nothing, which takes seconds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.randn:
            return torch.empty(*args, **(kwargs or {}))
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def _pop_vector(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in tensors:
        raise ValueError(f"expected a tensor {name}")
    return tensors.pop(name)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"
