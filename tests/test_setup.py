"""How `make` finds a Python and uv: on a PATH that holds stand-ins and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(__file__).resolve().parents[1] / ".ci"
TOOLS = ("dirname", "env", "head", "sh")
FITS, TOO_NEW = f"{sys.version_info[0]}.{sys.version_info[1]}", "3.13"


class Machine:
    """A folder of programs, which is the whole PATH."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root, root / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(str(shutil.which(tool)))

    def add(self, name: str, script: str) -> Machine:
        program = self.bin / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        return self

    def add_python(self, name: str, version: str = FITS, without: str = "") -> Machine:
        """A Python that says it is of a version, and lacks modules."""
        pretend = self.root / f"{name}-site"
        pretend.mkdir()
        major, minor = version.split(".")
        (pretend / "sitecustomize.py").write_text(
            f"import sys\nsys.version_info = ({major}, {minor}, 0)\nsys.executable = {str(self.bin / name)!r}\n"
            f"sys.modules.update(dict.fromkeys({without.split()!r}))\n",
            encoding="utf-8",
        )
        return self.add(name, f'PYTHONPATH={pretend} exec {sys.executable} "$@"')

    def add_uv(self) -> Machine:
        """A uv that says what it was asked for, and cannot download a Python."""
        return self.add("uv", 'echo "uv $*"; [ "$1" != python ]')

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            [CI / script, *arguments],
            cwd=self.root, env={**os.environ, "PATH": str(self.bin)}, capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("fhpt-eval: ")]
    return line.removeprefix("fhpt-eval: ")


def test_a_shim_that_does_not_run_and_versions_that_do_not_fit_are_passed_over(machine: Machine) -> None:
    machine.add("python3.12", "echo no such version is chosen >&2; exit 127")
    machine.add_python("python3.11", "3.13").add_python("python3.10", "3.9").add_python("python3", "3.10")
    assert machine.run("pythons").stdout.split() == [str(machine.bin / "python3")]


def test_the_newest_comes_first_and_each_version_once(machine: Machine) -> None:
    machine.add_python("python3", "3.12").add_python("python3.10", "3.10").add_python("python3.12", "3.12")
    assert machine.run("pythons").stdout.split() == [str(machine.bin / name) for name in ("python3.12", "python3.10")]


def test_a_version_manager_is_told_which_version_is_meant(machine: Machine) -> None:
    real = machine.add_python("real", "3.12").bin / "real"
    machine.add("python3.12", f'[ "$PYENV_VERSION" = 3.12 ] && exec {real} "$@"; exit 127')
    assert machine.run("pythons").stdout.split() == [str(real)]


def test_the_environment_is_made_by_uv_with_the_python_that_was_found(machine: Machine) -> None:
    done = machine.add_python("python3").add_uv().run("setup", "there")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"uv venv --quiet --clear --python {machine.bin / 'python3'} there",
        "uv pip install --quiet --python there/bin/python --editable .[dev]",
    ]


def test_a_named_python_is_taken(machine: Machine) -> None:
    done = machine.add_python("python3.12", "3.12").add_python("mine", "3.10").add_uv().run("setup", "there", "mine")
    assert done.stdout.splitlines()[0] == "uv venv --quiet --clear --python mine there"


def test_a_named_python_that_does_not_fit_is_one_sentence(machine: Machine) -> None:
    machine.add_python("mine", TOO_NEW).add_uv()
    assert refusal(machine.run("setup", "there", "mine")).startswith("PYTHON=mine is Python 3.13: mediapipe, which ")
    assert refusal(machine.run("setup", "there", "none")) == (
        "PYTHON=none does not run: name a Python 3.10, 3.11 or 3.12."
    )


def test_where_no_python_fits_uv_brings_one(machine: Machine) -> None:
    machine.add_python("python3", TOO_NEW)
    machine.add("uv", 'case "$*" in "python find"*) echo brought ;; *) echo "uv $*" ;; esac')
    done = machine.run("setup", "there")
    assert "uv python install --quiet 3.12" in done.stdout
    assert "uv venv --quiet --clear --python brought there" in done.stdout


def test_where_uv_cannot_bring_one_it_is_one_sentence(machine: Machine) -> None:
    done = machine.add_python("python3", TOO_NEW).add_uv().run("setup", "there")
    assert refusal(done) == (
        "uv could not download Python 3.12 (see above): install 3.10, 3.11 or 3.12, or name it with PYTHON=..."
    )
    assert "venv" not in done.stdout


def test_a_machine_with_neither_python_nor_uv_is_one_sentence(machine: Machine) -> None:
    assert refusal(machine.run("setup", "there")).startswith("no Python was found: install Python 3.10, 3.11 or 3.12")


def test_a_python_without_anything_that_brings_uv_is_one_sentence(machine: Machine) -> None:
    done = machine.add_python("python3", without="ensurepip pip").run("setup", "there")
    assert refusal(done) == (
        f"{machine.bin / 'python3'} comes without pip, which brings uv: install Debian's python3-venv, or uv, and run"
        " make again."
    )
    assert not (machine.root / "there").exists()
