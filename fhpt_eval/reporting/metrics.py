"""What tables and pages know of the metrics of runs: which come first, and which somebody asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ProtocolRecord, StoredRun
from fhpt_eval.measuring.protocol import Better, Group, Protocol
from fhpt_eval.measuring.registry import GROUPS, find_protocols
from fhpt_eval.numbers import decimals_of

ALL, DETAIL = "all", "detail"
"""Tables that are none of the paper's: every metric, and those that are no headline."""

ARROWS = {"higher": "↑", "lower": "↓"}


@dataclass(frozen=True)
class Metric:
    """A metric that some run has.

    Attributes:
        name: As in records: ``ssim``, ``recall@3[vgg16]``, ``gfla@2:ssim_256``.
        protocol: Whose it is.
        group: Of the protocol.
        table: Which of the paper's tables it stands in: ``perceptual``, ``structural``, ``face`` …
        better: Which direction is good.
        unit: Empty for plain numbers.
        headline: Whether it is to be looked at first.
    """

    name: str
    protocol: str
    group: Group
    table: str
    better: Better
    unit: str
    headline: bool

    @property
    def arrow(self) -> str:
        """The direction as a sign."""
        return ARROWS[self.better]


def metrics_of(runs: Iterable[StoredRun]) -> dict[str, Metric]:
    """Return every metric that some run has: headlines first, each in the order of the protocols' tables."""
    known = find_protocols().classes
    order = {name: place for place, name in enumerate(known)}
    found: dict[str, Metric] = {}
    for run in runs:
        for protocol in run.record.protocols:
            for metric in _of(protocol, known.get(protocol.name)):
                found.setdefault(metric.name, metric)
    ranked = sorted(
        found.values(), key=lambda m: (not m.headline, GROUPS.index(m.group), order.get(m.protocol, len(order)))
    )
    return {metric.name: metric for metric in ranked}


def select_metrics(
    metrics: dict[str, Metric], names: Sequence[str] | None = None, table: str | None = None
) -> dict[str, Metric]:
    """Return those that were asked for; the headlines where nothing was, or everything where there are none.

    Args:
        metrics: What there is, as `metrics_of` gives it.
        names: Of metrics, in the order in which they are wanted; None for no choice.
        table: One of the paper's tables, with its headlines and details, or ``all``, or ``detail``.

    Raises:
        UserError: A metric or a table is none that the runs have.
    """
    chosen = metrics
    if table is not None:
        tables = dict.fromkeys([*(metric.table for metric in metrics.values()), ALL, DETAIL])
        if table not in tables:
            raise UserError(f"--table {table}: no run has metrics of such a table.{did_you_mean(table, tables)}")
        if table != ALL:
            chosen = {n: m for n, m in metrics.items() if (not m.headline if table == DETAIL else m.table == table)}
    if names is not None:
        for name in names:
            if name not in chosen:
                where = "in this table" if name in metrics else "in any run"
                raise UserError(f"metric '{name}' is not {where}.{did_you_mean(name, chosen)}")
        return {name: chosen[name] for name in names}
    headlines = {name: metric for name, metric in chosen.items() if metric.headline}
    return chosen if table is not None else headlines or chosen


def shown_decimals(runs: Iterable[Run], metric: str) -> int:
    """Return how many decimals a metric has where the runs' values and intervals of it stand together."""
    return decimals_of(n for run in runs if (score := run.scores.get(metric)) is not None for n in score.numbers)


def _of(record: ProtocolRecord, protocol: type[Protocol] | None) -> list[Metric]:
    table = (protocol.table if protocol is not None else "") or record.group
    return [
        Metric(
            name=score.metric,
            protocol=record.name,
            group=record.group,
            table=table,
            better=score.better,
            unit=score.unit,
            headline=protocol is not None and protocol.is_headline(score.metric),
        )
        for score in record.scores
    ]
