"""Options and exit codes that several sub-commands share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhpt_eval.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from fhpt_eval.pairing.pairs import Pairs
    from fhpt_eval.people.keypoint_files import Eyes as KeypointEyes
    from fhpt_eval.people.keypoint_files import KeypointFiles

DONE, BUG, WRONG_USE, DONE_IN_PART, INTERRUPTED = 0, 1, 2, 3, 130

WeightsDir = Annotated[
    Path | None,
    typer.Option(
        "--weights-dir", help="Folder to look in first and to write to; else FHPT_EVAL_WEIGHTS, else the user's cache."
    ),
]
MACHINE = "Machine"
"""The help panel of options about where and how to compute."""

EngineName = Annotated[
    str,
    typer.Option(
        "--engine", help="What computes: local, this machine, or one of another package.", rich_help_panel=MACHINE
    ),
]
DetectorTimeout = Annotated[
    float,
    typer.Option(
        "--detector-timeout",
        min=0.1,
        help="Seconds that a detector may take for an image; it is then stopped, and the image counted as missing.",
        rich_help_panel=MACHINE,
    ),
]
NAMED = 5
"""How many things are named on stderr before the rest is counted."""


def settings(given: Sequence[str]) -> dict[str, str]:
    """Options given as ``--set OPTION=VALUE``.

    Raises:
        UserError: One has no ``=``, or is given twice.
    """
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--set {text}: write OPTION=VALUE.")
        if name in values:
            raise UserError(f"--set {name} is given twice: keep one.")
        values[name] = value
    return values


def name_some(what: str, things: Sequence[str], all_in: Path | None = None) -> None:
    """Name the first few things on stderr, count the others, and say which file names all of them."""
    for thing in things[:NAMED]:
        print(f"fhpt-eval: {what}: {thing}", file=sys.stderr)
    if (more := len(things) - NAMED) > 0:
        print(f"fhpt-eval: {what}: and {more} more{f', all named in {all_in}' if all_in else ''}", file=sys.stderr)


def read_pairs(list_: Path | None, generated: Path, target: Path | None, source: Path | None, naming: str) -> Pairs:
    """Pair the images of folders, by ``--pairs`` where it is given.

    Raises:
        UserError: As `Pairs.from_csv` and `Pairs.from_folders`.
    """
    from fhpt_eval.pairing.pairs import Pairs

    if list_ is None:
        return Pairs.from_folders(generated, target, source, naming)
    return Pairs.from_csv(list_, generated, target, source, naming)


Keypoints = Annotated[
    str | None,
    typer.Option(
        "--keypoints", help="Body keypoints instead of detected ones: an annotation CSV or a folder of OpenPose's."
    ),
]
Eyes = Annotated[
    str, typer.Option("--eyes", help="Which eye and ear annotation CSVs name first: right-first or left-first.")
]


def read_keypoints(
    path: str | None, eyes: str, option: str = "--keypoints"
) -> tuple[KeypointFiles | None, KeypointEyes]:
    """Read what ``--keypoints``, or another option for such files, and ``--eyes`` say.

    Raises:
        UserError: They cannot be.
    """
    from fhpt_eval.files.given import path_of
    from fhpt_eval.people.keypoint_files import KeypointFiles

    if eyes not in {"right-first", "left-first"}:
        raise UserError(f"--eyes cannot be '{eyes}'.{did_you_mean(eyes, ['right-first', 'left-first'])}")
    order: KeypointEyes = "left-first" if eyes == "left-first" else "right-first"
    try:
        return None if path is None else KeypointFiles.at(path_of(path, "keypoint files")), order
    except ValueError as error:
        raise UserError(f"{option} '{path}': {error}.") from None


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
