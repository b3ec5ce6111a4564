"""Two machines of a Ray cluster in one: each a node with processes and a store of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STORE = 100 * 2**20  # bytes of objects a node keeps


@contextmanager
def two_nodes() -> Iterator[Any]:
    """A cluster whose head takes no work, and two nodes with one core each; ``address`` is for ``RAY_ADDRESS``."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE})
    try:
        for _ in range(2):
            add_node(cluster)
        yield cluster
    finally:
        cluster.shutdown()


def add_node(cluster: Any) -> Any:
    return cluster.add_node(num_cpus=1, object_store_memory=STORE)
