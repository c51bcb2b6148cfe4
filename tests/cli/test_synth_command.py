"""``fhpt-eval synth``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from synthetic.toy_people import TOY

if TYPE_CHECKING:
    from conftest import Command

GIVEN = ("synth", "-o", "out", "--identities", "2", "--views", "3", "--size", "48x32", "--workers", "1")


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhpt_eval.synthetic.dataset.find_renderer", lambda: TOY)


def test_it_says_what_it_made_and_a_second_time_that_nothing_is_to_do(command: Command) -> None:
    done = command(*GIVEN)
    assert (done.code, done.err) == (0, "")
    splits = [
        "train: 1 people, 1 items, 3 images, 6 pairs",
        "test: 1 people, 1 items, 3 images, 6 pairs",
        "what it is and how it is used: out/README.md",
    ]
    assert done.out.splitlines() == ["6 images made: out", *splits]
    next(Path("out/img").rglob("*.jpg")).unlink()
    assert command(*GIVEN).out.splitlines() == ["1 images made, 5 were there: out", *splits]
    assert command(*GIVEN).out.splitlines() == ["nothing to do, all 6 images are there: out", *splits]


def test_json_has_the_counts(command: Command) -> None:
    done = command(*GIVEN, "--json", "--quiet")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert (told["made"], told["kept"]) == (6, 0)
    assert told["splits"]["test"]["images"] == 3
    assert sum(told["splits"]["train"]["genders"].values()) == 3


def test_seed_and_size_make_another_set(command: Command) -> None:
    command(*GIVEN)
    done = command(*GIVEN, "--seed", "7")
    assert done.code == 2
    assert "(seed 0 there and 7 here)" in done.sentence
    assert command(*GIVEN, "--seed", "7", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--size", "big"), "--size cannot be 'big'"),
        (("--size", "256×176"), "--size cannot be"),
        (("--size", "0x0"), "--size cannot be 0x0"),
        (("--identities", "0"), "--identities cannot be 0"),
        (("--views", "1"), "--views cannot be 1"),
        (("--workers", "0"), "--workers"),
        (("--seed", "-1"), "--seed"),
        (("--identities", "many"), "--identities"),
    ],
)
def test_wrong_use_is_one_sentence_and_2(command: Command, options: tuple[str, ...], told: str) -> None:
    done = command(*GIVEN, *options)
    assert done.code == 2
    assert told in done.sentence
    assert not Path("out").exists()


def test_help_names_every_option(command: Command) -> None:
    text = command("synth", "--help").out
    for option in ("--output", "--identities", "--views", "--seed", "--size", "--workers", "--overwrite", "--json"):
        assert option in text
