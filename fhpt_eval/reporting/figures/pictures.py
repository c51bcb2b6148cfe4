"""The images of a run, and which of its pairs to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.evaluation.run import Run
from fhpt_eval.files.remote import path_at
from fhpt_eval.images.decoding import ImageRef, Rgb, read_image
from fhpt_eval.maths.statistics import Floats
from fhpt_eval.measuring.protocol import Better
from fhpt_eval.pairing.folders import PairRole
from fhpt_eval.pairing.naming import NAMINGS
from fhpt_eval.reporting.chosen import CHOICES, choose


def ref_of(run: Run, pair: int, role: PairRole) -> ImageRef | None:
    """Return where an image of a pair is; None where the pair has none. Of a strip it is the panel."""
    return ref_at(run, role, run.per_pair[role].iloc[pair], run.per_pair["generated"].iloc[pair])


def ref_at(run: Run, role: PairRole, path: object, generated: object) -> ImageRef | None:
    """Return where an image is, given its path and that of the pair's generated image."""
    if not isinstance(path, str) or not path:
        return None
    naming = NAMINGS.get(run.record.pairs.naming)
    strip = naming.strip if naming is not None else ()
    try:
        file = path_at(path)
    except UserError:  # a name that no file has, as arrays have
        file = Path(path)
    # A target that lies elsewhere than the strip is a file of its own.
    if role not in strip or path != generated:
        return ImageRef(file)
    return ImageRef(file, strip.index(role), len(strip))


def picture(run: Run, pair: int, role: PairRole) -> Rgb | None:
    """Read an image of a pair; None where the pair has none.

    Args:
        run: Whose ``per_pair`` names the file.
        pair: Its row.
        role: Which image of the pair.

    Raises:
        UserError: The file is not there any more, or cannot be read.
    """
    ref = ref_of(run, pair, role)
    if ref is None:
        return None
    if not ref.path.exists():
        raise UserError(
            f"{ref.path} is not there: the run '{run.record.name}' was made of it, and a figure shows the picture."
            " Put it back, or give the command in the folder where the run was made, or run again."
        )
    return read_image(ref)


def choose_pairs(values: Sequence[Floats], better: Better, choice: str, count: int) -> list[int]:
    """Return the pairs that a figure shows, as `choose` chooses them.

    Args:
        values: Of each run by a metric, a value a pair, NaN where there is none.
        better: The metric's direction.
        choice: One of `CHOICES`.
        count: How many at most; pairs without a value are never chosen.

    Raises:
        UserError: There is no such choice, or no such pair.
    """
    if choice not in CHOICES:
        raise UserError(f"--choose cannot be '{choice}'.{did_you_mean(choice, CHOICES)}")
    if choice == "disputed" and len(values) < 2:
        raise UserError("--choose disputed is about runs that differ: give two runs or more.")
    gains = np.stack(values)
    chosen = choose(gains if better == "higher" else -gains, choice, count)
    if not chosen:
        what = "runs differ on no pair" if choice == "disputed" else "no pair has a value"
        raise UserError(f"{what}: choose another metric with --by.")
    return chosen
