from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tiny_states import Tiny, write_tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return write_tiny(tmp_path / "tiny")
