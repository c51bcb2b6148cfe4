"""Runs as DataFrames, for notebooks and statistics of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob
from pathlib import Path

import pandas as pd

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.rescoring import COLUMNS, tidy
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import RECORD
from fhpt_eval.files.together import current
from fhpt_eval.reporting.blocks import blocks_of
from fhpt_eval.reporting.metrics import metrics_of, select_metrics

_ABOUT = ("headline", "table", "protocol", "dialect", "profile", "folder")


def load_runs(*folders: str | Path) -> pd.DataFrame:
    """Read the scores of runs into one table: a row a run and metric. `Run.load` gives a run itself.

    Args:
        folders: Of runs, or patterns of them: ``"results/*"``. What matches a pattern and is no run is passed over.

    Returns:
        Columns run, metric, value, low and high (of the 95 % interval; NaN where there is none), n, missing, better
        (``higher`` or ``lower``), unit, headline, table, protocol, dialect, profile and folder.

    Raises:
        UserError: There is no such run, or one is damaged or of another schema.
    """
    found = [path for given in folders for path in _found(Path(given))]
    if not found:
        raise UserError(f"there is no run in {', '.join(map(str, folders)) or 'nothing'}: give the folder of one.")
    tables = []
    for folder in dict.fromkeys(found):
        run = Run.load(folder)
        about = metrics_of([run])
        table = tidy(run.scores.values())
        table.insert(0, "run", run.record.name)
        named = {score.metric: protocol for protocol in run.record.protocols for score in protocol.scores}
        table["headline"] = [about[metric].headline for metric in table["metric"]]
        table["table"] = [about[metric].table for metric in table["metric"]]
        table["protocol"] = [named[metric].name for metric in table["metric"]]
        table["dialect"] = pd.Series([named[metric].dialect for metric in table["metric"]], dtype=object)
        table["profile"], table["folder"] = run.record.profile, str(folder)
        tables.append(table)
    # One without scores would take the types of the others' columns away.
    filled = [table for table in tables if len(table)]
    joined: pd.DataFrame = pd.concat(filled, ignore_index=True) if filled else tables[0]
    ordered: pd.DataFrame = joined[["run", *COLUMNS, *_ABOUT]]
    return ordered


def leaderboard(runs: Sequence[Run], metrics: Sequence[str] | None = None, *, table: str | None = None) -> pd.DataFrame:
    """Return the values of runs: a row a run, a column a metric.

    Blocks and metrics are those of `Leaderboard.of`; who is best is not tested, which takes long and has no place in a
    table of values, and a run that is given twice has two rows.

    Args:
        runs: Any. The index is their block and name: only values within a block can be compared.
        metrics: Names; None for the headlines.
        table: One of the paper's tables, ``all`` or ``detail``.

    Returns:
        Its ``attrs["apart"]`` has for each block after the first why it stands apart.

    Raises:
        UserError: A metric or a table is none that the runs have.
    """
    chosen = select_metrics(metrics_of(runs), metrics, table)
    blocks = blocks_of(runs)
    index = [(number, run.record.name) for number, block in enumerate(blocks, 1) for run in block.runs]
    rows = [
        [run.scores[name].value if name in run.scores else None for name in chosen]
        for block in blocks
        for run in block.runs
    ]
    names = pd.MultiIndex.from_tuples(index, names=["block", "run"]) if index else None
    frame: pd.DataFrame = pd.DataFrame(rows, columns=[*chosen], index=names, dtype="float64")
    frame.attrs["apart"] = {number: block.apart for number, block in enumerate(blocks, 1) if block.apart}
    return frame


def _found(given: Path) -> list[Path]:
    """Return the folder, or the runs that match it as a pattern."""
    if given.exists() or not any(sign in str(given) for sign in "*?["):
        return [given]
    matching = sorted(map(Path, glob(str(given))))  # noqa: PTH207 - a pattern may begin at the root
    return [path for path in matching if path.is_dir() and current(path, RECORD).exists()]
