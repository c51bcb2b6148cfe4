"""The cache: what it keeps, what it drops, and that several processes can use it."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fhpt_eval.engine import cache as cache_module
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.cache_place import clear, parse_size, refused
from fhpt_eval.engine.serialising import dump, parse
from fhpt_eval.errors import UserError
from fhpt_eval.records import Missing

ONE, OTHER = "ab" * 32, "cd" * 32


def vector(seed: int, size: int = 100) -> dict[str, Any]:
    return {"v": np.random.default_rng(seed).random(size, dtype=np.float32)}


@pytest.mark.parametrize(
    "record",
    [
        {"v": np.arange(6, dtype=np.float32).reshape(2, 3)},
        {"scalar": np.array(1.5), "flag": np.array(True), "empty": np.zeros((0, 4))},
        {"strided": np.arange(12).reshape(3, 4).T},
    ],
)
def test_records_survive_serialisation(record: dict[str, Any]) -> None:
    back = parse(dump(record))
    assert not isinstance(back, Missing)
    assert back.keys() == record.keys()
    for key, value in record.items():
        assert back[key].dtype == value.dtype
        np.testing.assert_array_equal(back[key], value)


def test_findings_survive_and_faults_are_refused() -> None:
    assert parse(dump(Missing("no face", "finding"))) == Missing("no face", "finding")
    with pytest.raises(ValueError, match="not stored"):
        dump(Missing("unreadable"))


def test_results_are_found_by_fingerprint_and_content(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        cache.put("x", ONE, {"k": vector(1)})
        assert cache.known(ONE, ["k", "l"]) == {"k"}
        assert cache.known(OTHER, ["k"]) == set()
        assert cache.get(OTHER, "k") is None
    with Cache(tmp_path) as cache:
        result = cache.get(ONE, "k")
        assert result is not None
        np.testing.assert_array_equal(result["v"], vector(1)["v"])


def test_the_size_stays_bounded_and_the_newest_results_stay(tmp_path: Path) -> None:
    limit = 2 * 2**20
    for i in range(100):
        with Cache(tmp_path, limit=limit) as cache:
            cache.put("x", ONE, {f"{i}-{j}": vector(i, 2000) for j in range(8)})
            assert cache.trouble is None
    with Cache(tmp_path, limit=limit) as cache:
        assert cache.known(ONE, ["99-7"]) == {"99-7"}
        assert cache.known(ONE, ["0-0"]) == set()
        assert sum(u.bytes for u in cache.usage()) < limit
        assert cache.size < 2 * limit


def test_what_a_run_uses_is_never_dropped_under_it(tmp_path: Path) -> None:
    with Cache(tmp_path, limit=2**20) as cache:
        cache.put("x", ONE, {"old": vector(0, 2000)})
    with Cache(tmp_path, limit=2**20) as cache:
        for i in range(400):
            cache.put("x", ONE, {str(i): vector(i, 2000)})
        assert cache.known(ONE, map(str, range(400))) == set(map(str, range(400)))
        assert cache.trouble is not None
        assert "too small" in cache.trouble
    with Cache(tmp_path, limit=2**20) as cache:
        cache.put("x", ONE, {"next": vector(1, 2000)})
        assert cache.trouble is None


def test_results_larger_than_the_cache_are_kept_for_the_run(tmp_path: Path) -> None:
    with Cache(tmp_path, limit=2**20) as cache:
        for i in range(10):
            cache.put("x", ONE, {str(i): vector(i, 50_000)})
        assert cache.known(ONE, map(str, range(10))) == set(map(str, range(10)))


def _damage(file: Path, start: int, data: bytes) -> None:
    with file.open("r+b") as stream:
        stream.seek(start)
        stream.write(data)


def test_a_damaged_value_is_forgotten_when_it_is_read_and_can_be_written_again(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        cache.put("x", ONE, {"k": vector(1, 5000)})
    file = tmp_path / "data.mdb"
    start = file.read_bytes().index(vector(1, 5000)["v"].tobytes())
    _damage(file, start + 400, b"\xff" * 8)
    with Cache(tmp_path) as cache:
        # What is known is told without reading it: damage is found, and what is damaged forgotten, when it is read.
        assert cache.known(ONE, ["k"]) == {"k"}
        assert cache.get(ONE, "k") is None
        assert cache.known(ONE, ["k"]) == set()
        cache.put("x", ONE, {"k": vector(1, 5000)})
        assert cache.known(ONE, ["k"]) == {"k"}
        assert cache.get(ONE, "k") is not None


def test_what_is_known_is_told_without_reading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: object) -> bytes:
        raise AssertionError("a whole record was read")

    with Cache(tmp_path) as cache:
        cache.put("x", ONE, {str(i): vector(i, 5000) for i in range(20)})
        monkeypatch.setattr(cache_module, "seal", read)
        assert cache.known(ONE, map(str, range(30))) == set(map(str, range(20)))
        with pytest.raises(AssertionError, match="whole record"):
            cache.get(ONE, "3")


def test_a_cut_off_file_is_told_and_survived(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        cache.put("x", ONE, {str(i): vector(i, 5000) for i in range(20)})
    with (tmp_path / "data.mdb").open("r+b") as stream:
        stream.truncate((tmp_path / "data.mdb").stat().st_size // 2)
    with Cache(tmp_path) as cache:
        assert cache.trouble is not None
        assert cache.known(ONE, ["1"]) == set()


def test_usage_names_the_extractors(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        cache.put("small", ONE, {"k": vector(1)})
        cache.put("large[net=vgg]", OTHER, {"k": vector(1, 5000), "l": vector(2, 5000)})
        assert [(u.extractor, u.results) for u in cache.usage()] == [("large[net=vgg]", 2), ("small", 1)]


def test_clear_frees_what_it_says(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        cache.put("x", ONE, {"k": vector(1)})
        size = cache.size
    assert size > 0
    assert clear(tmp_path) >= size
    assert clear(tmp_path) == 0
    with Cache(tmp_path) as cache:
        assert cache.known(ONE, ["k"]) == set()


def test_clearing_does_not_touch_other_files(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with Cache(tmp_path):
        pass
    clear(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "keep"


def _write_many(folder: Path, start: int) -> None:
    with Cache(folder) as cache:
        for i in range(start, start + 50):
            cache.put("x", ONE, {str(i): vector(i)})


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(tmp_path, start)) for start in (0, 25)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    with Cache(tmp_path) as cache:
        assert len(cache.known(ONE, map(str, range(75)))) == 75
        assert [u.results for u in cache.usage()] == [75]


def _write_forever(folder: Path) -> None:
    with Cache(folder) as cache:
        for i in range(10**9):
            cache.put("x", ONE, {str(i): vector(i)})


def test_a_killed_writer_loses_nothing_that_was_written(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_write_forever, args=(tmp_path,))
    process.start()
    with Cache(tmp_path) as cache:
        while not cache.known(ONE, ["100"]):
            assert process.is_alive()
        process.kill()
        process.join()
        for i in range(101):
            result = cache.get(ONE, str(i))
            np.testing.assert_array_equal(result["v"], vector(i)["v"])
        cache.put("x", ONE, {"after": vector(0)})
        assert cache.known(ONE, ["after"])


def test_a_full_disk_is_told_and_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cache(tmp_path) as cache:
        cache.put("x", ONE, {"before": vector(0)})

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(cache, "_make_room", full)
        cache.put("x", ONE, {"k": vector(1)})
        assert cache.trouble is not None
        assert "No space left" in cache.trouble
        assert cache.known(ONE, ["before", "k"]) == {"before", "k"}
        np.testing.assert_array_equal(cache.get(ONE, "k")["v"], vector(1)["v"])


def test_a_damaged_file_is_told_and_survived(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"not an LMDB file" * 1000)
    with Cache(tmp_path) as cache:
        assert cache.trouble is not None
        assert "fhpt-eval cache clear" in cache.trouble
        cache.put("x", ONE, {"k": vector(1)})
        assert cache.known(ONE, ["k"]) == {"k"}


def test_another_format_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cache(tmp_path) as cache:
        cache.put("x", ONE, {"k": vector(1)})
    monkeypatch.setattr(cache_module, "_FORMAT", b"another")
    with Cache(tmp_path) as cache:
        assert cache.trouble is not None
        assert cache.get(ONE, "k") is None


def test_sizes() -> None:
    assert parse_size("20G") == 20 * 2**30
    assert parse_size("1.5m") == 3 * 2**19
    assert parse_size("5000000") == 5_000_000
    for wrong in ("", "G", "many", "-3G", "10", "inf", "1e9T", "nan"):
        with pytest.raises(UserError):
            parse_size(wrong)


def test_the_environment_names_folder_and_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHPT_EVAL_CACHE", str(tmp_path / "here"))
    monkeypatch.setenv("FHPT_EVAL_CACHE_SIZE", "3M")
    with Cache() as cache:
        assert cache.folder == tmp_path / "here"
        assert cache.limit == 3 * 2**20


# One process


def test_a_folder_that_is_open_is_shared(tmp_path: Path) -> None:
    with Cache(tmp_path) as one:
        with Cache(str(tmp_path / ".." / tmp_path.name)) as other:
            other.put("x", ONE, {"k": vector(1)})
            assert (one.trouble, other.trouble) == (None, None)
        # Closed by one of them, it stays open for the other.
        np.testing.assert_array_equal(one.get(ONE, "k")["v"], vector(1)["v"])
        one.put("x", ONE, {"l": vector(2)})
    with Cache(tmp_path) as cache:
        assert cache.trouble is None
        assert cache.known(ONE, ["k", "l"]) == {"k", "l"}


def test_threads_share_a_folder(tmp_path: Path) -> None:
    def use(number: int) -> str | None:
        with Cache(tmp_path) as cache:
            for i in range(20):
                cache.put("x", ONE, {f"{number}-{i}": vector(i)})
                np.testing.assert_array_equal(cache.get(ONE, f"{number}-{i}")["v"], vector(i)["v"])
            return cache.trouble

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(use, range(8))) == [None] * 8
    with Cache(tmp_path) as cache:
        assert [u.results for u in cache.usage()] == [160]


# Damage


def _use(folder: Path, expected: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Do all that a cache does; each result is right or is not there."""
    with Cache(folder) as cache:
        for fingerprint, vectors in expected.items():
            for key in cache.known(fingerprint, vectors):
                found = cache.get(fingerprint, key)
                assert found is None or np.array_equal(found["v"], vectors[key]["v"])
            cache.put("x", fingerprint, vectors)
            cache.put("x", fingerprint, {f"new-{i}": vector(i) for i in range(50)})
            assert cache.known(fingerprint, vectors) == vectors.keys()
        cache.usage()
        return cache.trouble


