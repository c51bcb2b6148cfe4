"""Files at an address, read on the machines of a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ray

from fhpt_eval.engine.contents import hash_files
from fhpt_eval.records import Missing

_TOGETHER = 256
"""Files of a task."""


def hash_on_cluster(paths: Sequence[Path]) -> Iterator[str | Missing]:
    """Yield the hash of each file's bytes, or why it cannot be opened, in the order of the paths.

    Ray does a task again whose machine was lost. As many are under way as keep all cores busy.
    """
    task = ray.remote(num_cpus=1)(_hash)
    under_way: deque[Any] = deque()
    most = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    for start in range(0, len(paths), _TOGETHER):
        under_way.append(task.remote(paths[start : start + _TOGETHER]))
        if len(under_way) >= most:
            yield from ray.get(under_way.popleft())
    while under_way:
        yield from ray.get(under_way.popleft())


def _hash(paths: Sequence[Path]) -> list[str | Missing]:
    return [*hash_files(paths)]
