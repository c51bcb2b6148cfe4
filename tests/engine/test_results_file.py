"""The file in which results are carried: what is written is read, and nothing else is."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from fhpt_eval.engine.results_file import BadFileError, ResultsFile, Stored, write

HEAD = b"fhpt-eval results 1\n"
RESULTS = [
    Stored("ssim", b"a" * 48, b"one"),
    Stored("ssim", b"a" * 16 + b"b" * 32, b""),
    Stored("features[net=ä]", b"b" * 48, os.urandom(200_000)),
]


def content(results: Iterable[Stored] = RESULTS) -> bytes:
    stream = io.BytesIO()
    write(stream, results)
    return stream.getvalue()


def read(path: Path, data: bytes) -> list[Stored]:
    path.write_bytes(data)
    with ResultsFile(path) as file:
        return [*file]


def sealed(entries: bytes, count: int = 0, more: bytes = b"") -> bytes:
    """A file whose checksum is right, whatever its entries are."""
    body = HEAD + zlib.compress(entries) + more + count.to_bytes(8, "big")
    return body + hashlib.sha256(body).digest()


def extractor(prefix: bytes = b"a" * 16, name: bytes = b"x") -> bytes:
    return b"E" + prefix + struct.pack(">H", len(name)) + name


def result(suffix: bytes = b"a" * 32, data: bytes = b"data", length: int | None = None) -> bytes:
    return b"R" + suffix + struct.pack(">II", len(data) if length is None else length, zlib.crc32(data)) + data


@pytest.mark.parametrize("results", [[], RESULTS[:1], RESULTS], ids=len)
def test_what_is_written_is_read(tmp_path: Path, results: list[Stored]) -> None:
    data = content(results)
    assert read(tmp_path / "results", data) == results
    assert data == content(results)
    with ResultsFile(tmp_path / "results") as file:
        assert file.count == len(results)


def test_our_own_entries_are_read(tmp_path: Path) -> None:
    entries = extractor() + result() + result(b"b" * 32)
    assert [r.data for r in read(tmp_path / "results", sealed(entries, 2))] == [b"data", b"data"]


def test_a_file_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    data = content([*RESULTS[:2], Stored("features", b"b" * 48, b"x" * 3000)])
    for length in range(len(data)):
        with pytest.raises(BadFileError, match=r"is damaged|is not a file that|another version"):
            read(tmp_path / "results", data[:length])


def test_a_file_of_which_a_bit_is_another_is_refused(tmp_path: Path) -> None:
    data = content([*RESULTS[:2], Stored("features", b"b" * 48, b"x" * 300)])
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadFileError, match=r"is damaged|is not a file that|another version"):
            read(tmp_path / "results", bytes(flipped))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is not a file that `fhpt-eval cache export` wrote"),
        (b"PK\x03\x04" + bytes(100), "is not a file that"),
        (content().replace(b"results 1", b"results 2"), "written by another version"),
        (HEAD, "it is cut off"),
        (content() + b"x", "is damaged"),
        (sealed(b"", more=b"more"), "something follows"),
        (sealed(b"X"), "it holds something else"),
        (sealed(result(), 1), "it holds something else"),
        (sealed(extractor() + result(), 2), "not as many results"),
        (sealed(extractor() + result() + result(), 2), "a result is out of place"),
        (sealed(extractor(b"b" * 16) + extractor()), "an extractor is out of place"),
        (sealed(extractor(name=b"x" * 5000)), "an extractor is out of place"),
        (sealed(extractor() + result(length=3), 1), "another checksum"),
        (sealed(extractor() + result(length=2**28), 1), "a result is cut off"),
        (sealed(extractor() + result(length=2**32 - 1), 1), "a result is out of place"),
        (sealed(extractor() + result()[:20], 1), "a result is cut off"),
    ],
)
def test_what_is_no_such_file_is_one_sentence(tmp_path: Path, data: bytes, told: str) -> None:
    with pytest.raises(BadFileError, match=told):
        read(tmp_path / "results", data)


def test_what_is_no_file_is_one_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, told in (("nothing", "No such file"), ("pipe", "a named pipe"), (".", "a folder")):
        with pytest.raises(BadFileError, match=f"cannot be read .*{told}"):
            ResultsFile(tmp_path / name)


def test_a_file_is_read_in_small_pieces(tmp_path: Path) -> None:
    import tracemalloc

    results = (Stored("x", b"a" * 16 + number.to_bytes(32, "big"), bytes(100_000)) for number in range(1000))
    with (tmp_path / "results").open("wb") as stream:
        tracemalloc.start()
        write(stream, results)
    with ResultsFile(tmp_path / "results") as file:
        assert sum(len(result.data) for result in file) == 100_000_000
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3_000_000
    assert (tmp_path / "results").stat().st_size < 1_000_000
