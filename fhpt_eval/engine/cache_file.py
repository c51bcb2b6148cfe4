"""The LMDB file of the cache: checked before it is used, and open once in a process, however often it is asked for."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from fhpt_eval.engine.cache_check import DamagedError, check_file, check_head

NAME = "data.mdb"
_SLACK = 64 * 2**20
"""Room above the limit, because dropping results in LMDB needs free pages itself."""

_TREES = (b"results", b"order", b"about")
_SNAPSHOTS = 5
"""How often a check begins again because other processes write."""


@dataclass
class CacheFile:
    """An open file.

    Attributes:
        env: The LMDB environment.
        trees: Of results, their order, and what is said about them.
        limit: Bytes that results may take.
        users: How many have it open.
    """

    env: Any
    trees: tuple[Any, Any, Any]
    limit: int
    key: tuple[int, str]
    users: int = 1

    def close(self) -> None:
        """Give it back; the last one closes it."""
        with _LOCK:
            self.users -= 1
            if self.users == 0:
                del _OPEN[self.key]
                self.env.close()


_OPEN: dict[tuple[int, str], CacheFile] = {}
"""By process, because LMDB's environments do not survive a fork, and by path."""

_LOCK = threading.Lock()


def open_file(folder: Path, limit: int) -> CacheFile:
    """Open the file in a folder, or share what this process has open there, with its limit.

    Raises:
        DamagedError: It is not whole.
        lmdb.Error: LMDB cannot use it.
        OSError: The folder cannot be used.
    """
    key = os.getpid(), os.path.realpath(folder)
    with _LOCK:
        if (found := _OPEN.get(key)) is not None:
            found.users += 1
            return found
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / NAME).exists() and (folder / NAME).stat().st_size:
            _checked(folder / NAME, None)
        env = lmdb.open(key[1], map_size=limit + _SLACK, max_dbs=len(_TREES), max_readers=512)
        try:
            _checked(folder / NAME, env)
            results, order, about = (env.open_db(name) for name in _TREES)
        except BaseException:
            env.close()
            raise
        found = _OPEN[key] = CacheFile(env, (results, order, about), limit, key)
        return found


def _checked(path: Path, env: Any) -> None:
    """Check the head of a file, or with its environment, all of it."""
    file = os.open(path, os.O_RDONLY)
    try:
        if env is None:
            check_head(file)
            return
        for _ in range(_SNAPSHOTS):
            with env.begin() as transaction:
                if check_file(file, transaction.id()):
                    return
    finally:
        os.close(file)
    raise DamagedError("it does not describe what was written last")
