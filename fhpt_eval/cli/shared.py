"""Options and exit codes that several sub-commands share."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhpt_eval.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from fhpt_eval.extract.insight_face import FaceModels
    from fhpt_eval.files.given import GivenFile
    from fhpt_eval.pairing.pairs import Pairs
    from fhpt_eval.people.keypoint_files import Eyes as KeypointEyes
    from fhpt_eval.people.keypoint_files import KeypointFiles
    from fhpt_eval.people.mask_files import MaskFiles

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
        "--engine",
        help="What computes: local, this machine; ray, a Ray cluster (docs/cluster.md); or one of another package.",
        rich_help_panel=MACHINE,
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


def settings(given: Sequence[str], form: str = "OPTION", example: str = "") -> dict[str, str]:
    """Read what ``--set NAME=VALUE`` gives, by name.

    Args:
        given: The texts after ``--set``.
        form: What a name consists of: words with a dot between them.
        example: Shown where a text has another form.

    Raises:
        UserError: One has another form, or is given twice.
    """
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not all(name.split(".")) or name.count(".") != form.count("."):
            raise UserError(f"--set {text}: write {form}=VALUE{example and f', for example --set {example}'}.")
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


KEYPOINT_FORMS = "an annotation CSV, or a folder of OpenPose's JSON or candidate/subset text"

EVALUATED = "What is evaluated"
"""The panel of options that name images and what is known of them."""

GeneratedKeypoints = Annotated[
    str | None,
    typer.Option(
        "--generated-keypoints",
        metavar="FILE",
        help=f"Keypoints of the generated images, instead of detected ones: {KEYPOINT_FORMS}.",
        rich_help_panel=EVALUATED,
    ),
]
TargetKeypoints = Annotated[
    str | None,
    typer.Option(
        "--target-keypoints",
        metavar="FILE",
        help="The same of the targets; masks are drawn from these, where a dialect or an option asks for masks.",
        rich_help_panel=EVALUATED,
    ),
]
TargetMasks = Annotated[
    Path | None,
    typer.Option(
        "--target-masks",
        metavar="DIR",
        help="Masks of the targets as images, white where the person is, instead of masks drawn from keypoints.",
        rich_help_panel=EVALUATED,
    ),
]
SourcePoses = Annotated[
    str | None,
    typer.Option(
        "--source-keypoints",
        metavar="FILE",
        help=f"Body keypoints of the sources instead of detected ones: {KEYPOINT_FORMS}. Given for one side alone, a"
        " file is that of both.",
    ),
]
TargetPoses = Annotated[
    str | None,
    typer.Option(
        "--target-keypoints",
        metavar="FILE",
        help="The same of the targets; a list that holds all images, as the field's do, need be given once only.",
    ),
]
Eyes = Annotated[
    str, typer.Option("--eyes", help="Which eye and ear annotation CSVs name first: right-first or left-first.")
]


def read_keypoints(given: Mapping[str, str | None], eyes: str) -> dict[str, KeypointFiles | None]:
    """Read the keypoint files that options name, each path once, by option.

    Args:
        given: The path that each option was given.
        eyes: What ``--eyes`` says.

    Raises:
        UserError: One cannot be read, or ``--eyes`` does not fit.
    """
    from fhpt_eval.files.given import path_of
    from fhpt_eval.people.keypoint_files import KeypointFiles

    if eyes not in {"right-first", "left-first"}:
        raise UserError(f"--eyes cannot be '{eyes}'.{did_you_mean(eyes, ['right-first', 'left-first'])}")
    order: KeypointEyes = "left-first" if eyes == "left-first" else "right-first"
    read: dict[str, KeypointFiles] = {}
    for option, path in given.items():
        try:
            if path is not None and path not in read:
                read[path] = KeypointFiles.at(path_of(path, "keypoint files"), order)
        except ValueError as error:
            raise UserError(f"{option} '{path}': {error}.") from None
    if order == "left-first" and all(files.form != "annotations" for files in read.values()):
        raise UserError(
            f"--eyes left-first is about annotation lists: give one with {' or '.join(given)}, or leave --eyes out."
        )
    return {option: None if path is None else read[path] for option, path in given.items()}


def read_masks(folder: Path | None) -> MaskFiles | None:
    """Read the folder that ``--target-masks`` names.

    Raises:
        UserError: It cannot be read, or holds no masks.
    """
    from fhpt_eval.people.mask_files import MaskFiles

    return None if folder is None else MaskFiles.at(folder)


def read_file(option: str, path: str | None) -> GivenFile | None:
    """Read a file that an option names.

    Raises:
        UserError: It cannot be read.
    """
    from fhpt_eval.files.given import GivenFile, path_of

    try:
        return None if path is None else GivenFile.at(path_of(path, "a file"))
    except ValueError as error:
        raise UserError(f"{option} '{path}': {error}.") from None


def read_face_models(folder: str | None) -> FaceModels | None:
    """Read the networks of ``--face-models``.

    Raises:
        UserError: They cannot be read, or are none.
    """
    from fhpt_eval.extract.insight_face import FaceModels
    from fhpt_eval.files.given import path_of

    try:
        return None if folder is None else FaceModels.at(path_of(folder, "a folder"))
    except ValueError as error:
        raise UserError(f"--face-models '{folder}': {error}.") from None


Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace another file of this name.")]
"""Of a command that writes one file; that it would write again as it is needs no option."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

QUIET = "Nothing on stderr but errors; stdout stays."

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help=QUIET)]

Runs = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders that `fhpt-eval run -o` wrote.")]

SHOWN = "What is shown"
"""The panel of options that choose what of runs is shown."""

Metrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        help="Metrics, separated by commas, in this order; otherwise the headlines.",
        rich_help_panel=SHOWN,
    ),
]
TableName = Annotated[
    str | None,
    typer.Option(
        "--table",
        help="One of the paper's tables (perceptual, structural, face, retrieval, gender), all, or detail.",
        rich_help_panel=SHOWN,
    ),
]


def metric_names(metrics: str | None) -> list[str] | None:
    """Return the names of ``--metrics``; None where it was not given. A comma within brackets belongs to a name."""
    return None if metrics is None else [name.strip() for name in re.split(r",(?![^\[]*\])", metrics)]


def say_changed(changed: Sequence[str]) -> None:
    """Say on stderr which pictures are gone or are not those that were measured; end with 3 if any are.

    Raises:
        typer.Exit: Some are.
    """
    for line in changed:
        print(f"fhpt-eval: {line}", file=sys.stderr)
    if changed:
        raise typer.Exit(DONE_IN_PART)
