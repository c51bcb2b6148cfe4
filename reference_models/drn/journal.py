"""What a training run shows while it goes on: loss curves, sample pictures, TensorBoard's events."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.images.decoding import Rgb
from fhpt_eval.images.sheet import sheet
from fhpt_eval.reference_models.drn.rows import Row
from fhpt_eval.reference_models.drn.samples import to_pixels

_LINES = {"source": ":", "coarse": "--", "refined": "-"}
"""How the scores of each picture are drawn."""


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

    def show(self, step: int, columns: Sequence[Tensor], history: Sequence[Row], tests: Sequence[Row] = ()) -> None:
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
            write_atomic(self._folder / "losses.png", curves(history, tests))

    def close(self) -> None:
        """Close the event file."""
        self._events.close()


def grid(columns: Sequence[Tensor]) -> Rgb:
    """One row a sample, one column a kind of picture, on white: H×W×3 uint8."""
    return sheet([[to_pixels(image) for image in row] for row in zip(*columns, strict=True)])


def curves(history: Sequence[Row], tests: Sequence[Row] = ()) -> bytes:
    """One small panel a loss, over the iterations, then one a metric of tests on held-out pairs: a PNG."""
    from matplotlib.figure import Figure

    losses = [name for name in history[0] if name not in {"step", "seconds"}]
    tested = [name for name in (tests[0] if tests else ()) if "/" in name]
    metrics = list(dict.fromkeys(name.partition("/")[2] for name in tested))
    count = len(losses) + len(metrics)
    wide = min(4, count)
    tall = -(-count // wide)
    figure = Figure(figsize=(3.2 * wide, 2.4 * tall), layout="constrained")
    panels = list(figure.subplots(tall, wide, squeeze=False).flat)
    steps = [row["step"] for row in history]
    for axes, name in zip(panels, losses, strict=False):
        axes.plot(steps, [row[name] for row in history], color="black", linewidth=0.8)
        axes.set_title(name, fontsize=9)
        axes.set_ylim(bottom=0)
    for axes, metric in zip(panels[len(losses) :], metrics, strict=False):
        for name in (name for name in tested if name.endswith(f"/{metric}")):
            picture = name.partition("/")[0]
            values = [row[name] for row in tests]
            axes.plot([row["step"] for row in tests], values, _LINES[picture], color="black", label=picture)
        axes.set_title(f"test: {metric}", fontsize=9)
        axes.legend(fontsize=7)
    for axes in panels[:count]:
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    for axes in panels[count:]:
        axes.remove()
    figure.supxlabel("iteration", fontsize=9)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=150)
    return stream.getvalue()
