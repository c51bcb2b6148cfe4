"""``fhpt-eval pack``: what of a run somebody else needs to check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fhpt_eval.cli.shared import Overwrite


def pack(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder that `fhpt-eval run -o` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Archive to write, such as claim.zip.")],
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="The list of pairs that the run was given, where it was given one.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Pack a run into an archive that `fhpt-eval verify` checks elsewhere.

    It has the record, the values of the pairs, what is missing, the hashes of all images, the list of pairs and a
    README with the command that checks it; no image. The same run gives the same bytes.
    """
    from fhpt_eval.errors import UserError
    from fhpt_eval.evaluation import claim
    from fhpt_eval.evaluation.named_file import write_named

    if output.suffix.lower() != ".zip":
        raise UserError(f"{output}: an archive ends in .zip.")
    write_named(output, claim.pack(run, pairs), overwrite=overwrite)
    typer.echo(str(output))
