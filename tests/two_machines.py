"""A Ray cluster of two machines of one core each, which are processes of this one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class TwoMachines:
    """The cluster.

    Attributes:
        address: For ``--ray-address``.
        cluster: Ray's own for tests.
        machines: Those that compute; the head has no core.
    """

    address: str
    cluster: Any
    machines: list[Any] = field(default_factory=list)

    def add(self) -> None:
        """Start a machine."""
        self.machines.append(self.cluster.add_node(num_cpus=1, object_store_memory=100 * 2**20))

    def lose(self) -> None:
        """Kill a machine, as a loss of power would."""
        self.cluster.remove_node(self.machines.pop(), allow_graceful=False)

    def restore(self) -> None:
        """Have two machines again."""
        while len(self.machines) < 2:
            self.add()


def _patient(find: Callable[..., Any]) -> Callable[..., Any]:
    """Have Ray wait for a machine that starts: for the half minute that it gives one, this one can be too busy."""

    def found(*arguments: Any) -> Any:
        deadline = time.monotonic() + 180
        while True:
            try:
                return find(*arguments)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    return found


@contextmanager
def two_machines() -> Iterator[TwoMachines]:
    """Start the cluster, and connect this process to it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # Workers import the modules of toys and tests, which pytest has put on the path of this process only.
    here = Path(__file__).parent
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, [here, here / "engine" / "cluster", here / "properties"]))
    import ray
    from ray._private import services
    from ray.cluster_utils import Cluster

    services.get_node = _patient(services.get_node)
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, "object_store_memory": 100 * 2**20},
    )
    try:
        machines = TwoMachines(cluster.address, cluster)
        machines.restore()
        ray.init(address=cluster.address, log_to_driver=False, logging_level="FATAL")
        yield machines
    finally:
        del os.environ["PYTHONPATH"]
        ray.shutdown()
        cluster.shutdown()
