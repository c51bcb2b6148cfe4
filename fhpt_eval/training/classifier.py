"""Training of the classifier that the protocol `gender` judges with."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fhpt_eval._version import __version__
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import Engine, open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0
from fhpt_eval.extract.gender_classifier import FORMAT, VERSION, WIDTHS
from fhpt_eval.extract.imagenet_features import FILES
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.extract.weights import Store, Weights, load_state_dict
from fhpt_eval.files.csv_table import csv_text
from fhpt_eval.files.tensors import Card, dump
from fhpt_eval.memory import out_of_memory
from fhpt_eval.progress import Progress, silent
from fhpt_eval.records import Missing
from fhpt_eval.training.classifier_file import TrainingFolder
from fhpt_eval.training.identical import IdenticalImages, find_identical
from fhpt_eval.training.inputs import Features, Inputs, Pictures
from fhpt_eval.training.labels import Example, Labelled, read_labels
from fhpt_eval.training.sampling import Indices, Parts, split
from fhpt_eval.training.settings import DEFAULTS, GenderTraining

if TYPE_CHECKING:
    from torch import nn

    from fhpt_eval.training.loop import Epoch, Trainer

__all__ = ["DEFAULTS", "GenderTraining", "Trained", "train_gender"]

CHECKPOINT, CARD, STATE = "gender.safetensors", "gender.json", "last.safetensors"
HISTORY, FIGURE = "history.csv", "training.png"
LEFT_OUT, IDENTICAL = "left_out.csv", "identical.csv"

_START: Mapping[str, Weights] = {"vgg16": FILES["vgg16"], "efficientnet_lite0": EFFICIENTNET_LITE0}
"""The weights that each network begins with, or stands on."""


class Trained(NamedTuple):
    """What came of a training.

    Attributes:
        card: What ``gender.json`` holds.
        left_out: Images that were not used, by name, and why.
        identical: Identical images under different items or genders; they are used as they are labelled.
        epochs_before: How many of the epochs an earlier command had done.
    """

    card: Card
    left_out: Mapping[str, Missing]
    identical: Sequence[IdenticalImages]
    epochs_before: int


def train_gender(
    images: str | Path,
    output: str | Path,
    options: GenderTraining = DEFAULTS["vgg16"],
    *,
    labels: str | Path | None = None,
    overwrite: bool = False,
    engine: Engine | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a gender classifier, go on with a training that was stopped, or tell what a finished one gave.

    A share of the items is held out. Every epoch shows as many men as women; the epoch with the lowest balanced error
    on what is held out is kept (of equal ones, that with the lowest loss), and the training ends when no better one
    comes. VGG-16 is trained as a whole on images at their own size, as they will be judged, half of them mirrored; of
    EfficientNet-Lite0, a linear layer on its features. After every epoch all that the next one depends on is written,
    and the random numbers of an epoch follow from the seed and its number: on one CPU, a training that was stopped
    gives the bits of one that was not.

    Args:
        images: Folder of real images: the training split, never images of the pairs that are evaluated.
        output: Folder for the classifier (``gender.safetensors``, ``gender.json``), the course of the training
            (``history.csv``, ``training.png``), what was left out (``left_out.csv``) and which images are identical
            (``identical.csv``); while it lasts, also for ``last.safetensors``. Never a folder among the images.
        options: How; see `DEFAULTS`.
        labels: A CSV; see `fhpt_eval.training.labels.read_labels`. None for DeepFashion's names.
        overwrite: Delete an earlier training in the folder, finished or not.
        engine: What computes features, and whose device is trained on; by default this machine with the user's cache.
        store: Where weights are looked for.
        progress: Called with a stage, the steps done and their number.

    Raises:
        UserError: There is nothing to learn from, an option or a file cannot be used, or the folder holds something
            else.
    """
    with nullcontext(engine) if engine is not None else _this_machine() as working:
        images, output, labels = Path(images), Path(output), None if labels is None else Path(labels)
        return _train(images, output, options, labels, overwrite, working, store or Store(), progress or silent)


class _Data(NamedTuple):
    """What a training learns from.

    Attributes:
        examples: All of the labelled ones, also those that cannot be read.
        usable: Those that can be, by their number.
        left_out: Why others are not used, by name.
        identical: Identical images under different labels.
        inputs: What the network sees of the examples.
        parts: Numbers of those to train on and to validate on.
    """

    examples: Sequence[Example]
    usable: Mapping[int, Example]
    left_out: Mapping[str, Missing]
    identical: Sequence[IdenticalImages]
    inputs: Inputs
    parts: Parts


