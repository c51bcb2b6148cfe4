"""``fhpt-eval compare``: whether runs differ, by how much, and how sure that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhpt_eval.cli.shared import AsJson, Metrics, Overwrite, Quiet, TableName, metric_names

if TYPE_CHECKING:
    from rich.table import Table

    from fhpt_eval.reporting.comparing.compare import Comparison, MetricDifference

_VERDICTS = {"no difference shown": "–", "not tested": "–"}
"""What a column has no room for stands below the table."""

_SHOWN = 12
"""Parts of a metric on the screen, at most; the file has all."""


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="BASELINE RUN...", help="Folders that `fhpt-eval run -o` wrote, the baseline first."),
    ],
    metrics: Metrics = None,
    table: TableName = None,
    by: Annotated[
        str | None,
        typer.Option("--by", help="Also on each part of the pairs: view, gender, category, item or missing."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="CSV to write, with every row; else only the screen.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare runs on the same pairs with the first of them: better, worse, or no difference shown.

    Differences are paired, with a 95 % interval and a p-value by resampling items, the same draw in both runs; p-values
    are adjusted by Holm's procedure over all tests. Of three runs or more, it also says which cannot be told apart.
    """
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.errors import UserError
    from fhpt_eval.evaluation.named_file import write_named
    from fhpt_eval.evaluation.run import Run
    from fhpt_eval.files.csv_table import csv_text
    from fhpt_eval.reporting.comparing.compare import compare as compare_runs

    if output is not None and output.suffix.lower() != ".csv":
        raise UserError(f"{output}: a comparison ends in .csv.")
    with ProgressDisplay(quiet=quiet) as progress:
        found = compare_runs(
            [Run.load(folder) for folder in runs], metric_names(metrics), table=table, by=by, progress=progress
        )
    if output is not None:
        frame = found.table.astype(object)
        rows = frame.where(frame.notna(), "").to_numpy().tolist()
        write_named(output, csv_text([list(frame.columns), *rows]), overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(_plain(found), indent=2, ensure_ascii=False))
    else:
        _print(found, output)


def _plain(found: Comparison) -> dict[str, object]:
    from fhpt_eval.reporting.comparing.judgement import sentences

    frame = found.table.astype(object)
    return {
        "runs": [run.record.name for run in found.runs],
        "resampled": found.over,
        "rows": frame.where(frame.notna(), None).to_dict("records"),
        "letters": {metric: list(letters) for metric, letters in found.letters.items()},
        "sentences": sentences(found),
    }


def _print(found: Comparison, output: Path | None) -> None:
    from fhpt_eval.cli.display import print_table
    from fhpt_eval.reporting.comparing.judgement import sentences, shortfalls

    for run in found.runs[1:]:
        rows = [row for row in found.rows if row.second == run.record.name]
        print_table(_table(rows))
        for line in shortfalls(row for row in rows if not row.part):
            typer.echo(line)
        typer.echo()
    if any(any(of_runs) for of_runs in found.letters.values()):
        print_table(_letters(found))
        typer.echo("runs that share a letter cannot be told apart\n")
    for sentence in sentences(found):
        typer.echo(sentence)
    if output is not None:
        typer.echo(str(output))


def _table(rows: list[MetricDifference]) -> Table:
    """Return one run's differences to the first: as wide as a paper's page."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from fhpt_eval.numbers import decimals_of, fixed
    from fhpt_eval.reporting.comparing.judgement import probability
    from fhpt_eval.text import visible

    counts = {(row.n, row.items) for row in rows}
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.title = Text(f"{visible(rows[0].second)} against the baseline {visible(rows[0].first)}", "bold")
    table.title_justify = "left"
    table.add_column("metric", no_wrap=True)
    for heading in ("baseline", "run", "difference (95 %)", "p", "ahead"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    if len(counts) > 1:
        table.add_column("n", justify="right")
    shown: dict[str, int] = {}
    for row in rows:
        if row.part:
            shown[row.metric.name] = shown.get(row.metric.name, 0) + 1
            if shown[row.metric.name] > _SHOWN:
                continue
        title = f"  {visible(row.part)}" if row.part else f"{visible(row.metric.name)} {row.metric.arrow}"
        values = row.first_value, row.second_value
        decimals = decimals_of(values)
        # One more where the difference is small beside them.
        finer = min(max(decimals, decimals_of([row.difference])), decimals + 1)
        half = "" if row.interval is None else f" ± {fixed((row.interval[1] - row.interval[0]) / 2, finer)}"
        sign = "+" if row.difference is not None and row.difference > 0 else ""
        cells = [
            title,
            *(odd or fixed(value, decimals) for odd, value in zip(row.not_finite, values, strict=True)),
            sign + fixed(row.difference, finer) + half,
            probability(row.p_adjusted),
            "" if row.superiority is None else f"{100 * row.superiority:.0f} %",
            _VERDICTS.get(row.verdict, row.verdict),
            *([str(row.n)] if len(counts) > 1 else []),
        ]
        table.add_row(*map(Text, cells))
    about = ["p: adjusted over all tests (Holm). ahead: how often better on a pair, ties half."]
    if any(row.interval is not None for row in rows):
        about.insert(0, "±: of each difference by itself.")
    if len(counts) == 1:
        ((n, items),) = counts
        about.insert(0, f"{n} common pairs, {items} of them resampled." if n == items else f"{n} common pairs.")
    left = sum(max(0, count - _SHOWN) for count in shown.values())
    about += [f"{left} more parts: -o FILE.csv has all of them."] if left else []
    table.caption = Text(" ".join(about))
    table.caption_justify = "left"
    return table


def _letters(found: Comparison) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from fhpt_eval.text import visible

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric", no_wrap=True)
    for run in found.runs:
        table.add_column(Text(visible(run.record.name), overflow="fold"))
    for metric, letters in found.letters.items():
        table.add_row(Text(visible(metric)), *map(Text, letters))
    return table
