"""What figures ask of the runs that they show."""

from __future__ import annotations

from collections.abc import Sequence

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.reporting.blocks import blocks_of


def check_runs(runs: Sequence[Run]) -> None:
    """Refuse runs that cannot share a figure.

    Raises:
        UserError: There is none, two have one name, or they stand in several blocks.
    """
    if not runs:
        raise UserError("a figure needs a run: give its folder.")
    names = [run.record.name for run in runs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"two runs are called '{twice}': run one of them with another --name, or leave it out.")
    blocks = blocks_of(runs)
    if len(blocks) > 1:
        raise UserError(f"{blocks[1].runs[0].record.name} cannot share the figure: {blocks[1].apart}.")
