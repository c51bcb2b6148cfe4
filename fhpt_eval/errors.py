"""Errors that a user can fix: one sentence that says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from fhpt_eval.text import visible, without_secrets


class UserError(Exception):
    """Wrong use: the command line prints the sentence, without a traceback, and exits with 2.

    What it cites of a file or a name is there to be seen, and cannot do anything to a terminal. Passwords and
    signatures in addresses are left out.
    """

    def __init__(self, told: str = "") -> None:
        super().__init__(without_secrets(visible(told)))


class Unavailable(UserError):
    """Something that a protocol needs is not here; the sentence ends with the command that would bring it."""


def sentence(text: str) -> str:
    """End a text with a full stop, unless it ends like a sentence already."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the closest of ``choices``, or the list of them when none is close."""
    known = sorted(choices)
    cased = {choice.lower(): choice for choice in known}
    close = get_close_matches(name.lower(), cased, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{cased[close[0]]}'?"
    return f" Known: {', '.join(known)}." if known else ""
