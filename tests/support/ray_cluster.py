"""Two machines of a Ray cluster in one, in a process of their own: each a node with processes and a store."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.closure import ROOT

STORE = 100 * 2**20  # bytes of objects a node keeps


class RayCluster:
    """A head that takes no work, and two nodes of one core each.

    Attributes:
        address: for ``RAY_ADDRESS``.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address = self._answer()

    def kill_node(self) -> None:
        """One node is gone at once, and another one comes in its place."""
        self._say("kill")

    def add_gpu(self) -> None:
        """A third node joins, which says that it has a GPU besides its core."""
        self._say("gpu")

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._answer() == word

    def _answer(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("> "):
                return line[2:].strip()
        raise AssertionError(f"the cluster ended with {self._process.wait()}")


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """A cluster for the body."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.support.ray_cluster"],
        cwd=ROOT,
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield RayCluster(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)


def _main() -> None:
    from ray.cluster_utils import Cluster

    def say(word: str) -> None:
        sys.stdout.write(f"> {word}\n")
        sys.stdout.flush()

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": STORE})
    nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]
    say(cluster.address)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(nodes.pop(0), allow_graceful=False)
        nodes.append(cluster.add_node(num_cpus=1, num_gpus=int(line.strip() == "gpu"), object_store_memory=STORE))
        say(line.strip())
    cluster.shutdown()


if __name__ == "__main__":
    _main()