def _flip(data: bytes, seed: int) -> bytes:
    """Flip a bit or a few, half of the time in the head of a page."""
    random, flipped = np.random.default_rng(seed), bytearray(data)
    for _ in range(random.choice([1, 1, 4])):
        page, at = random.integers(len(data) // 4096), random.integers(4096)
        flipped[page * 4096 + (at % 120 if random.random() < 0.5 else at)] ^= 1 << random.integers(8)
    return bytes(flipped)


def test_no_flipped_bit_ends_the_process_or_gives_another_result(tmp_path: Path) -> None:
    # In a process of its own: LMDB ends it where it believes a damaged file.
    worker = multiprocessing.get_context("spawn").Process(target=_flip_and_use, args=(tmp_path, 60))
    worker.start()
    worker.join()
    assert worker.exitcode == 0, (tmp_path / "at").read_text(encoding="utf-8")


def _flip_and_use(root: Path, flips: int) -> None:
    sizes = {ONE: 10, OTHER: 300, "ef" * 32: 2000}
    expected = {
        f: {str(i): vector(i + size, size) for i in range(60 if size < 2000 else 12)} for f, size in sizes.items()
    }
    for part in range(6):
        # Several transactions, so that there are free pages, too.
        with Cache(root / "whole") as cache:
            for fingerprint, vectors in expected.items():
                cache.put("x", fingerprint, {key: v for key, v in vectors.items() if int(key) % 6 == part})
    data = (root / "whole" / "data.mdb").read_bytes()
    told = 0
    for seed in range(flips):
        (root / "at").write_text(f"seed {seed}", encoding="utf-8")
        folder = root / str(seed)
        folder.mkdir()
        (folder / "data.mdb").write_bytes(_flip(data, seed))
        trouble = _use(folder, expected)
        assert trouble is None or "fhpt-eval cache clear" in trouble
        told += trouble is not None
        shutil.rmtree(folder)
    assert 0 < told < flips


def test_a_whole_file_passes_the_check_while_another_process_writes(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_write_forever, args=(tmp_path,))
    process.start()
    try:
        for _ in range(30):
            with Cache(tmp_path) as cache:
                assert cache.trouble is None
    finally:
        process.kill()
        process.join()


def test_damaged_values_are_found_by_reading_and_told(tmp_path: Path) -> None:
    with Cache(tmp_path) as cache:
        cache.put("x", ONE, {"k": vector(1, 5000), "l": vector(2, 5000)})
    file = tmp_path / "data.mdb"
    _damage(file, file.read_bytes().index(vector(1, 5000)["v"].tobytes()), b"\xff" * 8)
    with Cache(tmp_path) as cache:
        assert cache.intact(ONE, ["k", "l", "m"]) == {"l"}
        (remark,) = cache.remarks
        assert remark.startswith(f"results in the cache in {tmp_path} were damaged")


# Where it lies


@pytest.mark.parametrize(
    ("mounts", "system"),
    [
        ("1 0 0:1 / / rw - ext4 /dev/sda rw", None),
        ("1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {} rw shared:1 - nfs4 host:/home rw", "nfs4"),
        ("2 1 0:2 / {} rw - nfs host:/ rw\n3 1 0:3 / {} rw - ext4 /dev/sdb rw", None),
        ("1 0 0:1 / / rw - lustre mgs@tcp:/fs rw", "lustre"),
        ("1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {} rw - fuse.sshfs me@host: rw", "fuse.sshfs"),
        ("1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {}x rw - cifs //host/share rw", None),
    ],
)
def test_a_network_file_system_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str, system: str | None
) -> None:
    folder = tmp_path / "my cache"
    table = tmp_path / "mountinfo"
    table.write_text(mounts.replace("{}", str(folder).replace(" ", "\\040")), encoding="utf-8")
    monkeypatch.setattr("fhpt_eval.files.mounts.MOUNTS", table)
    if system is None:
        with Cache(folder) as cache:
            cache.put("x", ONE, {"k": vector(1)})
            assert cache.known(ONE, ["k"])
            assert cache.remarks == []
        return
    with pytest.raises(UserError, match=rf"network file system \({system}\).*`export FHPT_EVAL_CACHE=/"):
        Cache(folder)
    assert not folder.exists()


def test_the_folder_that_is_proposed_lies_on_a_local_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    local = tmp_path / "local"
    local.mkdir()
    table.write_text(f"1 0 0:1 / / rw - nfs host:/ rw\n2 1 0:2 / {local} rw - ext4 /dev/sdb rw", encoding="utf-8")
    monkeypatch.setattr("fhpt_eval.files.mounts.MOUNTS", table)
    monkeypatch.delenv("SLURM_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    assert "FHPT_EVAL_CACHE=/local/disk/fhpt-eval`" in str(refused(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(local))
    assert f"FHPT_EVAL_CACHE={local}/fhpt-eval-{os.getuid()}`" in str(refused(tmp_path / "cache"))
    assert refused(local / "cache") is None
