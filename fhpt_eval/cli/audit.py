"""``fhpt-eval audit``: what folders of images hold, and what of it moves which numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhpt_eval.cli.shared import DONE, DONE_IN_PART, AsJson, Quiet

if TYPE_CHECKING:
    from fhpt_eval.auditing.findings import Finding
    from fhpt_eval.auditing.folder import FolderAudit

_WIDTH = 100
_EXAMPLES = 3


def audit(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of generated images, or of any.")],
    target: Annotated[
        Path | None,
        typer.Option("--target", "-t", help="Folder of real images in the target pose, to compare with."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--source", "-s", help="Folder of source images: tells which generated ones are copies of them."),
    ] = None,
    train: Annotated[
        Path | None, typer.Option("--train", help="train.lst, a flat name a line: tells what was trained on.")
    ] = None,
    test: Annotated[Path | None, typer.Option("--test", help="test.lst, a flat name a line.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Look into folders of images for what keeps numbers from being reproduced.

    Tells for each folder how its images are stored, their sizes, colours, white borders, duplicates and what is left
    out, then what is worth a look and what that does to which metrics: a loss in storing, borders, EXIF orientations,
    copies of real images, training images. `fhpt-eval run` says the same in a line, first of all. Exit code 0: nothing
    to look at; 3: something.
    """
    from fhpt_eval.auditing.audit import audit as look
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.datasets.lists import read_split_list
    from fhpt_eval.datasets.split_findings import split_findings

    lists = [None if path is None else read_split_list(path, option) for path, option in _options(train, test)]
    with ProgressDisplay(quiet=quiet) as progress:
        found = look(folders, target, source, progress)
    findings = [*found.findings, *(split_findings(found.folders, *lists) if any(lists) else ())]
    if as_json:
        about = {"folders": [_as_json(one) for one in found.folders], "findings": [*map(_finding_as_json, findings)]}
        typer.echo(json.dumps(about, indent=2, ensure_ascii=False))
    else:
        _print(found.folders, findings)
    raise typer.Exit(DONE_IN_PART if findings else DONE)


def _options(train: Path | None, test: Path | None) -> tuple[tuple[Path | None, str], ...]:
    return (train, "--train"), (test, "--test")


def _print(audits: tuple[FolderAudit, ...], findings: list[Finding]) -> None:
    from fhpt_eval.auditing.effects import effects_of, sentence_of
    from fhpt_eval.auditing.folder import images

    for one in audits:
        typer.echo(f"{one}: {images(len(one.pictures))}")
        for what, about in _facts(one).items():
            _wrapped(f"  {what:<14}", about)
        typer.echo()
    if not findings:
        typer.echo("nothing to look at")
        return
    typer.echo("1 thing to look at" if len(findings) == 1 else f"{len(findings)} things to look at")
    for number, finding in enumerate(findings, 1):
        typer.echo()
        _wrapped(f"{number}. ", f"{finding.folder}: {finding.what}.")
        _wrapped("   → ", sentence_of(effects_of(finding.flaw)))
        for file in finding.files[:_EXAMPLES]:
            _wrapped("   · ", file)
        if (more := len(finding.files) - _EXAMPLES) > 0:
            typer.echo(f"   · and {more:,} more, with --json")


def _facts(one: FolderAudit) -> dict[str, str]:
    """Return what a folder holds, in words."""
    from fhpt_eval.auditing.findings import of_all, tally

    borders = "none"
    if one.borders is not None:
        borders = f"{one.borders[0]} ({of_all(one.borders[1], len(one.headers))})"
    facts = {
        "stored as": tally(one.stored),
        "endings": tally(one.endings),
        "size": tally(one.sizes),
        "mode": tally(one.modes),
        "white borders": borders,
        "duplicates": f"{sum(len(names) - 1 for names in one.duplicates):,}",
        "unreadable": f"{len(one.unreadable):,}",
        "left out": f"{len(one.listing.left_out):,}",
    }
    if one.listing.others:
        facts["no images"] = f"{len(one.listing.others):,}, such as {one.listing.others[0]}"
    return facts


def _wrapped(first: str, text: str) -> None:
    import textwrap

    indent = " " * len(first)
    lines = textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False)
    typer.echo("\n".join(lines) or first.rstrip())


def _as_json(one: FolderAudit) -> dict[str, Any]:
    borders = None if one.borders is None else {**one.borders[0]._asdict(), "images": one.borders[1]}
    return {
        "folder": str(one),
        "images": len(one.pictures),
        "stored": one.stored,
        "endings": one.endings,
        "sizes": one.sizes,
        "modes": one.modes,
        "white_borders": borders,
        "duplicates": one.duplicates,
        "unreadable": one.unreadable,
        "left_out": one.listing.left_out,
        "no_images": one.listing.others,
    }


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    from fhpt_eval.auditing.effects import effects_of

    about = {"folder": finding.folder, "flaw": finding.flaw, "what": finding.what, "files": [*finding.files]}
    return {**about, "effects": effects_of(finding.flaw)}
