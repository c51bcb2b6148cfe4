"""The course of a training as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence

from fhpt_eval.training.loop import Epoch

_MEN, _WOMEN, _BALANCED, _TRAINING = "#0072B2", "#D55E00", "#000000", "#009E73"
"""Of Okabe and Ito's palette: told apart by colour-blind readers."""


def draw(history: Sequence[Epoch], best: Epoch) -> bytes:
    """Return a PNG with the losses on the left, the validation errors on the right, and the epoch that was kept."""
    from matplotlib.figure import Figure

    epochs = [e.epoch for e in history]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    losses, errors = figure.subplots(1, 2)
    losses.plot(epochs, [e.loss for e in history], ".-", markersize=4, color=_TRAINING, label="training")
    losses.plot(
        epochs, [e.validation_loss for e in history], ".--", markersize=4, color=_BALANCED, label="validation, balanced"
    )
    losses.set_ylabel("loss (binary cross-entropy)")
    errors.plot(epochs, [e.error_men for e in history], ".:", markersize=4, color=_MEN, label="men")
    errors.plot(epochs, [e.error_women for e in history], ".-.", markersize=4, color=_WOMEN, label="women")
    errors.plot(epochs, [e.error_balanced for e in history], ".-", markersize=4, color=_BALANCED, label="balanced")
    errors.plot([best.epoch], [best.error_balanced], "o", color=_BALANCED, label=f"kept: epoch {best.epoch}")
    errors.set_ylabel("validation error")
    for panel in (losses, errors):
        panel.set_xlabel("epoch")
        panel.set_ylim(bottom=0)
        panel.xaxis.get_major_locator().set_params(integer=True)
        panel.grid(alpha=0.25, linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(fontsize=8, frameon=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()
