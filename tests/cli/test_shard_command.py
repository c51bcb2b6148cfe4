"""``run --shard``: each part reads its own files alone, and all parts together leave nothing to compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fhpt_eval.engine import contents
from fhpt_eval.engine.opening import hash_file
from fhpt_eval.records import Missing

if TYPE_CHECKING:
    from conftest import Command, Draw

OPTIONS = ("-g", "mine", "-t", "real", "-p", "ssim,l1", "--device", "cpu")


@pytest.fixture(autouse=True)
def _images(draw: Draw) -> None:
    draw("mine", map(str, range(12)), seed=1)
    draw("real", map(str, range(12)), seed=2)


def test_parts_read_their_own_files_alone_and_leave_nothing_to_compute(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []

    def hash_and_note(path: Path) -> str | Missing:
        hashed.append(path)
        return hash_file(path)

    monkeypatch.setattr(contents, "hash_file", hash_and_note)
    read = []
    for index in (1, 2, 3):
        monkeypatch.setenv("FHPT_EVAL_CACHE", f"cache{index}")
        hashed.clear()
        done = command("run", *OPTIONS, "--shard", f"{index}/3", "--json")
        assert (done.code, done.err) == (0, "")
        about = json.loads(done.out)
        assert about["images"] == {"part": 8, "all": 24}
        assert about["pairs"] == {"part": 4, "all": 12}
        assert about["computed"] == {"decode": 8, "ssim": 4, "pixel-difference": 4}
        assert len(hashed) == len({*hashed}) == 8
        read += hashed
        # The two commands count the same.
        assert command("cache", "export", f"{index}.results").out.startswith(f"{index}.results: 16 results, ")
    assert len({*read}) == 24
    assert not Path("results").exists()
    monkeypatch.setenv("FHPT_EVAL_CACHE", "joined")
    assert command("cache", "import", "1.results", "2.results", "3.results").code == 0
    monkeypatch.setattr("fhpt_eval.engine.local.LocalExecutor.run", lambda *_: pytest.fail("something was computed"))
    done = command("run", *OPTIONS, "-o", "out")
    assert done.code == 0
    assert "results: 0 computed, 48 from the cache" in done.out.splitlines()


def test_a_part_says_what_comes_next_and_is_shown_by_a_dry_run(command: Command) -> None:
    told = command("run", *OPTIONS, "--shard", "2/3", "--dry-run").out
    assert "extractor ssim: 4 different pairs" in told
    done = command("run", *OPTIONS, "--shard", "2/3").out.splitlines()
    assert done[0] == "shard 2/3: 8 of 24 images, 4 of 12 pairs; 16 results computed"
    assert done[1] == "cache: " + str(Path("cache").resolve())
    assert done[2].startswith("next: when all 3 shards are done, `fhpt-eval cache export FILE`")
    assert command("run", *OPTIONS, "--shard", "2/3").out.splitlines()[0].endswith("; 0 results computed")


@pytest.mark.parametrize("words", [("-o", "out"), ("--overwrite",), ("--name", "mine")])
def test_a_part_has_no_folder(command: Command, words: tuple[str, ...]) -> None:
    done = command("run", *OPTIONS, "--shard", "1/2", *words)
    assert done.code == 2
    assert done.sentence == "--shard scores nothing and writes no run's folder: leave -o, --overwrite and --name out."


def test_a_part_measures_in_dialects(command: Command) -> None:
    done = command("run", "-g", "mine", "-t", "real", "--dialect", "gfla", "-p", "ssim", "--shard", "1/2", "--json")
    assert done.code == 3
    about = json.loads(done.out)
    assert about["pairs"] == {"part": 6, "all": 12}
    # The images of this test are small.
    assert about["faults"] == {"smaller than the 51×51 window": 6}


def test_what_cannot_be_read_or_run_is_named_and_ends_with_3(command: Command) -> None:
    Path("mine/3.png").write_bytes(b"no picture")
    codes = []
    named = []
    for index in (1, 2):
        done = command("run", *OPTIONS, "--shard", f"{index}/2")
        codes.append(done.code)
        named += [line for line in done.err.splitlines() if "mine/3.png" in line]
    assert sorted(codes) == [0, 3]
    assert len(named) == 1
    done = command("run", "-g", "mine", "-t", "real", "-p", "l1,fid", "--device", "cpu", "--shard", "1/1")
    assert done.code == 3
    assert "fhpt-eval: fid: " in done.err


def test_a_part_that_would_leave_nothing_is_refused(command: Command) -> None:
    Path("cache").mkdir()
    Path("cache/data.mdb").write_bytes(b"x" * 10_000)
    done = command("run", *OPTIONS, "--shard", "1/2")
    assert done.code == 2
    assert "is damaged (it has no head)" in done.sentence
