"""What every part of the program must agree on, where importing it must cost nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import ramer
from ramer.data.media_kinds import MEDIA_KINDS, MEDIA_SUFFIXES
from ramer.errors import ConfigError
from ramer.extraction import requirements


@pytest.mark.parametrize("module", ["ramer.data.media_kinds", "ramer.extraction.requirements", "ramer.modalities"])
def test_importing_a_definition_loads_nothing_heavy(module: str) -> None:
    heavy = ("av", "cv2", "faiss", "opensmile", "pandas", "pydantic", "skimage", "torch", "transformers")
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_takes_the_kinds_of_files_that_are_read() -> None:
    page = (Path(ramer.__file__).parent / "serving/demo/page/index.html").read_text("utf-8")
    assert f'accept="{",".join(MEDIA_SUFFIXES)}"' in page
    assert f">{MEDIA_KINDS};" in page


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda name: None if name in ("av", "cv2") else object())
    with pytest.raises(
        ConfigError, match=r"^raw clips: not installed: av, cv2; expected the extra extract \(make extraction\)$"
    ):
        requirements.check_packages("raw clips")
