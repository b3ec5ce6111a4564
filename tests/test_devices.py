"""A GPU that is seen and cannot be used: one warning and the processor under ``auto``, one line where it was named."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from ramer.devices import Attempts, check_device, choose_device
from ramer.errors import ConfigError

NO_KERNEL = "CUDA error: no kernel image is available for execution on the device\nCompile with TORCH_USE_CUDA_DSA"
NO_MEMORY = "CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 has a total capacity of 79.10 GiB"
OLD_DRIVER = "The NVIDIA driver on your system is too old (found version 11040)"
FAISS_FAULT = "Error in virtual void faiss::gpu::runL2Norm: CUDA error 209 no kernel image is available"


@dataclass
class Gpus:
    """So many GPUs, with what goes wrong when they are looked for and when one computes."""

    number: int = 1
    looking: str = ""
    computing: str = ""
    computed: list[str] = field(default_factory=list)

    def count(self) -> int:
        if self.looking:
            raise RuntimeError(self.looking)
        return self.number

    def compute(self, device: str) -> None:
        self.computed.append(device)
        if self.computing:
            raise RuntimeError(self.computing)


BROKEN = [Gpus(computing=NO_KERNEL), Gpus(computing=NO_MEMORY), Gpus(looking=OLD_DRIVER)]


@pytest.mark.parametrize(
    ("device", "number", "chosen"),
    [("cpu", 1, "cpu"), ("auto", 0, "cpu"), ("auto", 2, "cuda"), ("cuda", 1, "cuda"), ("cuda:1", 2, "cuda:1")],
)
def test_a_gpu_that_works_is_taken(device: str, number: int, chosen: str, caplog: pytest.LogCaptureFixture) -> None:
    assert choose_device(device, Gpus(number)) == chosen
    assert not caplog.records


@pytest.mark.parametrize("gpus", BROKEN, ids=["kernel", "memory", "driver"])
def test_auto_goes_on_without_a_gpu_that_fails_and_says_so_once(gpus: Gpus, caplog: pytest.LogCaptureFixture) -> None:
    assert choose_device("auto", gpus) == "cpu"
    (said,) = caplog.records
    reason = (gpus.looking or gpus.computing).splitlines()[0]
    assert (said.levelno, reason in said.getMessage(), "\n" in said.getMessage()) == (logging.WARNING, True, False)


@pytest.mark.parametrize("gpus", BROKEN, ids=["kernel", "memory", "driver"])
def test_a_named_gpu_that_fails_is_one_line(gpus: Gpus) -> None:
    with pytest.raises(ConfigError) as refused:
        choose_device("cuda", gpus)
    (line,) = refused.value.faults
    assert line.startswith("params.yaml: runtime.device: cuda cannot be used (")
    assert (gpus.looking or gpus.computing).splitlines()[0] in line


def test_what_names_the_device_is_named_in_every_message() -> None:
    for device, gpus in (
        ("cuda", Gpus(0)),
        ("cuda:1", Gpus(1)),
        ("cuda", BROKEN[0]),
        ("cuda", BROKEN[2]),
        ("gpu", Gpus()),
    ):
        with pytest.raises(ConfigError, match=rf"^--device: (unknown name ')?{device}"):
            choose_device(device, gpus, setting="--device")


@pytest.mark.parametrize(("device", "number"), [("cuda", 0), ("cuda:2", 2)])
def test_a_gpu_that_is_not_there_is_refused_without_touching_another(device: str, number: int) -> None:
    gpus = Gpus(number)
    for ask in (check_device, choose_device):
        with pytest.raises(ConfigError, match=rf"runtime\.device: {device} was asked for but torch sees"):
            ask(device, gpus)
    assert not gpus.computed


def test_checking_computes_nothing_on_a_gpu() -> None:
    gpus = Gpus(2, computing=NO_KERNEL)
    check_device("cuda:1", gpus)
    assert not gpus.computed


def test_work_that_a_gpu_fails_at_is_done_here_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []

    def on_gpu() -> str:
        tried.append(1)
        if len(tried) > 1:
            raise RuntimeError(FAISS_FAULT)
        return "there"

    attempts = Attempts("auto")
    assert [attempts.run(on_gpu, lambda: "here") for _ in range(4)] == ["there", "here", "here", "here"]
    assert (len(tried), len(caplog.records)) == (2, 1)


@pytest.mark.slow
def test_a_stage_refuses_a_gpu_that_is_not_there_before_it_works() -> None:
    code = "from ramer.devices import choose_device; choose_device('cuda')"
    told = {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("runtime.device: cuda was asked for but torch sees no CUDA device")