@contextmanager
def _this_machine() -> Iterator[Engine]:
    with Cache() as cache:
        yield open_engine("local", cache)


def _train(
    images: Path,
    output: Path,
    options: GenderTraining,
    labels: Path | None,
    overwrite: bool,
    engine: Engine,
    store: Store,
    progress: Progress,
) -> Trained:
    labelled = read_labels(images, labels)
    if output.resolve().is_relative_to(images.resolve()):
        raise UserError(f"{output} lies in the folder of images, {images}: choose a folder outside of it with -o.")
    # Once before anything is read: a gender without examples is found in seconds.
    split(dict(enumerate(labelled.examples)), options.validation, options.seed)
    folder = TrainingFolder(output, result=CHECKPOINT, state=STATE, others=(CARD, HISTORY, FIGURE, LEFT_OUT, IDENTICAL))
    start = _START[options.network]
    start_file = store.get(start, lambda done, total: progress(f"downloading {start.name}", done, total))
    data = _read(labelled, options, _inputs(options, labelled.examples, engine, store, progress))
    hashed = _hash(data.examples, data.inputs.contents)
    recipe = {**dataclasses.asdict(options), "start": start.sha256, "data": hashed}
    if overwrite:
        folder.delete_training()
    if (finished := folder.finished(recipe)) is not None:
        return Trained(finished, data.left_out, data.identical, finished["epochs"])
    trainer = _trainer(folder, recipe, data, options, _network(options, start_file, engine.own_device))
    before = len(trainer.history)
    _write_remarks(folder, data)
    card = _card(options, recipe, data, engine.own_device)
    with _one_thread() if options.network == "efficientnet_lite0" else nullcontext():
        _run(trainer, folder, card, progress)
    return Trained(_finish(trainer, folder, card), data.left_out, data.identical, before)


def _read(labelled: Labelled, options: GenderTraining, inputs: Inputs) -> _Data:
    """Find out which examples can be used, and share them out."""
    left_out = dict(labelled.left_out)
    usable = {}
    for number, (example, content) in enumerate(zip(labelled.examples, inputs.contents, strict=True)):
        if isinstance(content, Missing):
            left_out[example.ref.name] = content
        else:
            usable[number] = example
    identical = find_identical(labelled.examples, inputs.contents)
    return _Data(
        labelled.examples, usable, left_out, identical, inputs, split(usable, options.validation, options.seed)
    )


