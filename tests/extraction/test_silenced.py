"""Warnings are left out in several threads at once, and come back after the last."""

from __future__ import annotations

import threading
import warnings

import pytest

from ramer.extraction.silenced import without_user_warnings


def test_filters_are_restored_whichever_thread_leaves_last() -> None:
    before = list(warnings.filters)
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with without_user_warnings():
            entered.set()
            leave.wait(10)
            warnings.warn("from the other thread", UserWarning, stacklevel=1)

    thread = threading.Thread(target=other)
    with without_user_warnings():
        thread.start()
        assert entered.wait(10)
        warnings.warn("from this thread", UserWarning, stacklevel=1)
    leave.set()
    thread.join()
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="heard again"):
        warnings.warn("heard again", UserWarning, stacklevel=1)
