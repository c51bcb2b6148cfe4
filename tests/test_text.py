"""What others wrote, where it is shown."""

from __future__ import annotations

import pytest

from fhpt_eval.errors import UserError
from fhpt_eval.text import cell, of_cell, visible, without_secrets

HOSTILE = [
    ("line\nbreak", r"line\u000abreak"),
    ("\x1b]0;title\x07", r"\u001b]0;title\u0007"),
    ("\x9b2J", r"\u009b2J"),
    ("\x7f", r"\u007f"),
    ("a\u2028b\u2029", r"a\u2028b\u2029"),
    ("gnp.\u202etxe", r"gnp.\u202etxe"),
    ("\u2066a\u2069\u200e\u200f\u061c", r"\u2066a\u2069\u200e\u200f\u061c"),
    ("\udcff", r"\udcff"),
    ("\ud800", r"\ud800"),
]
HARMLESS = ("Zoë Müller", "פנים", "می‌خواهم", "👩‍🔬", "a b\\c", "")


@pytest.mark.parametrize(("text", "shown"), HOSTILE)
def test_what_does_something_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert str(UserError(text)) == shown
    assert cell(text) == shown


def test_what_can_be_seen_stays() -> None:
    for text in HARMLESS:
        assert visible(text) == text
    assert visible("a\tb\nc\r", keep="\n\t") == "a\tb\nc\\u000d"


def test_a_name_of_which_an_ascii_locale_read_bytes_is_shown_as_it_is() -> None:
    assert visible("é.png".encode().decode("ascii", "surrogateescape")) == "é.png"


@pytest.mark.parametrize("text", ["=1", "+a", "-a", "@a", "'=1", "''-a", "'a", "-1", "1e5", "-inf", "a=b", ""])
def test_a_cell_is_no_formula_and_is_read_again(text: str) -> None:
    written = cell(text)
    assert not written.startswith(("=", "+", "-", "@")) or written in {"-1", "-inf"}
    assert of_cell(written) == text


def test_numbers_are_no_text() -> None:
    assert [cell(value) for value in (-1, -0.5, None)] == [-1, -0.5, None]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("'s3://me:hid/den@bucket/x.png' leads out", "'s3://…@bucket/x.png' leads out"),
        ("s3:/me:hidden@bucket, s3://:hidden@b", "s3:/…@bucket, s3://…@b"),
        ("'https://host/x?Signature=hidden' is", "'https://host/x?…' is"),
    ],
)
def test_a_password_in_an_address_is_not_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == str(UserError(text)) == shown


@pytest.mark.parametrize(
    "text",
    ["hdfs://host:8020/x@2", "sftp://me@host/x", "hf://datasets/a/b@main", "ray://HOST:10001, a:b@c", "see s3://b/x?"],
)
def test_an_address_without_a_password_stays(text: str) -> None:
    assert without_secrets(text) == text
