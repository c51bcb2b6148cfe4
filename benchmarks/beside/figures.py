"""The figures of the page: ratios as bars, and growth with the number of pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from beside.page import Line

_OURS, _PEERS, _GREY = "#0072b2", "#d55e00", "#666666"
_SHADES = ("#0072b2", "#56b4e9", "#009e73")
_WIDTH = 7.0


_TICKS = (0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100)


def _axes(height: float, panels: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots(math.ceil(panels / columns), columns, squeeze=False).ravel()
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(labelsize=8)
    return figure, axes


def ratios(compared: Sequence[Line]) -> Figure | None:
    """Draw how many times as fast ours is: a bar a peer and size, at the largest number of pairs that was measured."""
    if not compared:
        return None
    at = {(line.title, line.who, line.size): line for line in sorted(compared, key=lambda line: line.count)}
    labels = list(dict.fromkeys((line.title, line.who) for line in compared))
    sizes = list(dict.fromkeys(line.size for line in compared))
    figure, (panel,) = _axes(0.6 + (0.12 + 0.2 * len(sizes)) * len(labels))
    high = 0.8 / len(sizes)
    for index, size in enumerate(sizes):
        of = {label: at[label[0], label[1], size] for label in labels if (*label, size) in at}
        places = [row + (index - (len(sizes) - 1) / 2) * high for row, label in enumerate(labels) if label in of]
        values = [line.ratio for line in of.values()]
        # From 1 on: to the right where ours is faster, to the left where it is slower.
        lengths = [value - 1 for value in values]
        panel.barh(places, lengths, 0.92 * high, left=1, color=_SHADES[index], label=size.replace("x", "×"))
        for place, value in zip(places, values, strict=True):
            text = f"{value:.2f}" if value < 10 else f"{value:.0f}"
            side, aside = ("left", 1.04) if value >= 1 else ("right", 1 / 1.04)
            panel.text(value * aside, place, text, ha=side, va="center", fontsize=7, color=_GREY)
    panel.axvline(1, color="black", linewidth=0.8)
    panel.set_xscale("log")
    values = [line.ratio for line in at.values()]
    least, most = min(0.9, min(values) * 0.7), max(4, max(values) * 1.5)
    panel.set_xlim(least, most)
    panel.set_xticks([tick for tick in _TICKS if least <= tick <= most], minor=False)
    panel.set_xticks([], minor=True)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    pairs = {label: max(line.count for line in at.values() if (line.title, line.who) == label) for label in labels}
    names = [f"{title} ({who}), {pairs[title, who]:,} pairs" for title, who in labels]
    panel.set_yticks(range(len(labels)), names)
    panel.set_ylim(len(labels) - 0.4, -0.6)
    panel.set_xlabel("times as fast as the peer, whole command (logarithmic)", fontsize=8)
    if len(sizes) > 1:
        panel.legend(fontsize=8, frameon=False)
    return figure


def growth(compared: Sequence[Line]) -> Figure | None:
    """Draw seconds over the number of pairs: a panel for each part that was measured at two numbers or more."""
    curves: dict[tuple[str, str], dict[str, list[Line]]] = {}
    for line in compared:
        curves.setdefault((line.title, line.size), {}).setdefault(line.who, []).append(line)
    shown = [
        (title, size, who, lines)
        for (title, size), whos in curves.items()
        for who, lines in list(whos.items())[:1]
        if len({line.count for line in lines}) > 1
    ]
    if not shown:
        return None
    columns = min(2, len(shown))
    figure, axes = _axes(2.6 * math.ceil(len(shown) / columns), len(shown), columns)
    for panel, (title, size, who, lines) in zip(axes, shown, strict=False):
        ordered = sorted(lines, key=lambda line: line.count)
        counts = np.array([line.count for line in ordered], dtype=float)
        for name, colour, seconds in (
            ("ours", _OURS, [line.ours.wall for line in ordered]),
            (who, _PEERS, [line.peer.wall for line in ordered]),
        ):
            slope = np.polyfit(np.log(counts), np.log(seconds), 1)[0]
            panel.plot(
                counts, seconds, "o-", color=colour, markersize=4, linewidth=1.4, label=f"{name} (slope {slope:.2f})"
            )
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_title(f"{title}, {size.replace('x', '×')}", fontsize=8)
        panel.set_xticks(counts, [f"{count:,.0f}" for count in counts])
        panel.set_xticks([], minor=True)
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}")
        panel.yaxis.set_minor_formatter("")
        low, top = panel.get_ylim()
        panel.set_ylim(low, top * (top / low) ** 0.4)  # room for the legend
        panel.grid(which="major", alpha=0.3, linewidth=0.6)
        panel.legend(fontsize=6.5, frameon=False, loc="upper left")
        panel.set_xlabel("pairs", fontsize=8)
    for panel in axes[::columns]:
        panel.set_ylabel("seconds, whole command", fontsize=8)
    for panel in axes[len(shown) :]:
        panel.set_visible(False)
    return figure
