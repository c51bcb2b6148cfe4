"""A content-addressed store of results in one LMDB environment, shared by all runs and processes.

A key is the hash of an extractor's fingerprint and of the bytes of the images, never a path, a name or a time: so a
killed run resumes, a second run computes nothing, and changed files are never confused with what they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb

from fhpt_eval.engine.cache_check import DamagedError
from fhpt_eval.engine.cache_file import NAME, PREFIX, SEAL, CacheFile, open_file, seal
from fhpt_eval.engine.cache_place import default_folder, default_limit, refused
from fhpt_eval.engine.serialising import dump, parse
from fhpt_eval.errors import UserError
from fhpt_eval.files.atomic import NO_ROOM
from fhpt_eval.records import Missing, Result

_FORMAT = b"2"

_AT_ONCE = 64
"""Results that are read in one transaction."""


@dataclass(frozen=True)
class Usage:
    """What one extractor keeps in the cache."""

    extractor: str
    fingerprint: str
    results: int
    bytes: int


class Cache:
    """Results by (fingerprint, content key).

    When the disk is full, the folder read-only or the file damaged, results are kept in memory for the time of the
    run and `trouble` says why: a run never fails for its cache. Where a process opens a folder again, both share it.

    Attributes:
        folder: Where it is.
        limit: Bytes on disk, at most.
        trouble: Why results are kept in memory only.
        unusable: Why the file cannot be used, for who only looks at it; empty where it can.
        damaged: How many results were found damaged, and dropped.

    Raises:
        UserError: It lies where it must not, see `refused`.
    """

    def __init__(self, folder: str | Path | None = None, limit: int | None = None) -> None:
        self.folder = Path(folder) if folder else default_folder()
        self.limit = limit or default_limit()
        if (why := refused(self.folder)) is not None:
            raise UserError(why)
        self.trouble: str | None = None
        self.unusable = ""
        self.damaged = 0
        self._memory: dict[bytes, bytes] = {}
        self._in_use: set[bytes] = set()
        self._file: CacheFile | None = None
        try:
            self._file = open_file(self.folder, self.limit)
            self.limit = min(self.limit, self._file.limit)
            self._results, self._order, self._about = self._file.trees
            self._check_format(self._file)
        except (lmdb.Error, OSError, DamagedError) as error:
            self._give_up(error)

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def file(self) -> CacheFile:
        """The open file.

        Raises:
            UserError: It cannot be used.
        """
        if self._file is None or self.unusable:
            raise UserError(self.unusable)
        return self._file

    @property
    def remarks(self) -> list[str]:
        """What the user should know of it."""
        told = [self.trouble] if self.trouble else []
        if self.damaged:
            told.append(
                f"results in the cache in {self.folder} were damaged, and computed again: if that comes back, look at"
                " the disk"
            )
        return told

    def known(self, fingerprint: str, keys: Iterable[str]) -> set[str]:
        """Return which of ``keys`` are there, without reading the results; they stay until this cache is closed."""
        prefix = _prefix(fingerprint)
        addresses = {key: prefix + _suffix(key) for key in keys}
        stored = self._stored([address for address in addresses.values() if address not in self._memory])
        found = {key for key, address in addresses.items() if address in self._memory or address in stored}
        self._in_use.update(addresses[key] for key in found)
        return found

    def intact(self, fingerprint: str, keys: Iterable[str]) -> set[str]:
        """Return which of ``keys`` are there and can be read."""
        known = [*self.known(fingerprint, keys)]
        return {key for key, result in zip(known, self.read(fingerprint, known), strict=True) if result is not None}

    def get(self, fingerprint: str, key: str) -> Result | None:
        """Read one result; None when it is not there or damaged, and a damaged one is gone from then on."""
        return next(self.read(fingerprint, [key]))

    def read(self, fingerprint: str, keys: Iterable[str]) -> Iterator[Result | None]:
        """Yield the result of each key, as `get` does; some are read at once, and never all of them held."""
        prefix, remaining = _prefix(fingerprint), iter(keys)
        while some := [prefix + _suffix(key) for key in islice(remaining, _AT_ONCE)]:
            yield from map(self._opened, some, self._sealed(some))

    def _opened(self, address: bytes, sealed: bytes | None) -> Result | None:
        if address in self._memory:
            return parse(self._memory[address])
        if sealed is None:
            return None
        data = memoryview(sealed)[SEAL:]
        if seal(data) == sealed[:SEAL]:
            return parse(data)
        self.damaged += 1
        self._with_results(lambda results: results.delete(address), write=True)
        return None

    def _sealed(self, addresses: Sequence[bytes]) -> list[bytes | None]:
        """Return what the file has at each address."""
        return self._with_results(lambda results: [*map(results.get, addresses)]) or [None] * len(addresses)

    def _stored(self, addresses: Sequence[bytes]) -> set[bytes]:
        """Which addresses the file has; the values behind them are not read."""

        def there(results: Any) -> set[bytes]:
            with results.cursor() as cursor:
                return {address for address in addresses if cursor.set_key(address)}

        return self._with_results(there) or set()

    def _with_results(self, use: Callable[[Any], Any], *, write: bool = False) -> Any:
        """Return what comes of a transaction on the results; None where the file cannot be used."""
        if self._file is None:
            return None
        try:
            return self._file.transact(use, db=self._results, write=write)
        except lmdb.Error as error:
            self._give_up(error)
            return None

    def put(self, extractor: str, fingerprint: str, results: Mapping[str, Result]) -> None:
        """Keep results (other than faults) under their keys, in one transaction."""
        prefix = _prefix(fingerprint)
        items = {
            prefix + _suffix(key): dump(result)
            for key, result in results.items()
            if not (isinstance(result, Missing) and result.fault)
        }
        if not items:
            return
        if self._file is not None and self.trouble is None and sum(map(len, items.values())) < self.limit // 4:
            try:
                self._write(self._file, extractor, fingerprint, items)
            except _Full:
                self.trouble = (
                    f"the cache in {self.folder} ({self.limit / 2**20:.0f} MiB) is too small for this run; what does"
                    " not fit is kept in memory and computed again next time: set FHPT_EVAL_CACHE_SIZE, such as 50G"
                )
            except (lmdb.Error, OSError) as error:
                self._give_up(error)
            else:
                self._in_use.update(items)
                return
        self._memory.update(items)

    def usage(self) -> list[Usage]:
        """Return what each extractor keeps, largest first."""
        if self._file is None:
            return []
        found: dict[bytes, tuple[int, int]] = {}
        try:
            with self._file.env.begin() as transaction:
                names = {bytes(k): bytes(v).decode(errors="replace") for k, v in transaction.cursor(self._about)}
                for address, value in transaction.cursor(self._results):
                    count, size = found.get(bytes(address[:PREFIX]), (0, 0))
                    found[bytes(address[:PREFIX])] = (count + 1, size + len(address) + len(value))
        except lmdb.Error as error:
            self._give_up(error)
            return []
        usages = [Usage(names.get(p, "?"), p.hex(), count, size) for p, (count, size) in found.items()]
        return sorted(usages, key=lambda u: (-u.bytes, u.extractor))

    @property
    def size(self) -> int:
        """Bytes that the file takes on the disk."""
        file = self.folder / NAME
        return file.stat().st_blocks * 512 if file.exists() else 0

    def _write(self, file: CacheFile, extractor: str, fingerprint: str, items: Mapping[bytes, bytes]) -> None:
        def insert(transaction: Any) -> None:
            self._make_room(file, transaction, sum(map(len, items.values())))
            transaction.put(_prefix(fingerprint), extractor.encode(), db=self._about)
            file.insert(transaction, {address: seal(data) + data for address, data in items.items()})

        file.transact(insert, write=True)

    def _make_room(self, file: CacheFile, transaction: Any, needed: int) -> None:
        """Drop the results that were written first until ``needed`` bytes fit; never those that this run uses."""
        while file.used(transaction) + needed > self.limit:
            with transaction.cursor(self._order) as cursor:
                dropped = 0
                while dropped < 64 and cursor.first():
                    if cursor.value() in self._in_use:
                        raise _Full
                    transaction.delete(cursor.value(), db=self._results)
                    cursor.delete()
                    dropped += 1
            if not dropped:
                raise _Full

    def _check_format(self, file: CacheFile) -> None:
        with file.env.begin(write=True, db=self._about) as transaction:
            if transaction.get(b"format", default=_FORMAT) != _FORMAT:
                raise _OtherFormat("it was written by another version of fhpt-eval")
            transaction.put(b"format", _FORMAT, overwrite=False)

    def _give_up(self, error: Exception) -> None:
        what, do = f"cannot be written ({error})", "free some room, run `fhpt-eval cache clear`, or "
        if isinstance(error, OSError) and error.errno not in NO_ROOM:
            do = ""
        elif isinstance(error, _DAMAGE):
            # What LMDB does with such a file is not to be relied on.
            what, do = f"is damaged ({error})", "run `fhpt-eval cache clear`, or "
            self.close()
        elif isinstance(error, _OtherFormat):
            what, do = f"cannot be used ({error})", "run `fhpt-eval cache clear`, or "
            self.close()
        where = f"the cache in {self.folder} {what}"
        help_ = f"{do}set FHPT_EVAL_CACHE to another folder"
        self.trouble = f"{where}; results are kept in memory for this run only: {help_}"
        self.unusable = f"{where}: {help_}."


class _OtherFormat(lmdb.Error):
    """The file is of another version of this package."""


_DAMAGE = (
    *(DamagedError, lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.PanicError),
    *(lmdb.VersionMismatchError, lmdb.CursorFullError, lmdb.PageFullError, lmdb.BadTxnError),
)
"""What LMDB says of a file that it did not write so."""


class _Full(Exception):
    """All that could be dropped is in use."""


def _prefix(fingerprint: str) -> bytes:
    return bytes.fromhex(fingerprint)[:PREFIX]


def _suffix(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
