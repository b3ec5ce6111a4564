"""Loading in less time changes nothing of what is loaded but when."""

from __future__ import annotations

import gc
import importlib
import subprocess
import sys
from contextlib import suppress

import pytest

from ramer.loading import loading

CONVOLVE = "nn.Conv2d(3, 4, 3, device='meta')(torch.empty(2, 3, 5, 5, device='meta')).shape"


@pytest.mark.parametrize("enabled", [True, False])
def test_collecting_goes_on_after_loading_as_it_was(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    try:
        with suppress(ModuleNotFoundError), loading():
            inside = gc.isenabled()
            importlib.import_module("ramer.there_is_no_such_module")
        assert (inside, gc.isenabled()) == (False, enabled)
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
        gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize(
    "asking", ["torch._meta_registrations.aten", "from torch._meta_registrations import aten", "import torch._dynamo"]
)
def test_torch_has_its_meta_kernels_once_somebody_needs_them(asking: str) -> None:
    lines = [
        "from ramer.loading import defer_meta_kernels",
        "defer_meta_kernels()",
        "import torch, sys",
        "from torch import nn",
        "print('torch._decomp.decompositions' in sys.modules)",
        asking,
        f"print(*{CONVOLVE})",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.returncode) == (["False", "2", "4", "3", "3"], 0), done.stderr
