"""Commands that README and docs show: each sub-command and each option of them exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from fhpt_eval.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "results/README.md", *(ROOT / "docs").glob("*.md")]
)
SHOWN = re.compile(
    r"`(?:torchrun [^`]*-m fhpt_eval|fhpt-eval) ([^`]+)`|^(?:.* )?(?:-m fhpt_eval|fhpt-eval) (.+)$", re.MULTILINE
)


def commands(page: Path) -> list[list[str]]:
    """The words of each command on a page, after ``fhpt-eval``; a line that ends in a backslash goes on in the next."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = [
        part if i % 2 else " ".join(re.findall(r"`[^`\n]*fhpt-eval [^`\n]+`", part))
        for i, part in enumerate(text.split("```"))
    ]
    found = []
    for block in blocks:
        for inline, line in SHOWN.findall(block):
            words = (inline or line).split("#")[0].split("|")[0].split("`")[0].split()
            found.append([word for word in words if word not in {"…", "..."}])
    return found


def named(words: list[str]) -> Any:
    """The sub-command that words begin with, and the words after it."""
    found: Any = typer.main.get_command(app)
    for count, word in enumerate(words):
        if not hasattr(found, "commands") or word not in found.commands:
            return found, words[count:]
        found = found.commands[word]
    return found, []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_on_a_page_has_the_options_that_it_is_shown_with(page: Path) -> None:
    for words in commands(page):
        command, rest = named(words)
        if hasattr(command, "commands"):
            known = {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
            assert all(w in {*known, "--help", "-h", "--install-completion"} or not w.startswith("-") for w in rest), (
                words
            )
            assert not rest or rest[0].startswith("-") or rest[0].isupper(), f"no such command: {' '.join(words)}"
            continue
        known = {"--help", "-h", *(option for p in command.params for option in (*p.opts, *p.secondary_opts))}
        unknown = [w for w in rest if re.match(r"--?[a-z]", w) and w.split("=")[0] not in known]
        assert not unknown, f"{page.name}: fhpt-eval {' '.join(words)}"


def test_pages_show_commands() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 60
