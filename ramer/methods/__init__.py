"""Missing-modality methods: one file each, found by the file's name.

A file ``ramer/methods/mine.py`` that defines one ``Method`` makes ``{type: mine}`` a valid entry under ``methods``;
nothing has to be registered anywhere else.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from ramer.array_files import read_tensors
from ramer.config import Training, fault_lines
from ramer.devices import fails_at_gpu
from ramer.errors import ConfigError, ModelError, raise_if_scarce
from ramer.loading import loading
from ramer.methods.shared.contract import Method, MethodOptions, RetrievalOptions
from ramer.training.workspace import ModelShape

__all__ = [
    "Method",
    "MethodOptions",
    "ModelShape",
    "RetrievalOptions",
    "available_types",
    "build_method",
    "load_method",
    "method_class",
    "method_options",
]


def available_types() -> tuple[str, ...]:
    """The types that an entry under ``methods`` may name, sorted.

    Example:
        >>> "zero_fill" in available_types()
        True
    """
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.ispkg))


def method_class(name: str) -> type[Method]:
    """The ``Method`` that the file ``<name>.py`` defines.

    Raises:
        ConfigError: no such file, no Python, or it does not define exactly one method.
    """
    if name not in available_types():
        raise ConfigError(f"unknown method type {name!r}, expected one of {', '.join(available_types())}")
    try:
        module = _module(f"{__name__}.{name}")
    except SyntaxError as error:
        raise ConfigError(f"ramer/methods/{name}.py: line {error.lineno}: {error.msg}") from None
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise ConfigError(f"ramer/methods/{name}.py: expected exactly one Method, found {len(found)}")
    return found[0]


def _module(name: str) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    with loading():  # torch, for most of them
        return importlib.import_module(name)


def method_options(name: str, entry: dict[str, Any], source: str = "params.yaml") -> MethodOptions:
    """Validate the entry ``methods.<name>``.

    Raises:
        ConfigError: unknown type, unknown key or bad value; one line per fault.

    Example:
        >>> method_options("mine", {"type": "ramer", "k": 10}).k
        10
    """
    try:
        kind = method_class(entry["type"])
    except ConfigError as error:
        raise ConfigError([f"{source}: methods.{name}.type: {line}" for line in error.faults]) from None
    try:
        return kind.Options.model_validate(entry)
    except ValidationError as error:
        raise ConfigError(fault_lines(error, source, f"methods.{name}")) from None


def build_method(options: MethodOptions, shape: ModelShape, training: Training, device: str = "cpu") -> Method:
    """An untrained method."""
    return method_class(options.type)(options, shape, training, device)


def load_method(path: str | Path, device: str = "cpu") -> Method:
    """A trained method from its safetensors file.

    Raises:
        ModelError: the file is not a model that ``Method.save`` wrote.
    """
    try:
        tensors, metadata = read_tensors(path)
        shape = metadata["shape"]
        options = method_options("model", metadata["options"], str(path))
        training = Training.model_validate(metadata["training"])
        labels = tuple(shape["label_names"])
        method = build_method(options, ModelShape(shape["feature_dims"], shape["state_dims"], labels), training, device)
        method.description_ = metadata.get("description", {})
        return method.take_state(tensors)
    except ConfigError as error:  # names the file itself
        raise ModelError(error.faults) from None
    except ModelError as error:
        raise ModelError([f"{path}: {line}" for line in error.faults]) from None
    except Exception as error:
        raise_if_scarce(error)
        if fails_at_gpu(error):
            raise
        raise ModelError(f"{path}: not a trained method ({type(error).__name__}: {error})") from None
