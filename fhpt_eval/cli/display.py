"""What people look at: progress on stderr, the summary of a run on stdout."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from fhpt_eval.auditing.at_a_glance import Glance
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ProtocolRecord, ScoreRecord
from fhpt_eval.measuring.protocol import configure
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.numbers import decimals_of, fixed
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.notes import closing_notes, notes
from fhpt_eval.reporting.leaderboards.tables import CLOSE, Cell, heading, tables
from fhpt_eval.reporting.leaderboards.tables import Table as BoardTable
from fhpt_eval.reporting.metrics import Metric, metrics_of
from fhpt_eval.text import visible

_LOG_EVERY = 10.0
"""Seconds between lines where stderr is a file."""


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        done, total = task.completed, task.total or 0
        if str(task.description).startswith("downloading"):
            speed = f"{decimal(int(task.speed))}/s" if task.speed else ""
            return Text(f"{decimal(int(done))} of {decimal(int(total))} {speed}")
        speed = f"{task.speed:.1f}/s" if task.speed else ""
        return Text(f"{done:.0f}/{total:.0f} {speed}")


class ProgressDisplay:
    """A bar a stage with rate and time left; a line now and then where stderr is no terminal; nothing if quiet.

    The bar of a stage that is done makes room; the same stage may come again. In a notebook, bars take ``ipywidgets``;
    where that is not installed, lines come.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._drawn = self._console.is_terminal or (self._console.is_jupyter and find_spec("ipywidgets") is not None)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            disable=quiet or not self._drawn,
        )
        self._tasks: dict[str, tuple[TaskID, float, int]] = {}
        self._last_line = time.monotonic()

    def __enter__(self) -> ProgressDisplay:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps of a stage are done."""
        if stage not in self._tasks:
            self._tasks[stage] = (self._bars.add_task(stage, total=total, completed=done), time.monotonic(), done)
        task, started, before = self._tasks[stage]
        self._bars.update(task, completed=done, total=total)
        now = time.monotonic()
        if not self._quiet and not self._drawn and now - max(started, self._last_line) > _LOG_EVERY:
            self._last_line = now
            rate = (done - before) / (now - started)
            left = f", {_minutes((total - done) / rate)} left" if rate else ""
            self._console.print(f"{stage}: {done}/{total} ({rate:.1f}/s{left})", highlight=False)
        if done >= total:
            self._bars.remove_task(task)
            del self._tasks[stage]

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        if not self._quiet:
            self._console.print(f"fhpt-eval: {line}", highlight=False, markup=False, soft_wrap=True)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def print_table(table: Table) -> None:
    """Print a table as wide as it needs to be: a number or a name that is cut off is worse than a long line."""
    wide = Console(width=1000)
    Console(width=max(Console().width, Measurement.get(wide, wide.options, table).maximum)).print(table)


def summary(run: Run) -> Table:
    """Return the scores of a run: headlines first, then the details, grouped as the paper groups its protocols."""
    lacking = any(score.missing for score in run.scores.values())
    headings = ["metric", "value", "95 % interval", "n", *(["missing"] if lacking else [])]
    table = Table(*headings, box=SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        column.no_wrap = True
    for index in (1, *range(3, len(headings))):
        table.columns[index].justify = "right"
    sections: dict[str, list[Metric]] = {}
    for metric in metrics_of([run]).values():
        sections.setdefault("headlines" if metric.headline else f"details: {metric.group}", []).append(metric)
    for title, metrics in sections.items():
        table.add_row(Text(title, style="bold"))
        for metric in metrics:
            score = run.scores[metric.name]
            decimals = decimals_of(score.numbers)
            table.add_row(*_cells(metric, score, decimals)[: len(headings)])
            for name, value in _controls(score):
                table.add_row(Text(f"    · {visible(name)}"), Text(fixed(value, decimals)), style="dim")
        table.add_section()
    without = [protocol for protocol in run.record.protocols if not protocol.scores]
    for protocol in without:
        table.add_row(Text(f"  {visible(protocol.label)}"), Text(protocol.status, style="yellow"))
    details = [score.details for score in run.scores.values() if score.interval and "interval_over" in score.details]
    if details:
        over = {str(each["interval_over"]) for each in details}
        how = {str(each.get("interval_by", "bootstrap")) for each in details}
        table.caption = Text(f"95 % intervals: {', '.join(sorted(how))} over {', '.join(sorted(over))}")
        table.caption_justify = "left"
    return table


def print_board(board: Leaderboard) -> None:
    """Print a leaderboard as tables, and below them what must be known."""
    for block in range(len(board.blocks)):
        for shown in tables(board, block):
            print_table(_rich(shown))
        _say(notes(board, block))
    _say(closing_notes(board))


def _rich(shown: BoardTable) -> Table:
    """Return a table for the screen; marks hang behind the digits."""
    table = Table("run", box=SIMPLE_HEAD, pad_edge=False)
    hanging = [any(row.cells[i].close for row in shown.runs) for i in range(len(shown.metrics))]
    for metric, hangs in zip(shown.metrics, hanging, strict=True):
        table.add_column(Text(visible(heading(metric)) + " " * hangs), justify="right")
    for column in table.columns:
        column.no_wrap = True
    for row in shown.runs:
        table.add_row(visible(row.name), *map(_rich_cell, row.cells, hanging))
    table.add_section()
    for row in shown.published:
        table.add_row(visible(row.name), *map(_rich_cell, row.cells, hanging))
    return table


def _rich_cell(cell: Cell, hangs: bool) -> Text:
    style = {"best": "bold", "second": "underline", "": ""}[cell.place]
    text = Text.assemble((cell.text, style), CLOSE if cell.close else " " * hangs)
    if cell.beside:
        text.append(f" {cell.beside}")
    if cell.grey:
        text.stylize("dim")
    return text


def _say(lines: Sequence[str]) -> None:
    for line in lines:
        typer.echo(visible(line))


def score_value(score: ScoreRecord) -> str:
    """Return a score by itself, with its unit."""
    unit = f" {score.unit}" if score.unit and score.value is not None else ""
    return score.shown() + unit


def _cells(metric: Metric, score: ScoreRecord, decimals: int) -> list[Text]:
    std = score.details.get("std")
    spread = f"(std {fixed(std, decimals)})" if isinstance(std, float) else ""
    ends = [fixed(end, decimals) for end in score.interval or ()]
    missing = sum(score.missing.values())
    cells = [
        f"  {visible(heading(metric))}",
        score.shown(decimals),
        " … ".join(ends) or spread,
        str(score.n),
        str(missing or ""),
    ]
    return [Text(cell) for cell in cells]


def _controls(score: ScoreRecord) -> list[tuple[str, float]]:
    """Return what the metric gives where the answer is known: real targets, chance, the source itself."""
    controls = score.details.get("controls")
    if not isinstance(controls, dict):
        return []
    values = {name: about.get("value") for name, about in controls.items() if isinstance(about, dict)}
    return [(name, value) for name, value in values.items() if isinstance(value, float | int)]


def options(run: Run) -> list[str]:
    """Return the options that differ from the profile's defaults, as --set takes them, and what was given."""
    known = find_protocols().classes
    changed = []
    for protocol in run.record.protocols:
        if protocol.name in known and protocol.metric is None:
            defaults = configure(known[protocol.name], run.record.profile, {}).parameters()
            given = protocol.recipe.parameters.items()
            changed += [f"{protocol.name}.{key}={value}" for key, value in given if defaults.get(key) != value]
    keypoints = {role: text for p in run.record.protocols for role, text in p.recipe.keypoints.items()}
    told = [f"keypoints of {role} images: {text}" for role, text in keypoints.items()]
    told += [f"masks of target images: {text}" for text in {p.recipe.masks for p in run.record.protocols} if text]
    # Twelve digits tell files apart; run.json has all.
    return changed + [re.sub(r"(sha256:\w{12})\w+", r"\1…", text) for text in told]


