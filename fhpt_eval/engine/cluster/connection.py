"""The connection to a Ray cluster."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from fhpt_eval.errors import Unavailable, UserError

_PORT = 6379
"""Where ``ray start --head`` listens unless it is told otherwise."""

_ANSWERING = 10.0
"""Seconds that a cluster may take to answer at all; Ray itself would try for a minute."""


def connect(address: str | None) -> Any:
    """Connect this process to a cluster, unless it is connected by now; return the module ``ray``.

    Args:
        address: ``auto``, ``HOST``, ``HOST:PORT`` or ``ray://HOST:PORT``; None for what RAY_ADDRESS says, or the
            cluster that runs on this machine, or one that is started and ends with this process.

    Raises:
        UserError: There is no such cluster, or it is of another version.
        Unavailable: Ray is not installed.
    """
    # It would tell its makers about the cluster.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise Unavailable("--engine ray needs Ray: install it with pip install 'fhpt-eval[cluster]'.") from None
    if ray.is_initialized():
        return ray
    given = (os.environ.get("RAY_ADDRESS") or address) if address in {None, "auto"} else address
    if "@" in str(given):
        raise UserError(
            "the address of a Ray cluster holds no user and no password: give HOST:PORT, and a token by"
            " RAY_AUTH_MODE=token and RAY_AUTH_TOKEN."
        )
    at = None if given in {None, "auto", "local"} else _with_port(str(given))
    try:
        if at is not None:
            _require_answer(at)
        ray.init(address=at or given, log_to_driver=False, logging_level=logging.FATAL, configure_logging=True)
    except Exception as error:  # noqa: BLE001 - Ray raises plain ones, of a machine too busy to start in half a minute
        told = " ".join(str(error).split()).replace("--address", "--ray-address")
        raise UserError(
            f"no Ray cluster can be used{f' at {given}' if given else ''} ({told[:300].rstrip('.')}): start one with"
            " `ray start --head`, give its --ray-address HOST:PORT, or leave that out to use this machine."
        ) from None
    return ray


def place(ray: Any) -> str:
    """Return in words which cluster this process is connected to."""
    node = ray._private.worker._global_node  # noqa: SLF001 - nothing else tells; None for ray://
    if node is not None and node.head:
        return "Ray was started on this machine alone, for this command; --ray-address uses a cluster"
    machines = [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]
    cores = int(sum(machine.get("CPU", 0) for machine in machines))
    what = f"{len(machines)} machine{'s' * (len(machines) != 1)}, {cores} core{'s' * (cores != 1)}"
    return f"Ray cluster at {address_of(ray)}, {what}"


def address_of(ray: Any) -> str:
    """Return the ``HOST:PORT`` of the cluster that this process is connected to."""
    return str(ray.get_runtime_context().gcs_address)


def _with_port(address: str) -> str:
    host = address.removeprefix("ray://")
    return address if ":" in host or address.startswith("ray://") else f"{address}:{_PORT}"


def _require_answer(address: str) -> None:
    """Raise an OSError where nothing listens at an address."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        raise ValueError("this is no HOST:PORT")
    socket.create_connection((host, int(port)), timeout=_ANSWERING).close()


@contextmanager
def quietly() -> Iterator[None]:
    """Keep off standard output what threads of Ray print there about lost machines: it may be read by a program."""
    with redirect_stdout(_WithoutRay(sys.stdout)):
        yield


class _WithoutRay:
    """Standard output for all threads but Ray's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, or where a thread of Ray does, nothing."""
        return len(text) if threading.current_thread().name.startswith("ray_") else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
