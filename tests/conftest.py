"""The command in this process, on pictures and in folders that belong to one test."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from two_machines import TwoMachines, two_machines

if TYPE_CHECKING:
    from s3 import S3


@dataclass(frozen=True)
class Outcome:
    """What a command left behind.

    Attributes:
        code: Its exit code.
        out: What it printed.
        err: What it told beside, but for `few`.
        few: That intervals rest on few items, as they do in nearly all tests.
    """

    code: int
    out: str
    err: str
    few: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The one line on stderr."""
        (line,) = self.err.splitlines()
        prefix, _, sentence = line.partition("fhpt-eval: ")
        assert not prefix
        return sentence


SLOW = (
    *("parity", "properties", "reference_models", "synthetic", "test_libraries.py", "test_packaging.py"),
    *("test_real_images.py", "test_results.py", "test_demo_command.py", "test_start_up.py", "test_engine.py"),
    *("test_train_gender.py", "test_kec.py", "test_mediapipe_tasks.py", "test_extending.py", "test_sample.py"),
    *("test_screen.py", "test_page_commands.py"),
    *("test_signals.py", "test_detectors.py", "test_kills.py", "test_damaged_caches.py", "test_full_disk.py"),
    *("test_damaged_images.py", "test_random_folders.py", "test_ray.py"),
)
"""Folders and modules whose tests run networks, detectors, or commands in processes of their own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Have faults looked for as often as `docs/reliability.md` says, which takes an hour."""
    parser.addoption("--long", action="store_true", help="inject every fault as often as docs/reliability.md says")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what `make test-fast` leaves out, and leave out what takes ``--long``."""
    for item in items:
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="much like others, and takes seconds: give --long"))
        if not set(SLOW).isdisjoint(item.path.parts):
            item.add_marker(pytest.mark.slow)


Command = Callable[..., Outcome]
Draw = Callable[..., Path]


@pytest.fixture
def times(pytestconfig: pytest.Config) -> Callable[[int, int], int]:
    """How often a fault is injected: ordinarily, and with ``--long``."""
    return lambda ordinarily, long: long if pytestconfig.getoption("--long") else ordinarily


@pytest.fixture(scope="session")
def running_machines() -> Iterator[TwoMachines]:
    with two_machines() as machines:
        yield machines


@pytest.fixture
def machines(running_machines: TwoMachines) -> Iterator[TwoMachines]:
    """Two machines of a Ray cluster that this process is connected to."""
    running_machines.restore()
    yield running_machines
    running_machines.restore()


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of the user's is seen or changed: not their cache, their weights, their network or their results."""
    monkeypatch.setenv("FHPT_EVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FHPT_EVAL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("FHPT_EVAL_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("FHPT_EVAL_CACHE_SIZE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def temporary(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's folder for temporary files, empty."""
    folder = own_folders / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def command(own_folders: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run ``fhpt-eval`` with arguments."""
    from fhpt_eval.cli import display
    from fhpt_eval.cli.main import main

    # On a slow machine there would be lines of progress among the remarks.
    monkeypatch.setattr(display, "_LOG_EVERY", math.inf)

    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        lines = captured.err.splitlines(keepends=True)
        few = tuple(
            line for line in lines if re.match(r"fhpt-eval: (.+: )?(few (items|pairs)|one (item|pair))\b", line)
        )
        return Outcome(stop.value.code, captured.out, "".join(line for line in lines if line not in few), few)

    return call


@pytest.fixture
def pretrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of networks that come with the package holds toys: a DRN and a gender classifier."""
    from toy_weights import write_drn, write_head

    from fhpt_eval import pretrained
    from fhpt_eval.evaluation import doubts, giving

    folder = tmp_path / "pretrained"
    folder.mkdir()
    monkeypatch.setattr(pretrained, "FOLDER", folder)
    write_drn(folder / "drn")
    classifier = write_head(folder / "gender.safetensors")
    for module in (doubts, giving):
        monkeypatch.setattr(module, "SHIPPED", classifier)
    return folder


@pytest.fixture
def draw(own_folders: Path) -> Draw:
    """Fill a folder with seeded noise: 64 rows by 48 columns, or another (height, width)."""

    def fill(folder: str, names: Iterable[str] = "abcde", seed: int = 0, size: tuple[int, int] = (64, 48)) -> Path:
        root = own_folders / folder
        random = np.random.default_rng(seed)
        for name in names:
            path = root / (name if "." in name else f"{name}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
        return root

    return fill


@pytest.fixture(scope="session")
def _s3() -> Iterator[S3]:
    from s3 import S3

    server = S3()
    yield server
    server.stop()


@pytest.fixture
def s3(_s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """Give an S3 server with an empty bucket."""
    _s3.begin(monkeypatch)
    return _s3


@pytest.fixture
def folders(draw: Draw) -> tuple[str, str, str, str]:
    """The options that name five generated images and their targets."""
    return "--generated", str(draw("mine", seed=1)), "--target", str(draw("real", seed=2))