def left_undone(run: Run) -> list[str]:
    """One line for each reason why protocols have no scores."""
    open_ends: dict[str, list[str]] = {}
    for protocol in run.record.protocols:
        if protocol.status != "done":
            open_ends.setdefault(_because(protocol), []).append(protocol.label)
    return [f"{', '.join(names)}: {why}" for why, names in open_ends.items()]


def remarks(run: Run) -> list[str]:
    """One line for each thing that the reader of the numbers must know."""
    record = run.record
    lines = left_undone(run)
    reasons: dict[str, set[str]] = {}
    for protocol in record.protocols:
        for reason, count in ((r, c) for score in protocol.scores for r, c in score.missing.items()):
            reasons.setdefault(f"{count} × {reason}", set()).add(protocol.label)
    lines += [f"missing: {what} ({', '.join(sorted(names))})" for what, names in reasons.items()]
    # Where the reason is no image of its own, such as that nobody is of a gender.
    empty = [score.metric for score in run.scores.values() if score.value is None and not score.missing]
    lines += [f"without a value: {', '.join(empty)}"] if empty else []
    for what, files in (("unreadable", record.images.unreadable), ("left out", record.images.left_out)):
        lines += [f"{what}: {file}: {reason}" for file, reason in list(files.items())[:5]]
        if (more := len(files) - 5) > 0:
            lines.append(f"{what}: and {more} more, all named in run.json")
    for kind in ("missing", "ambiguous", "duplicate", "extra"):
        names = getattr(record.pairs, kind)
        if names:
            more_text = f" and {len(names) - 3} more" if len(names) > 3 else ""
            lines.append(f"{kind} pairs: {'; '.join(names[:3])}{more_text}")
    lines += [f"decoding: {count} × {note}" for note, count in record.images.notes.items()]
    noted: dict[str, dict[str, None]] = {}
    for protocol in record.protocols:
        if protocol.note is not None:
            noted.setdefault(protocol.note, {})[str(protocol.dialect)] = None
    lines += [f"{', '.join(dialects)}: {note}" for note, dialects in noted.items()]
    return lines + record.doubts + record.warnings


