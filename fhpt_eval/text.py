"""Text that others chose: how it is shown, and how it stands in a table, so that it can do nothing there."""

from __future__ import annotations

import contextlib
import re
from typing import TypeVar

T = TypeVar("T")

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line and paragraph separators, what turns the direction of a line, and what is no character."""

_SECRETS = re.compile(r"(?<=:/)(/*)[^\s/@'\"]*:(?!\d+/)[^\s'\"]*@|(?<=:/)(/*[^\s?'\"]+\?)[^\s'\"]+")
"""In addresses: a user with a password before the server's name, and what follows a question mark."""

_FORMULA = re.compile("'*[=+\\-@\t\r]")
"""How a cell begins that a spreadsheet computes, or that would look like one of `cell`."""


_FIRST = frozenset("'=+-@\t\r")
"""Its first character."""


def unsafe(text: str) -> bool:
    """Whether a text holds a character that does something instead of being seen."""
    # None of these is printable, which Python tells at once.
    return not text.isprintable() and _UNSAFE.search(text) is not None


def visible(text: str, keep: str = "") -> str:
    r"""Return a text with what cannot be seen written as JSON writes it (``\u001b``), but for the characters ``keep``.

    Bytes of UTF-8 that an ASCII locale could not read are read here.
    """
    if not unsafe(text):
        return text
    # Half of a surrogate pair stands for no byte.
    with contextlib.suppress(UnicodeEncodeError):
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    return _UNSAFE.sub(lambda c: c[0] if c[0] in keep else f"\\u{ord(c[0]):04x}", text)


def without_secrets(text: str) -> str:
    """Return a text without the passwords and signatures of the addresses in it."""
    return _SECRETS.sub(lambda found: f"{found[1]}…@" if found[2] is None else f"{found[2]}…", text)


def cell(value: T) -> T | str:
    """Return what stands in a CSV file for a value: text that no spreadsheet takes for a formula; numbers stay."""
    if not isinstance(value, str):
        return value
    shown = visible(value)
    if value[:1] not in _FIRST:
        return shown
    return f"'{shown}" if _FORMULA.match(value) and not _is_number(value) else shown


def of_cell(text: str) -> str:
    """Return what `cell` was given, but for what cannot be seen."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
