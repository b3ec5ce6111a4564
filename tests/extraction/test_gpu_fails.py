"""A GPU that fails while clips are extracted: a smaller batch where that may help, else one line and no lost clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ramer.errors import ConfigError, GpuError
from ramer.extraction.batching import isolated
from ramer.extraction.extractor import Extractor
from ramer.extraction.outcomes import Encoded, Outcome
from ramer.extraction.settings import AudioSettings, ExtractionSettings
from tests.support.commands import call, refused
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


def test_under_auto_the_processor_goes_on_after_one_warning(
    hubert: Path,
    tmp_path: Path,
    make_wav: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("a", "b", "c"):
        make_wav(tmp_path / "media" / f"{name}.wav", np.sin(np.arange(8000) / ord(name)) / 2)
    options = ("--audio", hubert, "--video", "none", "--text", "none", "--batch-size", "1")
    assert call("extract", tmp_path / "media", tmp_path / "cpu", *options, "--device", "cpu")[0] == 0
    with without_room(monkeypatch):
        assert call("extract", tmp_path / "media", tmp_path / "auto", *options, "--device", "auto")[0] == 0
    told = [record.message for record in caplog.records if "GPU" in record.message]
    assert told == [f"a GPU is there and cannot be used ({NO_MEMORY}): the processor does the work"]
    vectors = [sorted((tmp_path / where).rglob("*.npy")) for where in ("cpu", "auto")]
    assert len(vectors[0]) == 3
    for one, other in zip(*vectors, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_gpu_that_fails_later_is_left_for_good_and_clips_are_begun_anew(
    hubert: Path, tmp_path: Path, make_wav: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    paths = [make_wav(tmp_path / f"{n}.wav", np.sin(np.arange(8000) / n) / 2) for n in (3, 5)]
    settings = ExtractionSettings(
        audio=AudioSettings(extractor="huggingface", model=str(hubert)), video=None, text=None
    )
    plain = Extractor(settings, device="cpu").extract_clip(paths[1])
    extractor = Extractor(settings, device="auto")
    extractor.extract_clip(paths[0])
    asked = extractor.encoders

    class Lost:
        def encode(self, signals: list[Any]) -> list[Outcome]:
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be ...")

    asked.__dict__["audio"] = Lost()
    extractor.options = {**extractor.options, "device": "cuda"}
    found = extractor.extract_clip(paths[1])
    assert (extractor.options["device"], extractor.encoders is asked) == ("cpu", False)
    np.testing.assert_array_equal(found.vectors["audio"], plain.vectors["audio"])
    assert [r.message for r in caplog.records if "GPU" in r.message] == [
        "a GPU is there and cannot be used (CUDA error: an illegal memory access was encountered): "
        "the processor does the work"
    ]
    named = Extractor(settings, device="cpu")
    named._asked = "cuda"
    named.encoders.__dict__["audio"] = Lost()
    with pytest.raises(GpuError):
        named.extract_clip(paths[1])
