"""Loading in less time changes nothing of what is loaded but when."""

from __future__ import annotations

import gc
import importlib
from contextlib import suppress

import pytest

from ramer.loading import loading


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
