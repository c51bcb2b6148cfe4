"""Whether an LMDB file is whole: every page and node is looked at by plain reading.

LMDB maps its file into memory and follows what stands there: one wrong bit can end the process (SIGSEGV, SIGBUS), or
lead from a key to the value of another. Values are not looked at; the cache seals those. The layout is LMDB 0.9's
``mdb.c``, on a 64-bit little-endian machine.
"""

from __future__ import annotations

import operator
import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _OVERFLOW, _META = 1, 2, 4, 8
_DIRTY = 0x10
_INTEGER_KEY = 8
_LARGEST_PAGE = 65536
_BIGDATA, _SUBDATA = 1, 2
_NONE = 2**64 - 1
_META_PAGES = 2
_PAGE, _NODE = 16, 8
"""Bytes of a page's and of a node's header."""

_AT_ONCE = 64
"""Pages that are looked at together."""

_HEADER = struct.Struct("<QHHHH")
_TREE = struct.Struct("<IHHQQQQQ")
_META_HEADER = struct.Struct("<IIQQ")


class DamagedError(Exception):
    """What is wrong, in a phrase."""


class _Tree(NamedTuple):
    """``MDB_db``: what the file says of one of its trees."""

    page_size: int
    flags: int
    depth: int
    branches: int
    leaves: int
    overflows: int
    entries: int
    root: int


class _Nodes(NamedTuple):
    """The nodes of a page, in the order of their keys."""

    keys: list[bytes]
    kinds: list[int]
    sizes: list[int]
    """Of their data."""
    held: list[bytes]
    """What stands in the page: the data, or the number of the page where it is."""


def check_head(file: int) -> int:
    """Check what LMDB believes before it opens a file; return the file's page size.

    Raises:
        DamagedError: It is no LMDB file, or not whole.
    """
    first = os.pread(file, _LARGEST_PAGE * 2, 0)
    described = first.ljust(_PAGE + _META_HEADER.size + _TREE.size, b"\0")
    size = _Tree(*_TREE.unpack_from(described, _PAGE + _META_HEADER.size)).page_size
    if not 512 <= size <= _LARGEST_PAGE or size & (size - 1) or len(first) < 2 * size:
        raise DamagedError("it has no head")
    for number in range(_META_PAGES):
        own, _, flags, *_ = _HEADER.unpack_from(first, number * size)
        magic, version, address, _ = _META_HEADER.unpack_from(first, number * size + _PAGE)
        free = _Tree(*_TREE.unpack_from(first, number * size + _PAGE + _META_HEADER.size))
        if (own, flags & ~_DIRTY, magic, version, address) != (number, _META, _MAGIC, _VERSION, 0):
            raise DamagedError(f"page {number} does not describe it")
        if free.flags != _INTEGER_KEY or free.page_size != size:
            raise DamagedError(f"page {number} does not describe it")
    return size


def check_file(file: int, snapshot: int) -> bool:
    """Check all that a snapshot of the file consists of.

    Args:
        file: Descriptor of ``data.mdb``.
        snapshot: Number of the transaction after which the file is looked at; a reader has to hold it.

    Returns:
        False where the file says nothing of this snapshot any more, because other processes wrote: take a newer one.

    Raises:
        DamagedError: It is not whole.
    """
    size = check_head(file)
    for number in range(_META_PAGES):
        page = os.pread(file, size, number * size)
        at = _PAGE + _META_HEADER.size
        free, main = (_Tree(*_TREE.unpack_from(page, at + i * _TREE.size)) for i in range(2))
        last, transaction = struct.unpack_from("<QQ", page, at + 2 * _TREE.size)
        if transaction == snapshot:
            _Check(file, size, last).all(free, main)
            return True
    return False


