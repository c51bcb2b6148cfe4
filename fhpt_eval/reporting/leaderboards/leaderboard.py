"""A leaderboard: runs in blocks, the metrics that are shown, who is best, and published numbers beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.evaluation.run import Run
from fhpt_eval.reporting.blocks import Block, blocks_of, without_prefix
from fhpt_eval.reporting.leaderboards.literature import Published
from fhpt_eval.reporting.leaderboards.remarks import of_one_name, of_the_same_images, once, remarks_of
from fhpt_eval.reporting.leaderboards.standings import Standing, standings
from fhpt_eval.reporting.metrics import ALL, Metric, metrics_of, select_metrics, shown_decimals


@dataclass(frozen=True)
class Leaderboard:
    """What a format writes down.

    Attributes:
        blocks: Runs that can be compared, and why a block stands apart from the first.
        metrics: Those that are shown, by name: headlines first.
        left_out: The other metrics of the runs.
        standings: For each block, who is best and second by each metric.
        decimals: Of each metric, in every table for people.
        intervals: Whether tables for people have intervals.
        literature: Published numbers that are shown, too.
        remarks: What must be known of the runs beside each other, a sentence each.
    """

    blocks: tuple[Block, ...]
    metrics: Mapping[str, Metric]
    left_out: tuple[Metric, ...]
    standings: tuple[Mapping[str, Standing], ...]
    decimals: Mapping[str, int]
    intervals: bool = False
    literature: tuple[Published, ...] = ()
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        runs: Sequence[Run],
        metrics: Sequence[str] | None = None,
        *,
        table: str | None = None,
        everything: bool = False,
        sort: str | None = None,
        decimals: int | None = None,
        intervals: bool = False,
        literature: Sequence[Published] = (),
    ) -> Leaderboard:
        """Put runs side by side.

        Args:
            runs: Any; those that cannot be compared stand in blocks of their own.
            metrics: Names, in the order in which they are wanted; None for the headlines.
            table: One of the paper's tables, ``all`` or ``detail``.
            everything: Where neither of these says otherwise, show the details after the headlines.
            sort: A metric by which the runs of each block are ordered, the best first; None for the order given.
            decimals: Of every number for people; None for what fits the metric.
            intervals: Show 95 % intervals in tables for people.
            literature: Published numbers to show below the runs.

        Raises:
            UserError: A metric is in no run, or a table is none.
        """
        kept, twice = once(runs)
        known = metrics_of(kept)
        tested = select_metrics(known, metrics, table)
        shown = select_metrics(known, table=ALL) if everything and metrics is None and table is None else tested
        blocks = [_sorted(block, _named(sort, known)) if sort else block for block in blocks_of(kept)]
        return cls(
            blocks=tuple(blocks),
            metrics=shown,
            left_out=tuple(metric for name, metric in known.items() if name not in shown),
            standings=tuple(standings(block, shown.values(), tested) for block in blocks),
            decimals={name: shown_decimals(kept, name) if decimals is None else decimals for name in shown},
            intervals=intervals,
            literature=tuple(literature),
            remarks=(*twice, *of_one_name(kept), *(line for b in blocks for line in of_the_same_images(b.runs))),
        )

    @property
    def told(self) -> list[str]:
        """What must be known of the runs, whatever the format."""
        apart = [
            f"in a block of its own: {', '.join(run.record.name for run in block.runs)}: {block.apart}"
            for block in self.blocks[1:]
        ]
        partial = [
            f"{run.record.name}: {line}" for block in self.blocks for run in block.runs for line in remarks_of(run)
        ]
        return [*apart, *partial, *self.remarks]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "metrics": [
                {"name": m.name, "table": m.table, "better": m.better, "unit": m.unit, "headline": m.headline}
                for m in self.metrics.values()
            ],
            "blocks": [
                {
                    "apart": block.apart,
                    "runs": [self._plain_run(run) for run in block.runs],
                    "standings": {
                        name: {
                            "best": [block.runs[i].record.name for i in standing.best],
                            "second": [block.runs[i].record.name for i in standing.second],
                            "close": standing.close,
                            "why": standing.why,
                        }
                        for name, standing in ranked.items()
                    },
                }
                for block, ranked in zip(self.blocks, self.standings, strict=True)
            ],
            "literature": [vars(number) for number in self.literature],
            "remarks": list(self.remarks),
        }

    def _plain_run(self, run: Run) -> dict[str, Any]:
        scores = {
            name: {"value": s.value, "not_finite": s.not_finite, "interval": s.interval, "n": s.n, "missing": s.missing}
            for name in self.metrics
            if (s := run.scores.get(name)) is not None
        }
        record = run.record
        return {
            "name": record.name,
            "profile": record.profile,
            "without_prefix": without_prefix(run),
            "scores": scores,
            "remarks": remarks_of(run),
        }


def _named(name: str, known: Mapping[str, Metric]) -> Metric:
    if name not in known:
        raise UserError(f"--sort {name}: metric '{name}' is not in any run.{did_you_mean(name, known)}")
    return known[name]


def _sorted(block: Block, by: Metric) -> Block:
    """Return a block with its best run first, and last the runs that have no value."""
    sign = -1 if by.better == "higher" else 1

    def place(run: Run) -> tuple[bool, float]:
        score = run.scores.get(by.name)
        value = None if score is None else score.value
        return value is None, 0.0 if value is None else sign * value

    return replace(block, runs=tuple(sorted(block.runs, key=place)))
