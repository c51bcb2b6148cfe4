"""The LMDB file of the cache: checked before it is used, and open once in a process, however often it is asked for.

A result stands in the tree ``results`` behind its seal, by its address: `PREFIX` bytes of its extractor's fingerprint,
and the hash of its content key. ``order`` has the addresses by the numbers in which they came, ``about`` the names of
extractors.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable, Mapping
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


PREFIX, SUFFIX = 16, 32
"""Bytes of an address that name the extractor, and those that are the hash of the content key."""

SEAL = 4
"""Bytes before a result that tell whether it is damaged."""


def seal(data: bytes | memoryview) -> bytes:
    """Return the seal of a result."""
    return zlib.crc32(data).to_bytes(SEAL, "big")


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

    def transact(self, use: Callable[[Any], Any], **options: Any) -> Any:
        """Return what comes of a transaction.

        Raises:
            lmdb.Error: LMDB cannot do it.
        """
        try:
            with self.env.begin(**options) as transaction:
                return use(transaction)
        except lmdb.MapResizedError:
            # Another process opened the cache with a larger limit.
            self.env.set_mapsize(0)
            with self.env.begin(**options) as transaction:
                return use(transaction)

    def insert(self, transaction: Any, items: Mapping[bytes, bytes]) -> None:
        """Put sealed results under their addresses, those that are new behind all others."""
        results, order, _ = self.trees
        with transaction.cursor(order) as cursor:
            number = int.from_bytes(cursor.key(), "big") + 1 if cursor.last() else 0
        for address, sealed in items.items():
            if transaction.get(address, db=results) is None:
                transaction.put(number.to_bytes(8, "big"), address, db=order)
                number += 1
            transaction.put(address, sealed, db=results)

    def used(self, transaction: Any) -> int:
        """Bytes of the pages that results take."""
        pages = 0
        for tree in self.trees[:2]:
            stat = transaction.stat(tree)
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        return pages * int(self.env.stat()["psize"])

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