class _Check:
    def __init__(self, file: int, page_size: int, last: int) -> None:
        self._file, self._size, self._last = file, page_size, last
        self._seen: set[int] = set(range(_META_PAGES))
        self._free: set[int] = set()

    def all(self, free: _Tree, main: _Tree) -> None:
        if os.fstat(self._file).st_size < (self._last + 1) * self._size:
            raise DamagedError("it is cut off")
        for kind, size, held in self._tree(free, numbers=True):
            self._freed(kind, size, held)
        for kind, size, held in self._tree(main):
            if kind & _SUBDATA:
                if size != _TREE.size:
                    raise DamagedError("what it says of its trees is wrong")
                for _ in self._tree(_Tree(*_TREE.unpack(held))):
                    pass
        if self._free & self._seen:
            raise DamagedError("pages in use are listed as free")

    def _tree(self, tree: _Tree, *, numbers: bool = False) -> Iterator[tuple[int, int, bytes]]:
        """Check a tree; yield kind, size and data of its nodes.

        Args:
            tree: What the file says of it.
            numbers: Its keys are numbers, and compared as such.
        """
        if tree.root == _NONE:
            if tree.entries or tree.depth:
                raise DamagedError("a tree has no root")
            return
        branches = leaves = overflows = entries = 0
        below = [(tree.root, tree.depth, b"", b"")]
        while below:
            # Pages of one level, because the many leaves are looked at faster together.
            depth = below[-1][1]
            some: list[tuple[int, int, bytes, bytes]] = []
            while below and below[-1][1] == depth and len(some) < _AT_ONCE:
                some.append(below.pop())
            for (number, _, low, high), (flags, nodes) in zip(some, self._pages([p[0] for p in some]), strict=True):
                if flags != (_LEAF if depth == 1 else _BRANCH) or (depth > 1 and len(nodes.keys) < 2):
                    raise DamagedError(f"page {number} is of the wrong kind")
                # The first key of a branch stands for all that is smaller, whatever it is.
                keys = nodes.keys if depth == 1 else nodes.keys[1:]
                keys = [key[::-1] for key in keys] if numbers else keys
                if not all(map(operator.lt, keys, keys[1:])) or (
                    keys and (keys[0] < low or (high and keys[-1] >= high))
                ):
                    raise DamagedError(f"page {number} is out of order")
                if depth > 1:
                    branches += 1
                    pages = [int.from_bytes(held, "little") for held in nodes.held]
                    below += zip(pages, [depth - 1] * len(pages), [low, *keys], [*keys, high], strict=True)
                    continue
                leaves, entries = leaves + 1, entries + len(keys)
                for kind, size, held in zip(nodes.kinds, nodes.sizes, nodes.held, strict=True):
                    overflows += self._overflow(held, size) if kind & _BIGDATA else 0
                    yield kind, size, held
        if (branches, leaves, overflows, entries) != (tree.branches, tree.leaves, tree.overflows, tree.entries):
            raise DamagedError("a tree has not as many pages or entries as it says")

    def _pages(self, numbers: Sequence[int]) -> list[tuple[int, _Nodes]]:
        """Check pages; return the kind and the nodes of each."""
        for number in numbers:
            self._take(number, 1)
        data = b"".join(os.pread(self._file, self._size, number * self._size) for number in numbers)
        if len(data) != len(numbers) * self._size:
            raise DamagedError("it is cut off")
        words = np.frombuffer(data, "<u2").reshape(len(numbers), -1).astype(np.int64)
        own = np.frombuffer(data, "<u8").reshape(len(numbers), -1)[:, 0]
        flags, lower, upper = words[:, 5] & ~_DIRTY, words[:, 6], words[:, 7]
        wrong = (own != np.array(numbers, np.uint64)) | (lower < _PAGE) | (lower > upper) | (upper > self._size)
        _refuse(wrong | (lower % 2 != 0), numbers, "has a wrong head")
        counts = (lower - _PAGE) // 2
        page = np.repeat(np.arange(len(numbers)), counts)
        at = words[:, _PAGE // 2 :][np.arange(words.shape[1] - _PAGE // 2) < counts[:, None]]
        wrong = (at < upper[page]) | (at > self._size - _NODE) | (at % 2 != 0)
        _refuse(page[wrong], numbers, "has a node outside of it")
        low, high, kind, length = (words[page, at // 2 + i] for i in range(4))
        starts = at + _NODE + length
        # A branch has the number of the page below where a leaf has kind and size.
        branch = flags[page] == _BRANCH
        sizes = np.where(branch, low, low | high << 16)
        kinds = np.where(branch, 0, kind)
        ends = np.where(branch, starts, starts + np.where(kinds & _BIGDATA, 8, sizes))
        _refuse(page[(ends > self._size) | ((kinds & ~(_BIGDATA | _SUBDATA)) != 0)], numbers, "has a damaged node")
        order = np.lexsort((at, page))
        after = (ends[order][:-1] > at[order][1:]) & (page[order][:-1] == page[order][1:])
        _refuse(page[order][1:][after], numbers, "has nodes in each other's place")
        begin = page * self._size
        keys = _slices(data, begin + at + _NODE, begin + starts)
        held = _slices(data, begin + np.where(branch, at, starts), begin + np.where(branch, at + 6, ends))
        all_kinds, all_sizes, found, first = kinds.tolist(), sizes.tolist(), [], 0
        for flag, count in zip(flags.tolist(), counts.tolist(), strict=True):
            own_nodes = slice(first, first + count)
            found.append((flag, _Nodes(keys[own_nodes], all_kinds[own_nodes], all_sizes[own_nodes], held[own_nodes])))
            first += count
        return found

    def _overflow(self, held: bytes, size: int) -> int:
        """Check the pages of a value that is too long for a leaf; return how many they are."""
        number = int.from_bytes(held, "little")
        if not _META_PAGES <= number <= self._last:
            raise DamagedError(f"page {number} is not in it")
        own, _, flags, low, high = _HEADER.unpack(os.pread(self._file, _PAGE, number * self._size))
        pages = int(low) | int(high) << 16
        if own != number or flags & ~_DIRTY != _OVERFLOW or pages != -(-(_PAGE + size) // self._size):
            raise DamagedError(f"page {number} has a wrong head")
        self._take(number, pages)
        return pages

    def _freed(self, kind: int, size: int, held: bytes) -> None:
        """Check the list of pages that a transaction has freed."""
        if kind & _BIGDATA:
            held = os.pread(self._file, size, int.from_bytes(held, "little") * self._size + _PAGE)
        count, *numbers = np.frombuffer(held[: len(held) // 8 * 8], "<u8").tolist() or [1]
        pages = set(numbers[:count])
        if len(pages) < count or pages & self._free or any(not _META_PAGES <= p <= self._last for p in pages):
            raise DamagedError("the list of free pages is wrong")
        self._free |= pages

    def _take(self, number: int, count: int) -> None:
        """Note pages as used, which nothing else may use."""
        if not _META_PAGES <= number <= self._last + 1 - count:
            raise DamagedError(f"page {number} is not in it")
        for each in range(number, number + count):
            if each in self._seen:
                raise DamagedError(f"page {each} is used twice")
            self._seen.add(each)


def _refuse(wrong: npt.NDArray[Any], numbers: Sequence[int], what: str) -> None:
    """Name the first page that is wrong: by a mask of all, or by the places of those that are."""
    if (places := np.flatnonzero(wrong) if wrong.dtype == bool else wrong).size:
        raise DamagedError(f"page {numbers[int(places[0])]} {what}")


def _slices(data: bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> list[bytes]:
    return [data[i:j] for i, j in zip(starts.tolist(), ends.tolist(), strict=True)]
