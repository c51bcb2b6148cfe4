"""What a training run shows while it goes on: loss curves, sample pictures, TensorBoard's events."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.images.decoding import Rgb
from fhpt_eval.reference_models.drn.samples import to_pixels

_GAP = 4
_WHITE = 255


class Journal:
    """Writes into a training folder; only the first process of a distributed run has one."""

    def __init__(self, folder: Path, step: int) -> None:
        self._folder = folder
        # Events of iterations that a killed run had done after its last checkpoint are hidden.
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add one row to the curves."""
        for name, value in values.items():
            self._events.add_scalar(name, value, step)
        self._events.flush()

    def show(self, step: int, columns: Sequence[Tensor], history: Sequence[Mapping[str, float]]) -> None:
        """Write a grid of sample pictures (N×3×H×W a column) and draw the curves again."""
        picture = grid(columns)
        self._events.add_image("samples", picture, step, dataformats="HWC")
        self._events.flush()
        encoded = io.BytesIO()
        Image.fromarray(picture).save(encoded, format="PNG")
        samples = self._folder / "samples"
        samples.mkdir(exist_ok=True)
        write_atomic(samples / f"{step:08d}.png", encoded.getvalue())
        if history:
            write_atomic(self._folder / "losses.png", curves(history))

    def close(self) -> None:
        """Close the event file."""
        self._events.close()


def grid(columns: Sequence[Tensor]) -> Rgb:
    """One row a sample, one column a kind of picture, on white: H×W×3 uint8."""
    rows = [np.hstack([_framed(to_pixels(image)) for image in row]) for row in zip(*columns, strict=True)]
    return np.vstack(rows)


def _framed(picture: Rgb) -> Rgb:
    return np.pad(picture, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=_WHITE)


def curves(history: Sequence[Mapping[str, float]]) -> bytes:
    """One small panel a loss, over the iterations: a PNG."""
    from matplotlib.figure import Figure

    names = [name for name in history[0] if name not in {"step", "seconds"}]
    wide = min(4, len(names))
    tall = -(-len(names) // wide)
    figure = Figure(figsize=(3.2 * wide, 2.4 * tall), layout="constrained")
    steps = [row["step"] for row in history]
    for axes, name in zip(figure.subplots(tall, wide, squeeze=False).flat, names, strict=False):
        axes.plot(steps, [row[name] for row in history], color="black", linewidth=0.8)
        axes.set_title(name, fontsize=9)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    for axes in list(figure.axes)[len(names) :]:
        axes.remove()
    figure.supxlabel("iteration", fontsize=9)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()
