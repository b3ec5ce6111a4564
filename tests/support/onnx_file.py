"""A network in the shape of YuNet, written as ONNX by hand: it takes every red square for a face."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

STRIDES = (8, 16, 32)
WIDTHS = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
FACE_SIDE = 64  # of the pictures that the network sees


def _number(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def _field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    content = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | 2) + _number(len(content)) + content


def _tensor(name: str, array: np.ndarray) -> bytes:
    kind = 7 if array.dtype == np.int64 else 1
    return b"".join(_field(1, n) for n in array.shape) + _field(2, kind) + _field(8, name) + _field(9, array.tobytes())


def _ints(name: str, values: Sequence[int]) -> bytes:
    return _field(5, _field(1, name) + b"".join(_field(8, value) for value in values) + _field(20, 7))


def _node(kind: str, inputs: Sequence[str], output: str, *attributes: bytes) -> bytes:
    named = b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(3, output) + _field(4, kind)
    return _field(1, named + b"".join(attributes))


def _value(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_field(1, _field(1, n)) for n in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, dims)))


def _weights(name: str, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Of blue, green, red: a face is where there is red alone, on the coarsest of the maps."""
    weight = np.zeros((WIDTHS[name], 3, 1, 1), dtype=np.float32)
    bias = np.zeros(WIDTHS[name], dtype=np.float32)
    if name == "cls" and stride == STRIDES[-1]:
        weight[0, :, 0, 0] = np.array([-1, -1, 1]) / 255
    if name == "obj":
        bias[:] = 1
    if name == "bbox":
        bias[:] = (0.5, 0.5, np.log(FACE_SIDE / stride), np.log(FACE_SIDE / stride))
    return weight, bias


def write_yunet(path: Path) -> Path:
    nodes, tensors, outputs = b"", b"", b""
    for name, width in WIDTHS.items():
        tensors += _field(5, _tensor(f"shape_{name}", np.array([1, -1, width], dtype=np.int64)))
        for stride in STRIDES:
            key = f"{name}_{stride}"
            weight, bias = _weights(name, stride)
            tensors += _field(5, _tensor(f"w_{key}", weight)) + _field(5, _tensor(f"b_{key}", bias))
            size = (_ints("kernel_shape", (stride, stride)), _ints("strides", (stride, stride)))
            nodes += _node("AveragePool", ["input"], f"pool_{key}", *size)
            nodes += _node(
                "Conv", [f"pool_{key}", f"w_{key}", f"b_{key}"], f"conv_{key}", _ints("kernel_shape", (1, 1))
            )
            nodes += _node("Transpose", [f"conv_{key}"], f"last_{key}", _ints("perm", (0, 2, 3, 1)))
            nodes += _node("Reshape", [f"last_{key}", f"shape_{name}"], key)
            outputs += _field(12, _value(key, (1, (320 // stride) ** 2, width)))
    graph = nodes + _field(2, "red") + tensors + _field(11, _value("input", (1, 3, 320, 320))) + outputs
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))
    return path
