"""Kill runs and go on, have two at a time, or damage their cache; print what came of each time as a line of JSON.

A process of its own without threads, which forks, so that the libraries need not be imported again for each run.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fhpt_eval.cli.main import main
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation import environment
from fhpt_eval.evaluation.run import Run

LIBRARIES = (
    "cv2",
    "scipy.ndimage",
    "scipy.stats",
    "fhpt_eval.cli.choosing",
    "fhpt_eval.cli.display",
    "fhpt_eval.engine.local",
)
"""What runs import, and need not again where it is there before they fork."""

FOLDERS = ("--generated", "mine", "--target", "real")
OPTIONS = ("--device", "cpu", "--workers", "2", "--quiet", "--name", "mine")


def fork_run(out: str, cache: str, before: Callable[[], None] = lambda: None) -> int:
    """Start a run in a process of its own; return its id."""
    return fork(["run", *FOLDERS, *OPTIONS, "--protocols", sys.argv[2], "-o", out], cache, before)


def fork(command: list[str], cache: str, before: Callable[[], None] = lambda: None) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.environ["FHPT_EVAL_CACHE"] = cache
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    code = 70
    try:
        before()
        main(command)
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        os._exit(code)


def code_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die_while_writing(step: int) -> Callable[[], None]:
    """Have this process die before the ``step``-th time that something is synchronised or put into its place."""

    def prepare() -> None:
        left = iter(range(step))
        for owner, name in ((os, "fsync"), (Path, "replace")):
            setattr(owner, name, _or_die(getattr(owner, name), left))

    return prepare


def _or_die(do: Callable[..., object], left: object) -> Callable[..., object]:
    def do_or_die(*arguments: object) -> object:
        if next(left, None) is None:  # type: ignore[call-overload]
            os.kill(os.getpid(), signal.SIGKILL)
        return do(*arguments)

    return do_or_die


def loaded(out: str) -> list[str] | None:
    """The metrics of a record; None where there is none. A damaged one raises."""
    try:
        return list(Run.load(Path(out)).scores)
    except UserError as error:
        if "is not a run's folder" not in str(error):
            raise
        return None


def kill_and_go_on(number: int, seconds: float, chance: random.Random) -> dict[str, object]:
    out, cache = f"out{number}", f"cache{number}"
    if number % 2:
        step = chance.randrange(1, 9)
        how, killed = f"write {step}", code_of(fork_run(out, cache, die_while_writing(step)))
    else:
        after = chance.uniform(0, seconds)
        pid = fork_run(out, cache)
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
        how, killed = f"{after:.3f} s", code_of(pid)
    return {"how": how, "killed": killed, "left": loaded(out), "then": code_of(fork_run(out, cache))}


def run_two(number: int) -> dict[str, object]:
    both = [fork_run(f"out{number}", f"cache{number}") for _ in range(2)]
    return {"codes": [code_of(pid) for pid in both], "left": loaded(f"out{number}")}


def damage_cache(number: int, chance: random.Random) -> dict[str, object]:
    out, cache = f"out{number}", Path(f"cache{number}")
    cache.mkdir()
    data = bytearray(Path("cache/data.mdb").read_bytes())
    how = chance.choice(("bits", "bits", "page", "cut", "noise"))
    at = chance.randrange(len(data))
    if how == "bits":
        for _ in range(chance.randrange(1, 9)):
            # The first two pages say where the others are.
            data[chance.randrange(chance.choice((256, len(data))))] ^= 1 << chance.randrange(8)
    elif how == "cut":
        del data[at:]
    else:
        page = at // 4096 * 4096
        data[page : page + 4096] = bytes(4096) if how == "page" else chance.randbytes(4096)
    (cache / "data.mdb").write_bytes(data)
    info = code_of(fork(["cache", "info"], str(cache)))
    report = {"how": f"{how} at {at}", "info": info, "run": code_of(fork_run(out, str(cache)))}
    shutil.rmtree(cache)
    return report


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        main(["run", *FOLDERS, *OPTIONS, "--protocols", sys.argv[2], "--dry-run"])
    commit = environment._commit()
    environment._commit = lambda: commit  # which takes longer than the rest of a run
    started = time.monotonic()
    assert code_of(fork_run("whole", "cache")) == 0
    seconds = time.monotonic() - started
    number = 0
    for what, count in json.loads(sys.argv[1]).items():
        for _ in range(count):
            chance = random.Random(number)
            if what == "kill":
                report = kill_and_go_on(number, seconds, chance)
            elif what == "two":
                report = run_two(number)
            else:
                report = damage_cache(number, chance)
            print(json.dumps({"what": what, "out": f"out{number}", **report}), flush=True)
            number += 1
