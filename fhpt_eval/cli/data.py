"""``fhpt-eval data``: from a user's own copy of a data set to the folders that evaluations and trainings read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhpt_eval.cli.shared import DONE, DONE_IN_PART, AsJson, Quiet, name_some

if TYPE_CHECKING:
    from rich.table import Table

    from fhpt_eval.datasets.leakage import Leak
    from fhpt_eval.datasets.report import Report

app = typer.Typer(no_args_is_help=True, help="Prepare data sets from your own copy of them.")


@app.callback()
def data() -> None:
    """Prepare data sets from your own copy of them."""


@app.command()
def deepfashion(
    images: Annotated[
        Path,
        typer.Option(
            "--images",
            help="Folder img (256×256) or img_highres (750×1101) of the In-shop benchmark's archives, as unpacked.",
        ),
    ],
    train: Annotated[Path, typer.Option("--train", help="train.lst, one flat name per line.")],
    test: Annotated[Path, typer.Option("--test", help="test.lst, one flat name per line.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the crops; new, empty, or to go on in.")],
    train_pairs: Annotated[
        Path | None,
        typer.Option(
            "--train-pairs", help="CSV of the training pairs, header from,to; copied, and kept without this option."
        ),
    ] = None,
    test_pairs: Annotated[
        Path | None,
        typer.Option(
            "--test-pairs", help="CSV of the test pairs, header from,to; copied, and kept without this option."
        ),
    ] = None,
    image_format: Annotated[
        str,
        typer.Option(
            "--format", help="png: keeps every pixel. jpg: what PATN saved, quality 75, a second loss on the images."
        ),
    ] = "png",
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Delete what an earlier command made, its copies of pairs, too, and make it again."
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make the 176×256 crops of DeepFashion's In-shop benchmark, split as the field splits it.

    Of the low-res archive, columns 40 to 215, as PATN crops; of the high-res archive, the whole picture resized with
    Pillow's bicubic filter, as NTED and CFLD resize. Writes train/, test/, copies of the lists, missing.csv and
    report.json, and prints what the splits hold and what they share: the field's own split shares garments. A command
    that was stopped goes on when it is given again: crops are kept while they are whole and their sources unchanged.
    """
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.datasets.deepfashion import prepare_deepfashion
    from fhpt_eval.datasets.report import MISSING

    with ProgressDisplay(quiet=quiet) as progress:
        report = prepare_deepfashion(
            images,
            train,
            test,
            output,
            train_pairs=train_pairs,
            test_pairs=test_pairs,
            image_format=image_format,
            overwrite=overwrite,
            progress=progress,
        )
    if as_json:
        typer.echo(report.as_json())
    else:
        _print(report, output)
    if not quiet:
        rows = [f"{row.list}, row {row.row}: {row.name}: {row.reason}" for row in report.missing]
        name_some("missing", rows, output / MISSING)
    raise typer.Exit(DONE_IN_PART if report.missing else DONE)


def _print(report: Report, output: Path) -> None:
    from fhpt_eval.cli.display import print_table
    from fhpt_eval.datasets.report import REPORT

    width, height = report.source_size
    typer.echo(f"{report.archive} archive ({width}×{height}): {report.geometry}, stored as {report.encoding}")
    images = sum(split.images for split in report.splits.values())
    typer.echo(f"{images} crops, {report.made} of them made now")
    for table in (_splits(report), _leakage(report.leakage)):
        print_table(table)
    for split, pairs in report.pairs.items():
        typer.echo(f"{split} pairs: {pairs.complete} of {pairs.listed} have both images")
    typer.echo(str(output / REPORT))


def _splits(report: Report) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("", *report.splits, box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    splits = list(report.splits.values())
    table.add_row("listed", *(str(split.listed) for split in splits))
    table.add_row("images", *(str(split.images) for split in splits))
    table.add_row("items", *(str(split.items) for split in splits))
    table.add_row("items in a colour", *(str(split.item_colours) for split in splits))
    for gender in splits[0].genders:
        table.add_row(gender, *(str(split.genders[gender]) for split in splits))
    for view in splits[0].views:
        table.add_row(view, *(str(split.views[view]) for split in splits))
    return table


def _leakage(leaks: tuple[Leak, ...]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        "in both splits", "shared", "train images", "test images", "for example", box=SIMPLE_HEAD, pad_edge=False
    )
    for column in table.columns[1:4]:
        column.justify = "right"
    for leak in leaks:
        example = f"{leak.examples[0].train} and {leak.examples[0].test}" if leak.examples else ""
        table.add_row(
            leak.level.replace("_", " "),
            str(leak.shared),
            f"{leak.train_images} ({leak.train_share:.1%})",
            f"{leak.test_images} ({leak.test_share:.1%})",
            example,
        )
    return table
