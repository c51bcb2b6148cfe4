"""Results that leave a cache as a stream, and results of another cache that join one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import lmdb

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.cache_file import PREFIX, SEAL, SUFFIX, CacheFile, seal
from fhpt_eval.engine.results_file import Stored
from fhpt_eval.errors import UserError

_AT_ONCE = 64
"""Results that are read in one transaction: a longer one would keep other processes from using freed pages again."""


@dataclass(frozen=True)
class Joined:
    """What becomes of results of another cache.

    Attributes:
        new: How many are new here.
        same: How many are here with the same bytes.
        other: How many are here with other bytes, and stay as they are.
        room: Bytes on the disk that the new ones take, at most.
    """

    new: int = 0
    same: int = 0
    other: int = 0
    room: int = 0

    def __add__(self, more: Joined) -> Joined:
        """Both together."""
        return Joined(self.new + more.new, self.same + more.same, self.other + more.other, self.room + more.room)


def count(cache: Cache) -> int:
    """Return how many results the file of a cache has.

    Raises:
        UserError: It cannot be used.
    """
    file = cache.file
    return int(_transact(cache, lambda transaction: transaction.stat(file.trees[0])["entries"]))


def stored(cache: Cache) -> Iterator[Stored]:
    """Yield all results of a cache by ascending address; damaged ones are counted by the cache and left out.

    Raises:
        UserError: The cache cannot be used.
    """
    results, _, about = cache.file.trees
    names: dict[bytes, bytes] = {}
    last = b""

    def following(transaction: Any) -> list[tuple[bytes, bytes]]:
        names.update(transaction.cursor(about))
        with transaction.cursor(results) as cursor:
            there = cursor.set_range(last) if last else cursor.first()
            if there and cursor.key() == last:
                there = cursor.next()
            return [*islice(cursor.iternext(), _AT_ONCE)] if there else []

    while some := _transact(cache, following):
        for address, sealed in some:
            data = sealed[SEAL:]
            if seal(data) != sealed[:SEAL]:
                cache.damaged += 1
                continue
            yield Stored(names.get(address[:PREFIX], b"?").decode(errors="replace"), address, data)
        last = some[-1][0]


def join(cache: Cache, results: Sequence[Stored], *, write: bool = True) -> Joined:
    """Add results of another cache; what is here stays, and nothing is dropped for them.

    Args:
        cache: Takes them in.
        results: Of one extractor.
        write: False only tells what would become of them.

    Raises:
        UserError: They do not fit, or the cache cannot be used or written.
    """
    file = cache.file
    tree, _, about = file.trees

    def add(transaction: Any) -> Joined:
        new: dict[bytes, bytes] = {}
        joined = Joined()
        for _, address, data in results:
            sealed, there = seal(data) + data, transaction.get(address, db=tree)
            if there is None or seal(there[SEAL:]) != there[:SEAL]:
                new[address] = sealed
                joined += Joined(new=1, room=_room(file, len(sealed)))
            else:
                joined += Joined(same=1) if there == sealed else Joined(other=1)
        if write and new:
            _require(cache, file.used(transaction) + joined.room)
            name = results[0].extractor.encode()
            transaction.put(results[0].address[:PREFIX], name, overwrite=False, db=about)
            file.insert(transaction, new)
        return joined

    joined: Joined = _transact(cache, add, write=write)
    return joined


def require_room(cache: Cache, room: int) -> None:
    """Refuse results that would not fit beside what a cache has.

    Raises:
        UserError: They would not.
    """
    _require(cache, room + _transact(cache, cache.file.used))


def _require(cache: Cache, needed: int) -> None:
    if needed > cache.limit:
        raise UserError(
            f"with these results the cache in {cache.folder} may take {-(-needed // 2**20)} MiB, over its limit of"
            f" {cache.limit // 2**20} MiB: set FHPT_EVAL_CACHE_SIZE={-(-needed // 2**20)}M, here and for the runs that"
            " follow."
        )


_NODE = 16
"""Bytes that LMDB keeps for an entry beside key and value, with its place in the page, rounded up."""

_PAGE_HEAD = 16


def _room(file: CacheFile, size: int) -> int:
    """Return the bytes that a new entry takes in the trees, at most.

    Pages of a tree that was split are half full, and a few above them say where they are.
    """
    page = int(file.env.stat()["psize"])
    address = PREFIX + SUFFIX
    own = 0
    if _NODE + address + size > (page - _PAGE_HEAD) // 2:
        # Longer values have pages of their own, whose number stands in their place.
        own, size = -(-(_PAGE_HEAD + size) // page) * page, 8
    return own + (2 * (_NODE + address + size) + 2 * (_NODE + address + 8)) * 9 // 8


def _transact(cache: Cache, use: Callable[[Any], Any], *, write: bool = False) -> Any:
    try:
        return cache.file.transact(use, write=write)
    except (lmdb.Error, OSError) as error:
        raise UserError(
            f"the cache in {cache.folder} cannot be {'written' if write else 'read'} ({error}): free some room, look at"
            " `fhpt-eval cache info`, or set FHPT_EVAL_CACHE to another folder."
        ) from None
