"""Commands that tests start end with the test, whatever becomes of it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from processes import alive, session, wait_until

SLEEPS = """
import subprocess, time
subprocess.Popen(["sleep", "600"])
print("ready", flush=True)
time.sleep(600)
"""


def test_nothing_of_a_command_is_left_where_a_test_fails() -> None:
    started: list[subprocess.Popen[str]] = []

    def fail() -> None:
        with session(sys.executable, "-c", SLEEPS, environment={}) as process:
            started.append(process)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert len(alive(process.pid)) == 2
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    (ended,) = started
    assert ended.returncode is not None
    assert ended.stdout is not None
    assert ended.stdout.closed
    wait_until(lambda: not alive(ended.pid), 30)
