from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from fhpt_eval import __version__
from fhpt_eval.measuring.protocol import configure
from fhpt_eval.measuring.registry import find_protocols

if TYPE_CHECKING:
    from conftest import Command

ROOT = Path(__file__).resolve().parents[2]
OURS = {"fid", "kid", "is", "lpips", "ssim", "psnr", "l1"}
COMPLETION = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"


def test_version_is_the_package_version(command: Command) -> None:
    outcome = command("--version")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"fhpt-eval {__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("run",), ("protocols",), ("doctor",), ("weights",), ("cache",)])
def test_every_command_explains_itself(command: Command, arguments: Sequence[str]) -> None:
    outcome = command(*arguments, "--help")
    assert outcome.code == 0
    assert "Usage: fhpt-eval" in outcome.out
    assert outcome.err == ""


@pytest.mark.parametrize("arguments", [(), ("weights",), ("cache",)])
def test_a_command_without_arguments_shows_its_help_and_is_wrong_use(
    command: Command, arguments: Sequence[str]
) -> None:
    outcome = command(*arguments)
    assert outcome.code == 2
    assert "Usage: fhpt-eval" in outcome.out + outcome.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("rnu",), ("'rnu'", "Did you mean 'run'?", "`fhpt-eval --help`")),
        (("weights", "fetsh"), ("'fetsh'", "'fetch'", "`fhpt-eval weights --help`")),
        (("cache", "clearr"), ("'clearr'", "'clear'", "`fhpt-eval cache --help`")),
        (("protocols", "sssim"), ("'sssim'", "Did you mean 'ssim'?")),
        (("protocols", "qqqq"), ("'qqqq'", "Known: ", "ssim")),
        (("protocols", "--jsn"), ("--jsn", "--json")),
        (("doctor", "here"), ("here", "`fhpt-eval doctor --help`")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_a_wrong_word_is_one_sentence_that_helps(
    command: Command, arguments: tuple[str, ...], told: tuple[str, ...]
) -> None:
    outcome = command(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    for part in told:
        assert part in outcome.sentence
    assert "?." not in outcome.sentence


# protocols


def test_protocols_lists_ours_with_group_and_what_is_lacking(command: Command) -> None:
    outcome = command("protocols")
    assert outcome.code == 0
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line.strip()}
    assert rows.keys() >= OURS
    assert "lacks inception-2015" in rows["fid"]
    assert rows["ssim"].split()[-2:] == ["ready", "ready"]
    assert "fhpt-eval weights fetch" in outcome.out
    listed = {row["name"]: row for row in json.loads(command("protocols", "--json").out)}
    assert listed.keys() >= OURS
    assert listed["fid"]["lacks"] == {"paper": ["inception-2015"], "embedded": []}
    assert listed["ssim"]["needs"] == ["generated", "target"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_protocol_is_explained_with_every_option_and_its_default(command: Command, name: str) -> None:
    outcome = command("protocols", name)
    assert outcome.code == 0
    protocol = find_protocols().classes[name]
    for option, default in configure(protocol, "paper", {}).parameters().items():
        shown = "none" if default is None else default
        assert f"  --set {name}.{option}={shown}\n" in outcome.out
        assert f"{option}:" in outcome.out
    assert "profile embedded: ready" in outcome.out
    assert "Attributes:" not in outcome.out
    assert "fhpt_eval." not in outcome.out


def test_the_defaults_as_shown_can_be_set(command: Command) -> None:
    from fhpt_eval.cli.choosing import protocol_options

    for name, protocol in find_protocols().classes.items():
        out = command("protocols", name).out
        shown = [line.strip().removeprefix("--set ") for line in out.splitlines() if line.startswith("  --set ")]
        assert configure(protocol, "paper", protocol_options(shown).get(name, {})) == configure(protocol, "paper", {})


# doctor


def test_doctor_says_in_json_and_in_words_what_is_to_be_done(command: Command) -> None:
    outcome = command("doctor", "--json")
    assert outcome.code == 3
    report: dict[str, Any] = json.loads(outcome.out)
    assert report["environment"]["packages"]["torch"]
    assert report["cores"] >= 1
    assert report["cache"]["bytes"] <= report["cache"]["limit"]
    (todo,) = (line for line in report["todo"] if "fhpt-eval weights fetch" in line)
    assert "inception-2015" in todo
    assert "alexnet" in todo
    words = command("doctor")
    assert words.code == 3
    assert todo in words.out
    assert "protocol ssim: paper: ready, embedded: ready" in words.out


def test_doctor_is_content_when_nothing_is_lacking(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from fhpt_eval.measuring import registry

    found = find_protocols()
    monkeypatch.setattr(registry, "find_protocols", lambda: replace(found, classes={"l1": found.classes["l1"]}))
    outcome = command("doctor")
    assert outcome.code == 0
    assert "all is ready" in outcome.out


# cache


def test_cache_tells_what_it_holds_and_is_emptied(command: Command, folders: Sequence[str], own_folders: Path) -> None:
    command("run", *folders, "-p", "ssim", "--device", "cpu", "-o", "out")
    about = json.loads(command("cache", "info", "--json").out)
    assert about["folder"] == str(own_folders / "cache")
    assert 0 < about["bytes"] <= about["limit"]
    assert about["trouble"] is None
    assert {"ssim": 5, "decode": 10}.items() <= {e["extractor"]: e["results"] for e in about["extractors"]}.items()
    words = command("cache", "info")
    assert str(own_folders / "cache") in words.out
    assert "ssim" in words.out
    cleared = command("cache", "clear")
    assert cleared.code == 0
    assert "freed" in cleared.out
    assert not (own_folders / "cache").exists()
    assert json.loads(command("cache", "info", "--json").out)["extractors"] == []


def test_a_wrong_cache_limit_is_one_sentence(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHPT_EVAL_CACHE_SIZE", "lots")
    outcome = command("cache", "info")
    assert outcome.code == 2
    assert outcome.sentence == "FHPT_EVAL_CACHE_SIZE 'lots' is not a size: write for example 500M or 20G."


# Shell completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_is_shown(command: Command, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setenv(COMPLETION, "1")
    outcome = command("--show-completion", shell)
    assert outcome.code == 0
    assert "_FHPT_EVAL_COMPLETE" in outcome.out


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        ("fhpt-eval pro", {"protocols"}),
        ("fhpt-eval run --target", {"--target", "--target-geometry", "--target-keypoints", "--target-masks"}),
    ],
)
def test_shell_completes_commands_and_options(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: str, proposed: set[str]
) -> None:
    monkeypatch.setenv("_FHPT_EVAL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    outcome = command()
    assert outcome.code == 0
    assert set(outcome.out.split()) == proposed


# Errors that are not the user's, and an output that nobody takes


def test_a_bug_keeps_its_traceback_and_exits_with_1(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from fhpt_eval.engine.cache import Cache

    def stumble(_: Cache) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(Cache, "usage", stumble)
    outcome = command("cache", "info")
    assert outcome.code == 1
    assert "ZeroDivisionError: of all things" in outcome.err
    assert outcome.err.splitlines()[-1].startswith(f"fhpt-eval: this is a bug in fhpt-eval {__version__}")


def process(own_folders: Path, stdout: int | IO[Any], *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "fhpt_eval", *arguments]
    done = subprocess.run(  # noqa: S603
        command, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120, check=False
    )
    return done.returncode, done.stderr


def test_python_m_gives_the_exit_code_and_the_sentence(own_folders: Path) -> None:
    code, err = process(own_folders, subprocess.DEVNULL, "cache", "cler")
    assert code == 2
    assert err.startswith("fhpt-eval: No such command 'cler'")


@pytest.mark.parametrize("arguments", [("cache", "info", "--json"), ("--help",)], ids=" ".join)
def test_a_reader_that_has_gone_is_no_bug(own_folders: Path, arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        assert process(own_folders, write, *arguments) == (0, "")
    finally:
        os.close(write)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_output_that_is_full_is_one_sentence(own_folders: Path) -> None:
    with Path("/dev/full").open("w") as full:
        code, err = process(own_folders, full, "cache", "info", "--json")
    assert code == 2
    (line,) = err.splitlines()
    assert line.startswith("fhpt-eval: the output cannot be written (No space left on device)")
