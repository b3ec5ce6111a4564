"""Folders on disks that are small, or that cannot be written."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A new folder on a disk of so many bytes, in memory; skips where none can be mounted."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "none", folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)  # a model that was loaded from it is mapped


def make_read_only(folder: Path) -> None:
    """A ``small_disk`` as it is from now on."""
    _mount("-o", "remount,ro", folder)


def make_writable(folder: Path) -> None:
    """Undo ``make_read_only``."""
    _mount("-o", "remount,rw", folder)


def resize(folder: Path, size: int) -> None:
    """Give a ``small_disk`` another size in bytes."""
    _mount("-o", f"remount,size={size}", folder)


def fill(folder: Path, free: int) -> Path:
    """Write a file that leaves about ``free`` bytes: what to delete for the rest."""
    filler = folder / "filler"
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(shutil.disk_usage(folder).free - free, 1))
    return filler


def _mount(*arguments: str | Path) -> None:
    if shutil.which("mount") is None:
        pytest.skip("no command mount")
    mounted = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here, which root may do: {mounted.stderr.strip()}")
