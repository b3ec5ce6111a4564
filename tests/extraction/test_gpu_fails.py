"""A GPU that fails while clips are extracted: a smaller batch where that may help, else one line and no lost clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ramer.errors import ConfigError
from ramer.extraction.batching import isolated
from ramer.extraction.outcomes import Encoded, Outcome
from tests.support.commands import refused
from tests.support.full_gpu import NO_MEMORY, without_room


def test_a_batch_without_memory_is_taken_one_by_one() -> None:
    def encode(items: list[int]) -> list[Outcome]:
        if len(items) > 1:
            raise torch.OutOfMemoryError(NO_MEMORY)
        return [Encoded(np.ones(2, np.float32)) for _ in items]

    assert all(isinstance(outcome, Encoded) for outcome in isolated(encode, [1, 2, 3]))


def test_a_gpu_that_is_lost_ends_the_run_and_fails_no_clip() -> None:
    asked: list[int] = []

    def encode(items: list[int]) -> list[Outcome]:
        asked.append(len(items))
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be ...")

    with pytest.raises(ConfigError) as refusal:
        isolated(encode, [1, 2, 3])
    told = "device: the GPU cannot be used (CUDA error: an illegal memory access was encountered); cpu does without"
    assert (refusal.value.faults, asked) == ([told], [3])


def test_a_model_that_finds_no_room_is_one_line(
    hubert: Path, tmp_path: Path, make_wav: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wav(tmp_path / "media" / "a.wav", np.sin(np.arange(8000) / 5) / 2)
    options = ("--audio", hubert, "--video", "none", "--text", "none", "--device", "cuda")
    with without_room(monkeypatch):
        said = refused("extract", tmp_path / "media", tmp_path / "out", *options)
    assert (
        said
        == f"device: the GPU cannot be used ({NO_MEMORY}); cpu does without, and a smaller batch size needs less memory"
    )
