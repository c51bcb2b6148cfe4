"""What a run is called that was not named: after the first folder that tells methods apart."""

from __future__ import annotations

import re
from pathlib import Path

from fhpt_eval.evaluation.run_folder import check_name
from fhpt_eval.files.remote import path_at
from fhpt_eval.text import visible

_UNTELLING = {
    *("generated", "gen", "generation", "generations", "fake", "fakes", "synthesized", "synthesised", "synthesis"),
    *("output", "outputs", "out", "result", "results", "sample", "samples", "pred", "preds", "prediction"),
    *("predictions", "image", "images", "img", "imgs", "pictures", "png", "jpg", "test", "testing", "val", "valid"),
    *("validation", "eval", "evaluation", "train", "latest", "best", "last", "final", "epoch", "epochs", "iter"),
    *("iters", "iteration", "iterations", "step", "steps", "checkpoint", "ckpt", "net", "b"),
}
"""Words that every method's folders are called by: pix2pix's ``results/NAME/test_latest/images`` has three of them."""


def run_name(name: str | None, generated: Path) -> str:
    """Return the name of a run: the given one, or that of the first folder, from the images up, that tells.

    Raises:
        UserError: It cannot be the name of a folder.
    """
    if name is None:
        folder = path_at(generated).resolve()
        return visible(next((f.name for f in (folder, *folder.parents) if _tells(f.name)), folder.name))
    name = visible(name)
    check_name(name, "--name")
    return name


def _tells(folder: str) -> bool:
    """Whether a folder's name has a word in it that is not one of those, a number or a size such as 256x176."""
    words = re.split(r"[\W_]+|(?<=[a-z])(?=\d)", folder.lower())
    return any(word and word not in _UNTELLING and not re.fullmatch(r"\d+\D?", word) for word in words)
