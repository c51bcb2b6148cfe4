"""Runs as TensorBoard shows them: curves with their intervals, pictures, and the table of each run."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.fed_images import ROLES
from fhpt_eval.evaluation.run import Run
from fhpt_eval.images.decoding import read_image
from fhpt_eval.images.sheet import sheet
from fhpt_eval.pairing.pairs import Pairs

_TEXT = "evaluation"
_METHODS = ("add_custom_scalars", "add_image", "add_scalar", "add_text", "flush")


class Board:
    """Writes what is known of an evaluation.

    Each value is a scalar ``scores/METRIC``, the ends of its interval are ``intervals/METRIC_low`` and ``…_high``; the
    tab *Custom scalars* has both as a curve in a band. Texts tell each run's table, and why a step has none.

    Args:
        writer: A ``torch.utils.tensorboard.SummaryWriter``, or what has its methods.

    Raises:
        UserError: It lacks one of these.
    """

    def __init__(self, writer: Any) -> None:
        if lacking := [method for method in _METHODS if not callable(getattr(writer, method, None))]:
            raise UserError(
                f"writer is of the type {type(writer).__name__}, which has no method {lacking[0]}: give a SummaryWriter"
                " of torch.utils.tensorboard."
            )
        self._writer = writer
        self._laid_out = False

    def show_pictures(self, step: int, pairs: Pairs, count: int) -> None:
        """Write a sheet of some pairs, evenly spread: always the same ones, where the pairs are."""
        chosen = np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().astype(int)
        rows = [[getattr(pairs.rows[i], role) for role in _ACROSS] for i in chosen]
        there = [role for role, ref in zip(_ACROSS, rows[0], strict=True) if ref is not None]
        pictures = [[read_image(ref) for ref in row if ref is not None] for row in rows]
        self._writer.add_image(" | ".join(there), sheet(pictures), step, dataformats="HWC")

    def show_run(self, step: int, run: Run) -> None:
        """Write the scores of a run."""
        if not self._laid_out:
            self._writer.add_custom_scalars(_layout(run))
            self._laid_out = True
        for metric, score in run.scores.items():
            for tag, value in zip(_tags(metric), score.numbers, strict=False):
                if value is not None:
                    self._writer.add_scalar(tag, value, step)
        warnings = "".join(f"\n\n{warning}" for warning in run.record.warnings)
        self._writer.add_text(_TEXT, f"```\n{run!r}\n```{warnings}", step)
        self._writer.flush()

    def show_gap(self, step: int, reason: str) -> None:
        """Write why a step has no run."""
        self._writer.add_text(_TEXT, reason, step)
        self._writer.flush()


_ACROSS = tuple(reversed(ROLES))


def _tags(metric: str) -> tuple[str, str, str]:
    return f"scores/{metric}", f"intervals/{metric}_low", f"intervals/{metric}_high"


def _layout(run: Run) -> dict[str, dict[str, list[Any]]]:
    """Return what the tab *Custom scalars* draws: for each group of protocols, each metric in a band."""
    layout: dict[str, dict[str, list[Any]]] = defaultdict(dict)
    for protocol in run.record.protocols:
        for score in protocol.scores:
            layout[protocol.group][score.metric] = ["Margin", [*_tags(score.metric)]]
    return dict(layout)
