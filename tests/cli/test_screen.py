"""What is printed, on screens that cannot show everything, and of names that would do something there."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fhpt_eval.cli.screen import Screen

if TYPE_CHECKING:
    from conftest import Command

HOSTILE = "a\x1b[31m\x9b\u202e"


def plain(text: str) -> bool:
    return all(line.isprintable() for line in text.splitlines())


def fhpt_eval(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "fhpt_eval", *map(str, arguments)]
    return subprocess.run(  # noqa: S603
        command, env={**os.environ, **environment}, capture_output=True, timeout=120, check=False
    )


ASCII_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    ("encoding", "environment"),
    [
        *((name, {"PYTHONIOENCODING": name}) for name in ("ascii", "latin-1", "cp1252", "utf-8")),
        ("ascii", ASCII_LOCALE),
        ("utf-8", {"LC_ALL": "C"}),
    ],
)
def test_a_run_ends_well_whatever_its_output_can_show(
    folders: tuple[str, ...], encoding: str, environment: dict[str, str]
) -> None:
    done = fhpt_eval("run", *folders, "-p", "l1", "--device", "cpu", "--name", "méthode", **environment)
    assert done.returncode == 0, done.stderr
    out = done.stdout.decode(encoding)
    assert "l1" in out
    assert "Traceback" not in done.stderr.decode(encoding)
    if encoding == "ascii":
        assert "\nm?thode: 5 pairs" in out
        assert "48?64" in out
    assert (Path("results") / "méthode" / "run.json").is_file()
    helped = fhpt_eval("run", "--help", **environment)
    assert (helped.returncode, "--generated" in helped.stdout.decode(encoding)) == (0, True)


def test_a_name_that_an_ascii_locale_cannot_read_is_not_called_wrong(draw: Callable[..., Path]) -> None:
    images = draw("mine", ["é.png"])
    done = fhpt_eval("run", "-g", images, "-t", images, "-p", "l1", **ASCII_LOCALE)
    assert done.returncode == 2
    told = done.stderr.decode("ascii")
    assert "not UTF-8" not in told
    assert "cannot be read where names are ascii: set PYTHONUTF8=1, and run again." in told
    assert fhpt_eval("run", "-g", images, "-t", images, "-p", "l1", LC_ALL="C").returncode == 0


@pytest.mark.parametrize("name", [HOSTILE, "a\nb", "\u2028", "\u2066x"])
def test_names_of_files_that_do_something_are_refused_and_shown(
    command: Command, draw: Callable[..., Path], name: str
) -> None:
    ran = command("run", "-g", draw("mine", [f"{name}.png"]), "-t", draw("real", "a"), "-p", "l1")
    assert ran.code == 2
    assert "holds a control character" in ran.sentence
    assert plain(ran.err)


def test_a_name_of_a_folder_that_does_something_is_written_out_everywhere(
    command: Command, draw: Callable[..., Path]
) -> None:
    real = draw("real", "ab")
    ran = command("run", "-g", draw(HOSTILE, "ab", 1), "-t", real, "-p", "l1")
    assert ran.code == 0
    assert plain(ran.out + ran.err)
    (folder,) = Path("results").iterdir()
    assert folder.name == r"a\u001b[31m\u009b\u202e"
    assert plain((folder / "per_pair.csv").read_text(encoding="utf-8"))
    for form in ("csv", "md"):
        board = command("leaderboard", folder, "--format", form)
        assert (board.code, plain(board.out)) == (0, True)
    for arguments in (("--name", HOSTILE), ("-p", HOSTILE), ("--naming", HOSTILE), ("--reference", HOSTILE * 2)):
        wrong = command("run", "-g", real, "-t", real, *arguments)
        assert (wrong.code, plain(wrong.err)) == (2, True)


def test_a_run_that_somebody_else_recorded_cannot_do_anything_to_a_screen(
    command: Command, folders: tuple[str, ...]
) -> None:
    assert command("run", *folders, "-p", "l1", "-o", "one").code == 0
    file = Path("one/run.json")
    record = json.loads(file.read_bytes())
    file.write_text(json.dumps({**record, "name": f"{HOSTILE}\n"}), encoding="utf-8")
    for form in ("csv", "md"):
        board = command("leaderboard", "one", "--format", form)
        assert (board.code, plain(board.out)) == (0, True)
        assert r"\u000a" in board.out


def test_colours_are_for_those_who_write_them() -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="latin-1", write_through=True)
    screen = Screen(stream)
    screen.write("\x1b[1mé…\n")
    screen.rich_proxied_file.write("\x1b[1mé…\n")
    assert written.getvalue().decode("latin-1") == "\\u001b[1mé?\n\x1b[1mé?\n"
    assert not hasattr(screen, "buffer")