def beside(run: Run, folder: Path) -> list[str]:
    """Return what the folder of a run holds other than the run: from before, or because nothing came of a protocol."""
    ours = {protocol.label: protocol.model_dump_json() for protocol in run.record.protocols}
    try:
        record = Run.load(folder).record
    except UserError as error:
        return [f"{folder} was left as it is: {error}"]
    written = {protocol.label: protocol.model_dump_json() for protocol in record.protocols}
    before = [label for label in written if label not in ours]
    lines = [f"in {folder} from before: {', '.join(before)}"] if before else []
    left = [label for label, protocol in ours.items() if written.get(label) != protocol]
    return lines + ([f"{folder} was left as it was about: {', '.join(left)}"] if left else [])


def _because(protocol: ProtocolRecord) -> str:
    text = protocol.reason or protocol.status
    return f"this is a bug: {text}" if protocol.status == "failed" else text


def print_run(
    run: Run, folder: Path, glances: Sequence[Glance], results: tuple[int, int], *, as_json: bool, quiet: bool
) -> None:
    """Print a finished run: its table on stdout, and beside it what must be known.

    Args:
        run: What is printed.
        folder: Where it is recorded.
        glances: What the generated images' files are like.
        results: How many were computed, and how many were in the cache.
        as_json: Print the record instead of the table.
        quiet: Nothing beside it.
    """
    if as_json:
        typer.echo(run.record.model_dump_json(indent=2))
    else:
        record = run.record
        for glance in glances:
            typer.echo(glance.line)
        about = f"{record.pairs.total} pairs (naming {record.pairs.naming})"
        typer.echo(f"{record.name}: {about}, profile {record.profile}")
        print_table(summary(run))
        for option in options(run):
            typer.echo(f"with {option}")
        typer.echo(f"results: {results[0]} computed, {results[1]} from the cache")
        typer.echo(f"{folder / 'run.json'}")
    if not quiet:
        for line in beside(run, folder):
            print(f"fhpt-eval: {line}", file=sys.stderr)
        for line in remarks(run):
            print(f"fhpt-eval: {line}", file=sys.stderr)
