"""``fhpt-eval synth``: a data set of rendered people with known keypoints."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fhpt_eval.cli.shared import AsJson, Quiet
from fhpt_eval.errors import UserError


def synth(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the data set; new, empty, or to go on in.")
    ],
    identities: Annotated[
        int, typer.Option("--identities", help="How many people; of 2 and more, a tenth are the test split.")
    ],
    views: Annotated[
        int, typer.Option("--views", help="Photographs of each person, over several garments; 2 or more.")
    ],
    seed: Annotated[int, typer.Option("--seed", help="Of all that is random.")] = 0,
    size: Annotated[str, typer.Option("--size", metavar="HEIGHTxWIDTH", help="Pixels of an image.")] = "256x176",
    photographic: Annotated[
        bool, typer.Option("--photographic", help="Blur, sensor noise and JPEG as of real photographs.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", help="How many processes.  [default: one per core]")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete an earlier data set in the folder and make this one.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Render people who do not exist, with everything known about them: keypoints, masks, garments, gender.

    Writes images in DeepFashion's tree and names, masks, OpenPose's JSON, lists of annotations and pairs of two splits
    without a person in common, truth.jsonl with everything, and a data card. The same seed makes the same
    bytes on the same kind of processor. A command that was stopped goes on when it is given again. Needs the extra
    [synthetic].
    """
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.engine.machine import cpu_count
    from fhpt_eval.synthetic.dataset import make
    from fhpt_eval.synthetic.dataset_folder import CARD

    with ProgressDisplay(quiet=quiet) as progress:
        done = make(
            output,
            identities=identities,
            views=views,
            seed=seed,
            size=_size(size),
            workers=cpu_count() if workers is None else workers,
            photographic=photographic,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(asdict(done), indent=2))
        return
    if done.made:
        kept = f", {done.kept} were there" if done.kept else ""
        typer.echo(f"{done.made} images made{kept}: {output}")
    else:
        typer.echo(f"nothing to do, all {done.kept} images are there: {output}")
    for split, counts in done.splits.items():
        typer.echo(
            f"{split}: {counts.identities} people, {counts.items} items, {counts.images} images, {counts.pairs} pairs"
        )
    typer.echo(f"what it is and how it is used: {output / CARD}")


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII)
    if match is None:
        raise UserError(f"--size cannot be '{text}': give height and width in pixels, such as 256x176.")
    return int(match[1]), int(match[2])
