"""Results in one file, to be carried to another machine: written and read as a stream, and trusted in nothing.

The file is a line that names it and its version; a zlib stream of entries; the number of results (8 bytes); and the
SHA-256 of all that stands before. An entry is an extractor (``E``, 16 bytes of its fingerprint, its name) or a result
of the extractor before it (``R``, the 32 bytes that are the hash of the content key, the CRC-32 of its bytes, its
bytes); texts and bytes have their length before them. Numbers are big-endian. Entries ascend by fingerprint and key, so
that the same results are the same file, where zlib is the same. Nothing is unpickled, and no length is believed.
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from fhpt_eval.engine.cache_file import PREFIX, SUFFIX
from fhpt_eval.errors import UserError
from fhpt_eval.files.regular import open_regular

LARGEST = 2**28
"""Bytes that a result may have."""

_MAGIC, _VERSION = b"fhpt-eval results ", b"1\n"
_EXTRACTOR, _RESULT = b"E", b"R"
_EXTRACTOR_HEAD = struct.Struct(f">{PREFIX}sH")
_RESULT_HEAD = struct.Struct(f">{SUFFIX}sII")
_LONGEST_NAME = 4096
_COUNT, _DIGEST = 8, 32
_AT_ONCE = 2**16
_LEVEL = 1
"""zlib's fastest: 0.48 of the size at 80 MB/s, where its usual one gives 0.47 at 43 MB/s."""


class Stored(NamedTuple):
    """A result as it is kept.

    Attributes:
        extractor: Its name.
        address: Of `PREFIX` and `SUFFIX` bytes.
        data: What `fhpt_eval.engine.serialising.dump` made of it.
    """

    extractor: str
    address: bytes
    data: bytes


class BadFileError(UserError):
    """A file that is not a whole one of these."""


def write(stream: IO[bytes], results: Iterable[Stored]) -> int:
    """Write results; return how many they were.

    Args:
        stream: Empty.
        results: By ascending address, with at most `LARGEST` bytes each.
    """
    hashed, count, prefix = hashlib.sha256(), 0, b""

    def put(data: bytes) -> None:
        hashed.update(data)
        stream.write(data)

    put(_MAGIC + _VERSION)
    compressor = zlib.compressobj(_LEVEL)
    for extractor, address, data in results:
        if address[:PREFIX] != prefix:
            prefix = address[:PREFIX]
            name = extractor.encode()[:_LONGEST_NAME].decode(errors="ignore").encode()
            put(compressor.compress(_EXTRACTOR + _EXTRACTOR_HEAD.pack(prefix, len(name)) + name))
        put(compressor.compress(_RESULT + _RESULT_HEAD.pack(address[PREFIX:], len(data), zlib.crc32(data)) + data))
        count += 1
    put(compressor.flush() + count.to_bytes(_COUNT, "big"))
    stream.write(hashed.digest())
    return count


class ResultsFile:
    """A file of results that is open for reading.

    Args:
        path: The file.

    Attributes:
        path: As given.
        count: How many results it says that it has.

    Raises:
        BadFileError: It cannot be read, is none of these files, or is of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._stream = open_regular(path)
        except OSError as error:
            raise BadFileError(
                f"{path} cannot be read ({error.strerror}): give a file that `fhpt-eval cache export` wrote."
            ) from None
        try:
            self._size = os.fstat(self._stream.fileno()).st_size
            head = self._stream.read(len(_MAGIC) + len(_VERSION))
            if not head.startswith(_MAGIC):
                raise BadFileError(f"{path} is not a file that `fhpt-eval cache export` wrote: give one.")
            if head != _MAGIC + _VERSION:
                raise BadFileError(f"{path} was written by another version of fhpt-eval: export it with this one.")
            self._end = self._size - _COUNT - _DIGEST
            if self._end < len(head):
                raise self._bad("it is cut off")
            self._stream.seek(self._end)
            self.count = int.from_bytes(self._stream.read(_COUNT), "big")
            self._digest = self._stream.read(_DIGEST)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __iter__(self) -> Iterator[Stored]:
        """Yield all results; that the file is whole is known at the end only.

        Raises:
            BadFileError: It is not.
        """
        inflated = self._inflated()
        buffer = bytearray()

        def take(size: int) -> bytes:
            while len(buffer) < size:
                if not (more := next(inflated, b"")):
                    raise self._bad("a result is cut off")
                buffer.extend(more)
            taken = bytes(memoryview(buffer)[:size])
            del buffer[:size]
            return taken

        count, extractor, prefix, last = 0, "", b"", b""
        while buffer or (more := next(inflated, b"")):
            if not buffer:
                buffer.extend(more)
            kind = take(1)
            if kind == _EXTRACTOR:
                before = prefix
                prefix, length = _EXTRACTOR_HEAD.unpack(take(_EXTRACTOR_HEAD.size))
                if prefix <= before or length > _LONGEST_NAME:
                    raise self._bad("an extractor is out of place")
                extractor = take(length).decode(errors="replace")
            elif kind == _RESULT and prefix:
                suffix, length, checksum = _RESULT_HEAD.unpack(take(_RESULT_HEAD.size))
                if length > LARGEST or prefix + suffix <= last:
                    raise self._bad("a result is out of place")
                last, data = prefix + suffix, take(length)
                if zlib.crc32(data) != checksum:
                    raise self._bad("a result has another checksum")
                count += 1
                yield Stored(extractor, last, data)
            else:
                raise self._bad("it holds something else")
        if count != self.count:
            raise self._bad("it has not as many results as it says")

    def _inflated(self) -> Iterator[bytes]:
        """Yield what was compressed, in pieces of bounded size; check the whole file at the end."""
        self._stream.seek(0)
        hashed = hashlib.sha256(self._stream.read(len(_MAGIC) + len(_VERSION)))
        left = self._end - len(_MAGIC) - len(_VERSION)
        decompressor = zlib.decompressobj()
        try:
            while left and (chunk := self._stream.read(min(_AT_ONCE, left))):
                left -= len(chunk)
                hashed.update(chunk)
                while chunk and not decompressor.eof:
                    if piece := decompressor.decompress(chunk, _AT_ONCE):
                        yield piece
                    chunk = decompressor.unconsumed_tail
                if chunk or decompressor.unused_data:
                    raise self._bad("something follows its results")
            while not decompressor.eof and (piece := decompressor.decompress(b"", _AT_ONCE)):
                yield piece
        except zlib.error:
            raise self._bad("its compression is damaged") from None
        except OSError as error:
            raise self._bad(error.strerror or "it cannot be read") from None
        hashed.update(self.count.to_bytes(_COUNT, "big"))
        if left or not decompressor.eof or hashed.digest() != self._digest:
            raise self._bad("its checksum is another")

    def _bad(self, what: str) -> BadFileError:
        return BadFileError(f"{self.path} is damaged ({what}): copy it once more, or export it again.")
