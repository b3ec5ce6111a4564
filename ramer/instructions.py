"""How many threads and which instructions libraries may use, said before they load: both decide the last bits.

NumPy, torch (with MKL and oneDNN), OpenBLAS and FAISS each choose code by the processor they find. Held to AVX2, they
give the same bits on every x86-64 processor that has it.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from ramer.errors import ConfigError

# Held to what Haswell has, each library by the variable that it reads when it loads.
PORTABLE = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "FAISS_OPT_LEVEL": "avx2",
}
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
CPU_INFO = Path("/proc/cpuinfo")


def hold_instructions(portable: bool, cpu_info: Path = CPU_INFO) -> None:
    """Hold all libraries that load from now on to AVX2; call before any of them is loaded.

    On other processors than x86-64 each library uses what it finds.

    Args:
        portable: ``runtime.portable``; without it libraries use all that the processor has.

    Raises:
        ConfigError: the processor has no AVX2.
    """
    if not portable or platform.machine() not in ("x86_64", "AMD64"):
        return
    flags = _flags(cpu_info)
    if flags and "avx2" not in flags:
        raise ConfigError(
            "params.yaml: runtime.portable: this processor has no AVX2, with which portable results are computed; "
            "false computes with what it has, to other last digits"
        )
    os.environ.update(PORTABLE)


def hold_threads(threads: int) -> None:
    """Fix the threads of all libraries that load from now on: weights depend on their number."""
    os.environ.update(dict.fromkeys(THREADS, str(threads)))


def _flags(cpu_info: Path) -> set[str]:
    """Of the first processor; none where the system does not tell."""
    try:
        lines = cpu_info.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())