def _card(options: GenderTraining, recipe: Mapping[str, Any], data: _Data, device: str) -> Card:
    """Return what a classifier says of itself, before it is trained."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "network": options.network,
        "classes": {"MEN": "score <= 0", "WOMEN": "score > 0"},
        "recipe": dict(recipe),
        "data": {
            "training": _count(data.usable, data.parts.training),
            "validation": _count(data.usable, data.parts.validation),
            "left_out": dict(sorted(Counter(why.reason for why in data.left_out.values()).items())),
            "identical": {
                "images": sum(len(t.examples) for t in data.identical),
                "contradicting": sum(len(t.examples) for t in data.identical if t.contradict),
            },
        },
        "made_with": {"fhpt-eval": __version__, "torch": metadata.version("torch"), "device": device},
    }


def _trainer(
    folder: TrainingFolder, recipe: Mapping[str, Any], data: _Data, options: GenderTraining, network: nn.Module
) -> Trainer:
    """Return a trainer that has done what a stopped training in the folder had done.

    Raises:
        UserError: The folder holds another training, or a damaged one.
    """
    from fhpt_eval.training.loop import Trainer

    women = np.array([example.gender == "WOMEN" for example in data.examples])
    trainer = Trainer(network, data.inputs, women, data.parts, options)
    if (stopped := folder.stopped(recipe)) is not None:
        try:
            trainer.take_up(stopped.arrays, _history(stopped.card))
        except (ValueError, TypeError, KeyError, IndexError, RuntimeError) as error:
            # torch's own for arrays that do not fit the network, and for a GPU that has no room for them.
            if out_of_memory(error):
                raise
            raise folder.damaged(STATE) from None
    return trainer


def _write_remarks(folder: TrainingFolder, data: _Data) -> None:
    """Write down which images are left out, and which are identical."""
    reasons = [(name, why.reason) for name, why in sorted(data.left_out.items())]
    folder.write(LEFT_OUT, csv_text([("image", "reason"), *reasons]))
    rows = [(number, e.ref.name, e.gender, e.item) for number, t in enumerate(data.identical, 1) for e in t.examples]
    folder.write(IDENTICAL, csv_text([("group", "image", "gender", "item"), *rows]))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one core: sums over features are short, and the number of cores would change their bits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _inputs(
    options: GenderTraining, examples: Sequence[Example], engine: Engine, store: Store, progress: Progress
) -> Inputs:
    refs = [example.ref for example in examples]
    return Pictures(refs, progress) if options.network == "vgg16" else Features(refs, engine, store, progress)


def _network(options: GenderTraining, start: Path, device: str) -> nn.Module:
    import torch

    from fhpt_eval.extract._torch import load_features, set_tf32
    from fhpt_eval.extract.gender_network import LinearClassifier, Vgg16Classifier

    numerics = Numerics(device)
    set_tf32(numerics)
    torch.backends.cudnn.deterministic = True
    network: Any = LinearClassifier(WIDTHS[options.network])
    if options.network == "vgg16":
        network = Vgg16Classifier(numerics)
        load_features(network, load_state_dict(start))
    moved: nn.Module = network.to(device=device, memory_format=torch.channels_last)
    return moved


def _hash(examples: Sequence[Example], contents: Sequence[str | Missing]) -> str:
    """Of all that is learned from: names, labels, items, and what the files hold."""
    rows = [
        (e.ref.name, e.gender, e.item, c.reason if isinstance(c, Missing) else c)
        for e, c in zip(examples, contents, strict=True)
    ]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _history(card: Card) -> list[Epoch]:
    """Return the epochs that a state tells of.

    Raises:
        ValueError: It does not tell of them as it should.
    """
    from fhpt_eval.training.loop import Epoch

    history = card.get("history")
    if not isinstance(history, list) or not history:
        raise ValueError("no history")
    for number, row in enumerate(history, 1):
        if not isinstance(row, dict) or row.keys() != set(Epoch._fields) or row["epoch"] != number:
            raise ValueError(f"no epoch {number}")
        if not all(isinstance(value, int | float) for value in row.values()):
            raise ValueError(f"no numbers in epoch {number}")
    return [Epoch(**row) for row in history]


def _count(examples: Mapping[int, Example], part: Indices) -> dict[str, int]:
    chosen = [examples[i] for i in part.tolist()]
    genders = Counter(example.gender for example in chosen)
    return {"MEN": genders["MEN"], "WOMEN": genders["WOMEN"], "items": len({example.item for example in chosen})}


def _run(trainer: Trainer, folder: TrainingFolder, card: Card, progress: Progress) -> None:
    """Train to the end; what is on the disk is always that of a whole epoch."""
    total = (trainer.options.epochs - len(trainer.history)) * trainer.steps
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress("training", done, total)

    while not trainer.finished:
        epoch = trainer.epoch(step)
        folder.put_away(trainer.arrays(), {**card, "history": [e._asdict() for e in trainer.history]})
        folder.write(HISTORY, csv_text([epoch._fields, *trainer.history]))
        if trainer.best_epoch is epoch:
            _write_classifier(trainer, folder, card)


def _finish(trainer: Trainer, folder: TrainingFolder, card: Card) -> Card:
    from fhpt_eval.training.figure import draw

    # Again, even after the last epoch: a command that was killed may have left an older one.
    written = _write_classifier(trainer, folder, card)
    folder.write(HISTORY, csv_text([trainer.best_epoch._fields, *trainer.history]))
    folder.write(FIGURE, draw(trainer.history, trainer.best_epoch))
    folder.finish()
    return written


def _write_classifier(trainer: Trainer, folder: TrainingFolder, card: Card) -> Card:
    best = trainer.best_epoch
    full = {
        **card,
        "epochs": len(trainer.history),
        "finished": trainer.finished,
        "best": {
            "epoch": best.epoch,
            "validation_error": {"MEN": best.error_men, "WOMEN": best.error_women, "balanced": best.error_balanced},
            "validation_loss": best.validation_loss,
        },
    }
    folder.write(CHECKPOINT, dump(trainer.best, full))
    folder.write(CARD, json.dumps(full, indent=2) + "\n")
    return full
