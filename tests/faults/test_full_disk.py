"""A disk that is full or read-only from any write on: a sentence, nothing half-written, and the same bytes later."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from processes import files_of

if TYPE_CHECKING:
    from conftest import Command, Draw

OPTIONS = ("--device", "cpu")
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "-g", "mine", "-t", "real", "-p", "l1", *OPTIONS),
    "generate": ("generate", "copy-source", "--pairs", "list.csv", "-s", "mine", "-t", "real", *OPTIONS, "--quiet"),
    "leaderboard": ("leaderboard", "earlier"),
}
FULL, READ_ONLY = errno.ENOSPC, errno.EROFS


@pytest.fixture(autouse=True)
def _inputs(draw: Draw, command: Command) -> None:
    draw("mine", "abc", seed=1)
    draw("real", "abc", seed=2)
    Path("list.csv").write_text("from,to\na.png,b.png\nb.png,c.png\n", encoding="utf-8")
    assert command(*COMMANDS["run"], "-o", "earlier").code == 0


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, after: int, error: int) -> Iterator[list[str]]:
    """Let nothing be written from a number of writes on; give what was to be written."""
    asked: list[str] = []

    def fail_or(do: Callable[..., Any], name: str, *arguments: Any, **options: Any) -> Any:
        if name != "open" or arguments[1] & os.O_CREAT:
            asked.append(f"{name} {arguments[0]}")
            if len(asked) > after:
                raise OSError(error, os.strerror(error), str(arguments[0]) if name == "mkdir" else None)
        return do(*arguments, **options)

    with monkeypatch.context() as patch:
        for name in ("mkdir", "open", "fsync", "replace"):
            do = getattr(os, name)
            patch.setattr(os, name, lambda *a, _do=do, _name=name, **o: fail_or(_do, _name, *a, **o))
        yield asked


@pytest.mark.parametrize("what", COMMANDS)
def test_a_disk_that_cannot_be_written_to_is_one_sentence(
    command: Command, monkeypatch: pytest.MonkeyPatch, times: Callable[[int, int], int], what: str
) -> None:
    asked = (*COMMANDS[what], "-o", "out.csv" if what == "leaderboard" else "out")
    out = Path(asked[-1])
    with failing(monkeypatch, 1000, FULL) as writes:
        assert command(*asked).code == 0
    whole = files_of(out)
    every = max(1, len(writes) // times(3, len(writes)))
    for after in range(0, len(writes), every):
        for error in (FULL, READ_ONLY)[:: 1 if every == 1 else 2]:
            shutil.rmtree(out, ignore_errors=True)
            out.unlink(missing_ok=True)
            with failing(monkeypatch, after, error):
                outcome = command(*asked)
            assert outcome.code == 2, (after, outcome.err)
            assert f"({os.strerror(error)})" in outcome.sentence, writes[after]
            assert command(*asked).code == 0
            assert files_of(out) == whole


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.parametrize(("small", "size", "code"), [("out", "4k", 2), ("cache", "16k", 0)])
def test_a_disk_that_is_really_full_costs_no_more_than_that_run(
    own_folders: Path, small: str, size: str, code: int
) -> None:
    Path("small").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", "small"]
    if subprocess.run(mount, check=False).returncode:  # noqa: S603
        pytest.skip("a small disk cannot be mounted here")
    try:
        places = {"out": "out", "cache": "cache", small: f"small/{small}"}
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "fhpt_eval", *COMMANDS["run"], "-o", places["out"]],
            env={**os.environ, "FHPT_EVAL_CACHE": places["cache"]},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        subprocess.run(["umount", "small"], check=True)  # noqa: S607
    assert done.returncode == code, done.stderr
    said = next(line for line in done.stderr.splitlines() if "few " not in line)
    assert "No space left on device" in said
