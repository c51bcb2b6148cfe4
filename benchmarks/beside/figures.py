"""The figures of the page: ratios as bars, and growth with the number of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from beside.page import Line

_OURS, _PEERS, _GREY = "#0072b2", "#d55e00", "#666666"
_SHADES = ("#0072b2", "#56b4e9", "#009e73")
_WIDTH = 7.0


def _axes(height: float, panels: int = 1) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    return figure, axes


def ratios(compared: Sequence[Line]) -> Figure | None:
    """Draw how many times as fast ours is, at the largest number of pairs: a bar a peer and size."""
    if not compared:
        return None
    largest = max(line.count for line in compared)
    shown = [line for line in compared if line.count == largest]
    sizes = list(dict.fromkeys(line.size for line in shown))
    labels = list(dict.fromkeys((line.title, line.who) for line in shown))
    figure, (panel,) = _axes(0.6 + (0.12 + 0.2 * len(sizes)) * len(labels))
    high = 0.8 / len(sizes)
    for index, size in enumerate(sizes):
        of = {(line.title, line.who): line.ratio for line in shown if line.size == size}
        places = [row + (index - (len(sizes) - 1) / 2) * high for row, label in enumerate(labels) if label in of]
        values = [of[label] for label in labels if label in of]
        # From 1 on: to the right where ours is faster, to the left where it is slower.
        lengths = [value - 1 for value in values]
        panel.barh(places, lengths, 0.92 * high, left=1, color=_SHADES[index], label=size.replace("x", "×"))
        for place, value in zip(places, values, strict=True):
            text = f"{value:.2f}" if value < 10 else f"{value:.0f}"
            side, aside = ("left", 1.04) if value >= 1 else ("right", 1 / 1.04)
            panel.text(value * aside, place, text, ha=side, va="center", fontsize=7, color=_GREY)
    panel.axvline(1, color="black", linewidth=0.8)
    panel.set_xscale("log")
    values = [line.ratio for line in shown]
    panel.set_xlim(min(0.5, min(values) * 0.5), max(4, max(values) * 1.6))
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    panel.xaxis.set_minor_formatter("")
    panel.set_yticks(range(len(labels)), [f"{title}  ({who})" for title, who in labels])
    panel.set_ylim(len(labels) - 0.4, -0.6)
    panel.set_xlabel(f"times as fast as the peer, whole command, {largest:,} pairs (logarithmic)", fontsize=8)
    if len(sizes) > 1:
        panel.legend(fontsize=8, frameon=False)
    return figure


def growth(compared: Sequence[Line]) -> Figure | None:
    """Draw seconds over the number of pairs, a panel a size: all protocols at once beside the peers in sequence."""
    shown = [line for line in compared if line.title.startswith("all of")]
    sizes = list(dict.fromkeys(line.size for line in shown))
    if not shown:
        return None
    figure, axes = _axes(3.2, len(sizes))
    for panel, size in zip(axes, sizes, strict=True):
        here = [line for line in shown if line.size == size]
        curves: dict[str, list[tuple[int, float]]] = {}
        for line in here:
            curves.setdefault(line.title.partition(": ")[2], []).append((line.count, line.ours.wall))
        curves["peers in sequence"] = [*{line.count: line.peer.wall for line in here}.items()]
        colours = [*_SHADES[: len(curves) - 1], _PEERS]
        for (name, points), colour in zip(curves.items(), colours, strict=True):
            counts, seconds = np.array(sorted(points), dtype=float).T
            label = name
            if len(counts) > 1:
                slope = np.polyfit(np.log(counts), np.log(seconds), 1)[0]
                label += f" (slope {slope:.2f})"
            panel.plot(counts, seconds, "o-", color=colour, markersize=4, linewidth=1.4, label=label)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_title(size.replace("x", "×"), fontsize=9)
        panel.set_xlabel("pairs", fontsize=8)
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
        low, top = panel.get_ylim()
        panel.set_ylim(low, top * (top / low) ** 0.4)  # room for the legend
        panel.grid(which="major", alpha=0.3, linewidth=0.6)
        panel.legend(fontsize=7, frameon=False, loc="upper left")
    axes[0].set_ylabel("seconds, whole command", fontsize=8)
    return figure
