from __future__ import annotations

from tests.support.stores import (  # noqa: F401
    copied,
    make_workspace,
    new_store,
    server,
    server_folder,
    tracked,
    workspace,
)
