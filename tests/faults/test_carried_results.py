"""Imports that are killed, or go on beside other imports and a run, and disks that are full: the cache is whole."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from faults.test_full_disk import FULL, READ_ONLY, failing

from fhpt_eval.engine.cache import Cache
from fhpt_eval.evaluation.carrying import export_results, import_results
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.progress import silent

if TYPE_CHECKING:
    from conftest import Command

pytestmark = pytest.mark.slow
ONE, OTHER = "ab" * 32, "cd" * 32
COUNT = 6000
SPAWNING = multiprocessing.get_context("spawn")


def fill(cache: Cache, fingerprint: str, keys: range) -> None:
    cache.put("x", fingerprint, {str(k): {"v": np.random.default_rng(k).random(300)} for k in keys})


def take_in(folder: Path, file: Path, die_after: float = 0) -> None:
    """Import a file; of a process that is to die so many seconds after it has begun to, nothing is cleaned up."""

    def begun(stage: str, done: int, _total: int) -> None:
        if die_after and not done and stage.startswith("importing"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, die_after)

    with Cache(folder) as cache:
        import_results(cache, [file], Numerics(), begun)


def write_on(folder: Path) -> None:
    with Cache(folder) as cache:
        for start in range(0, 1000, 10):
            fill(cache, OTHER, range(start, start + 10))


@pytest.fixture
def carried(tmp_path: Path) -> Path:
    with Cache(tmp_path / "there") as cache:
        fill(cache, ONE, range(COUNT))
        export_results(cache, tmp_path / "results", silent)
    return tmp_path / "results"


def test_a_killed_import_leaves_a_whole_cache_and_goes_on(
    tmp_path: Path, carried: Path, times: Callable[[int, int], int]
) -> None:
    started = time.monotonic()
    take_in(tmp_path / "whole", carried)
    took = time.monotonic() - started
    left = []
    for number in range(count := times(5, 50)):
        folder = tmp_path / str(number)
        process = SPAWNING.Process(target=take_in, args=(folder, carried, took * (number + 0.01) / count))
        process.start()
        process.join()
        assert process.exitcode in {0, -signal.SIGALRM}
        with Cache(folder) as cache:
            assert cache.trouble is None
            left.append(len(cache.intact(ONE, map(str, range(COUNT)))))
        take_in(folder, carried)
        with Cache(folder) as cache:
            assert len(cache.intact(ONE, map(str, range(COUNT)))) == COUNT
    assert min(left) < COUNT


def test_two_imports_and_a_run_go_on_side_by_side(tmp_path: Path, carried: Path) -> None:
    folder = tmp_path / "cache"
    processes = [SPAWNING.Process(target=take_in, args=(folder, carried)) for _ in range(2)]
    processes.append(SPAWNING.Process(target=write_on, args=(folder,)))
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    with Cache(folder) as cache:
        assert len(cache.intact(ONE, map(str, range(COUNT)))) == COUNT
        assert len(cache.intact(OTHER, map(str, range(1000)))) == 1000


@pytest.mark.parametrize("error", [FULL, READ_ONLY], ids=["full", "read-only"])
def test_an_export_to_a_disk_that_takes_nothing_is_one_sentence_and_leaves_what_was_there(
    command: Command, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    with Cache("cache") as cache:
        fill(cache, ONE, range(10))
    Path("out").write_text("before", encoding="utf-8")
    for after in range(3):
        with failing(monkeypatch, after, error) as asked:
            done = command("cache", "export", "out", "--overwrite")
        if len(asked) <= after:
            break
        assert done.code == 2
        assert f"({os.strerror(error)})" in done.sentence
        assert Path("out").read_text(encoding="utf-8") == "before"
        assert sorted(path.name for path in Path().iterdir() if path.is_file()) == ["out"]
    assert after > 0
