"""Whatever ends a command, nothing of it is alive two seconds later."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import end_of, started, wait_until

if TYPE_CHECKING:
    from conftest import Draw

INTERRUPTED = "fhpt-eval: interrupted; what was done is kept, the same command goes on from there."

RUN = ("run", "-g", "mine", "-t", "real", "--device", "cpu", "--workers", "1", "-o", "out", "--quiet")
COMMANDS = {
    "detecting": (*RUN, "-p", "face_identity"),
    "starting": (*RUN, "-p", "face_identity"),
    "decoding": (*RUN, "-p", "ssim"),
    "comparing": (*RUN, "-p", "ssim"),
    "generating": ("generate", "copy-source", "--pairs", "list.csv", "-s", "mine", "-t", "real", "-o", "out"),
    "training": ("out",),
    "rendering": ("synth", "-o", "out", "--identities", "2", "--views", "2", "--workers", "1", "--quiet"),
}
"""What is given to `faults.stuck` to be stuck at each place."""


def interrupt(process: subprocess.Popen[str]) -> None:
    """As a terminal does it: everybody gets Ctrl-C."""
    os.killpg(process.pid, signal.SIGINT)


def interrupt_twice(process: subprocess.Popen[str]) -> None:
    interrupt(process)
    # Of two that come before Python looks, it sees one.
    wait_until(lambda: process.poll() is not None or not _catches_interrupts(process.pid))
    interrupt(process)


def interrupt_twice_at_once(process: subprocess.Popen[str]) -> None:
    interrupt(process)
    interrupt(process)


def _catches_interrupts(pid: int) -> bool:
    """From what the kernel says; also not where the process has ended and nobody asked about it."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (caught,) = (line.split()[1] for line in lines if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (signal.SIGINT - 1) & 1)


def terminate(process: subprocess.Popen[str]) -> None:
    process.terminate()


def hang_up(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGHUP)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()


End = Callable[[subprocess.Popen[str]], None]
ENDS: dict[End, int] = {
    interrupt_twice: signal.SIGINT,
    terminate: signal.SIGTERM,
    hang_up: signal.SIGHUP,
    kill: signal.SIGKILL,
}


@pytest.fixture
def at_work(draw: Draw) -> Path:
    """The folder in which commands tell that they are stuck, beside one with images for them."""
    draw("mine", seed=1)
    draw("real", seed=2)
    Path("list.csv").write_text("from,to\na.png,b.png\nb.png,c.png\n", encoding="utf-8")
    Path("at-work").mkdir()
    return Path("at-work").absolute()


def outcome(place: str, end: End | None, at_work: Path) -> tuple[int, list[str]]:
    """How a command ended that got stuck and was ended, and what it said; after which nothing of it is alive."""
    # The command runs in the folder of the tests.
    here = {"mine", "real", "out", "list.csv"}
    arguments = [str(Path(word).absolute()) if word in here else word for word in COMMANDS[place]]
    with started("faults.stuck", *arguments, STUCK=place, AT_WORK=str(at_work)) as process:
        wait_until(lambda: process.poll() is not None or any(at_work.iterdir()))
        if end is not None:
            assert process.poll() is None, process.communicate()[1]
            end(process)
        return end_of(process)


@pytest.mark.parametrize("end", [interrupt, pytest.param(interrupt_twice_at_once, marks=pytest.mark.long)])
def test_ctrl_c_ends_detectors_and_says_so_once(at_work: Path, end: End) -> None:
    code, said = outcome("detecting", end, at_work)
    assert code in ({130} if end is interrupt else {130, -signal.SIGINT})
    assert said == [INTERRUPTED][: code == 130]


@pytest.mark.parametrize(
    ("place", "end"),
    [
        *(("detecting", end) for end in ENDS),
        ("rendering", kill),
        pytest.param("rendering", interrupt_twice, marks=pytest.mark.long),
    ],
)
def test_processes_end_with_the_command_however_that_ends(at_work: Path, place: str, end: End) -> None:
    code, _ = outcome(place, end, at_work)
    assert code == -ENDS[end]


@pytest.mark.long
def test_readers_of_a_training_end_with_it(at_work: Path) -> None:
    for end in (interrupt_twice, kill):
        code, _ = outcome("training", end, at_work)
        assert code == -ENDS[end]
        for told in at_work.iterdir():
            told.unlink()


@pytest.mark.parametrize(
    "place", ["decoding", *(pytest.param(place, marks=pytest.mark.long) for place in ("comparing", "generating"))]
)
def test_a_second_ctrl_c_ends_what_waits_for_its_threads(at_work: Path, place: str) -> None:
    code, said = outcome(place, interrupt_twice, at_work)
    if place == "generating":  # in the main thread, so that it may end in order before the second one comes
        assert code in {-signal.SIGINT, 130}
        assert said in ([], [INTERRUPTED])
    else:
        assert (code, said) == (-signal.SIGINT, [])


def test_a_process_that_is_only_about_to_start_ends_with_the_command(at_work: Path) -> None:
    code, _ = outcome("starting", None, at_work)
    assert code == -signal.SIGKILL
