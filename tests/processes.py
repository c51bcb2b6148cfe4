"""Commands as processes of their own, which get real signals, and what is alive of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
PATHS = {"PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}"}
SOON = 10.0
"""Seconds that may pass until nothing of a command is alive that has ended: two, where nothing else runs."""


def wait_until(so: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def heed_signals() -> None:
    """Have a process that is about to start end on what `nohup` and shells, for what runs in the background, ignore."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def alive(session: int) -> dict[int, str]:
    """The processes of a session, children of children among them, by id; not what has ended and nobody asked about."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (process / "stat").read_text().partition(" (")[2].rpartition(") ")
        except OSError:
            continue  # it ended meanwhile
        state, _, _, its_session, *_ = rest.split()
        if int(its_session) == session and state not in "ZX":
            found[int(process.name)] = name
    return found


def end_of(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """The exit code of a command and what it said; nothing of it is alive soon after it has ended."""
    code = process.wait(120)
    wait_until(lambda: not alive(process.pid), SOON)
    return code, [line for line in process.communicate()[1].splitlines() if line]


@contextmanager
def session(
    *command: str | Path,
    environment: Mapping[str, str | Path],
    at: Path | None = None,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in a session of its own; nothing of it is left afterwards, whatever happens."""
    process = subprocess.Popen(  # noqa: S603
        command,
        cwd=at,
        env={**os.environ, **environment},
        start_new_session=True,
        stdout=stdout,
        stderr=stderr,
        text=True,
        preexec_fn=heed_signals,
    )
    # At its end this closes pipes and waits for the process.
    with process:
        try:
            yield process
        finally:
            for left in alive(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)


@contextmanager
def started(module: str, *arguments: str | Path, **environment: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Run a module of the tests in a session of its own; nothing of it is left afterwards."""
    command = (sys.executable, "-m", module, *arguments)
    with session(*command, environment={**PATHS, **environment}, at=TESTS, stdout=subprocess.DEVNULL) as process:
        yield process


def reports(counts: Mapping[str, int], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """What `faults.killed` reports, which works in this folder, of how often it is to do what."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "faults.killed", json.dumps(counts), ",".join(metrics)],
        env={**os.environ, **PATHS, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def files_of(out: Path) -> dict[str, Any]:
    """What a command wrote, a file or a folder of them, without what was not finished, times and command lines."""
    paths = [out] if out.is_file() else [path for path in out.rglob("*") if path.is_file()]
    found: dict[str, Any] = {str(path): path.read_bytes() for path in paths if not path.name.startswith(".")}
    found = {str(Path(path).relative_to(out)): content for path, content in found.items()}
    if "run.json" in found:
        found["run.json"] = _without_circumstances(json.loads(found["run.json"]))
    return found


def _without_circumstances(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_circumstances(v) for k, v in value.items() if k not in {"seconds", "created", "command"}}
    return [_without_circumstances(v) for v in value] if isinstance(value, list) else value
