"""``fhpt-eval train``: train what protocols need and packages do not carry."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhpt_eval.cli.shared import DONE, DONE_IN_PART, AsJson, EngineName, Quiet, WeightsDir, name_some
from fhpt_eval.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fhpt_eval.training.classifier import Trained

app = typer.Typer(no_args_is_help=True, help="Train what protocols need and packages do not carry.")

_GUESSING = 0.5
"""Balanced error of a coin."""


@app.callback()
def train() -> None:
    """Train what protocols need and packages do not carry."""


@app.command()
def gender(
    images: Annotated[
        Path,
        typer.Option("--images", help="Folder of real images: the training split, never images of the test pairs."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the classifier.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            help="CSV with the header image (a path below the folder) and any of gender, item, view; only the images"
            " that it lists are used. What it leaves out, and everything without it, comes from DeepFashion's names.",
        ),
    ] = None,
    network: Annotated[
        str,
        typer.Option(
            "--network",
            help="vgg16: the paper's, wants a GPU. efficientnet_lite0: a linear layer on features, minutes on a CPU.",
        ),
    ] = "vgg16",
    epochs: Annotated[
        int | None, typer.Option("--epochs", help="The most epochs.  [default: 20; efficientnet_lite0: 100]")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size", help="Images in a batch, half of each gender.  [default: 32; efficientnet_lite0: 64]"
        ),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="AdamW's.  [default: 2e-5; efficientnet_lite0: 1e-3]")
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience", help="End after so many epochs without a better one.  [default: 4; efficientnet_lite0: 10]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all random choices.")] = 0,
    validation: Annotated[float, typer.Option("--validation", help="Share of the items that is held out.")] = 0.1,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1…")] = "auto",
    engine_name: EngineName = "local",
    weights_dir: WeightsDir = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete an earlier training in the folder and begin again.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train the classifier of the protocol gender on real images of people.

    A share of the items is held out; men and women are drawn equally often; the epoch with the lowest balanced error
    on what was held out is kept. A training that was stopped goes on when the same command is given again. What the
    classifier may be used for: docs/responsible-use.md.
    """
    from dataclasses import replace

    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.engine import open_engine
    from fhpt_eval.extract.weights import Store
    from fhpt_eval.training.classifier import IDENTICAL, LEFT_OUT, train_gender
    from fhpt_eval.training.settings import DEFAULTS

    known = {str(name): defaults for name, defaults in DEFAULTS.items()}
    if network not in known:
        raise UserError(f"there is no network '{network}'.{did_you_mean(network, known)}")
    given: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "patience": patience,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    options = replace(known[network], **chosen, seed=seed, validation=validation)
    with ProgressDisplay(quiet=quiet) as progress, Cache() as cache:
        trained = train_gender(
            images,
            output,
            options,
            labels=labels,
            overwrite=overwrite,
            engine=open_engine(engine_name, cache, device=device),
            store=Store(weights_dir, offline),
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(trained.card, indent=2))
    else:
        _print(trained, output)
    faults = sorted(f"{name}: {why.reason}" for name, why in trained.left_out.items() if why.fault)
    if not quiet:
        if trained.card["best"]["validation_error"]["balanced"] >= _GUESSING:
            print("fhpt-eval: it does no better than guessing: gender errors by it mean nothing", file=sys.stderr)
        name_some("left out", faults, output / LEFT_OUT)
        name_some("identical", list(_identical(trained)), output / IDENTICAL)
    raise typer.Exit(DONE_IN_PART if faults else DONE)


def _print(trained: Trained, output: Path) -> None:
    from fhpt_eval.training.classifier import CHECKPOINT

    card, data, best = trained.card, trained.card["data"], trained.card["best"]
    if trained.epochs_before == card["epochs"]:
        typer.echo("this training was finished before; --overwrite would begin it again")
    elif trained.epochs_before:
        typer.echo(f"went on after epoch {trained.epochs_before}")
    for part, what in (("training", "trained on"), ("validation", "validated on")):
        counts = data[part]
        typer.echo(f"{what} {counts['MEN']} MEN and {counts['WOMEN']} WOMEN, {counts['items']} items")
    for reason, count in data["left_out"].items():
        typer.echo(f"left out: {count} × {reason}")
    if trained.identical:
        images = sum(len(identical.examples) for identical in trained.identical)
        typer.echo(f"identical: {images} images, though their labels tell them apart; validation may be too good by it")
        if contradicting := sum(len(identical.examples) for identical in trained.identical if identical.contradict):
            typer.echo(f"identical: {contradicting} of them, labelled both MEN and WOMEN")
    errors = best["validation_error"]
    typer.echo(
        f"kept epoch {best['epoch']} of {card['epochs']}: validation error {errors['balanced']:.4f} balanced,"
        f" {errors['MEN']:.4f} MEN, {errors['WOMEN']:.4f} WOMEN"
    )
    file = output / CHECKPOINT
    typer.echo(str(file))
    network = "" if card["network"] == "vgg16" else f" --set gender.network={card['network']}"
    typer.echo(f"use it: fhpt-eval run …{network} --gender-classifier {shlex.quote(str(file))}")


def _identical(trained: Trained) -> Iterator[str]:
    for identical in trained.identical:
        one, other = identical.unlike
        if identical.contradict:
            yield f"{one.ref.name} is labelled {one.gender}, and {other.ref.name} {other.gender}"
        else:
            yield f"{one.ref.name} shows {one.item}, and {other.ref.name} {other.item}"
