"""``fhpt-eval train drn``: train the reference generator."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from fhpt_eval.cli.evaluating import PrecisionName
from fhpt_eval.cli.shared import (
    DONE,
    DONE_IN_PART,
    EngineName,
    Eyes,
    Quiet,
    SourcePoses,
    TargetPoses,
    WeightsDir,
    name_some,
    read_keypoints,
    settings,
)
from fhpt_eval.errors import UserError, did_you_mean

_WHAT, _HOW, _TESTS, _MACHINE = "What it is trained on", "How", "Tests while it trains", "Machine"


def drn(
    pairs: Annotated[
        Path, typer.Option("--pairs", help="CSV of training pairs, with the header from,to.", rich_help_panel=_WHAT)
    ],
    source: Annotated[
        Path, typer.Option("--source", "-s", help="Folder of source images, all of one size.", rich_help_panel=_WHAT)
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the training run; it goes on there.")],
    target: Annotated[
        Path | None,
        typer.Option("--target", "-t", help="Folder of target images; otherwise the sources'.", rich_help_panel=_WHAT),
    ] = None,
    source_keypoints: SourcePoses = None,
    target_keypoints: TargetPoses = None,
    eyes: Eyes = "right-first",
    part: Annotated[
        str,
        typer.Option(
            "--part",
            help="body: transfer and detail branch. face: the face module, by itself, into the same folder.",
            rich_help_panel=_HOW,
        ),
    ] = "body",
    config: Annotated[
        str,
        typer.Option(
            "--config",
            help="drn, or an ablation of the paper: pb-only (no detail branch), texture64 (short style code), pb-fix"
            " (transfer branch kept as it is), end2end (no loss on the coarse image), no-face.",
            rich_help_panel=_HOW,
        ),
    ] = "drn",
    size: Annotated[
        str, typer.Option("--size", help="full: the paper's. small: for two cores.", rich_help_panel=_HOW)
    ] = "full",
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="OPTION=VALUE",
            help="Change any value of the configuration, e.g. batch_size=8; body.json and docs/drn.md name them.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--start-from",
            help="Folder of a run whose weights to start from, with another schedule, other losses or other data.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    transfer: Annotated[
        Path | None,
        typer.Option(
            "--transfer",
            help="Folder of a run whose transfer branch to start from, of pb-only for example; pb-fix keeps it so.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**31 - 1, help="Of weights and order.", rich_help_panel=_HOW)
    ] = 0,
    max_time: Annotated[
        float | None,
        typer.Option(
            "--max-time",
            min=0.001,
            help="Train for so many minutes instead of epochs, interruptions left out: the learning rate stays for"
            " constant_epochs/epochs of the time, then falls to 0.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    test_pairs: Annotated[
        Path | None,
        typer.Option(
            "--test-pairs",
            metavar="FILE",
            help="CSV of held-out pairs of the same folders: what the network makes of them is scored while it trains"
            " (at most 288) and at the end (all), into tests.csv, the curves and the card.",
            rich_help_panel=_TESTS,
        ),
    ] = None,
    test_keypoints: Annotated[
        str | None,
        typer.Option(
            "--test-keypoints",
            metavar="FILE",
            help="Body keypoints of their sources and targets, as --target-keypoints.",
            rich_help_panel=_TESTS,
        ),
    ] = None,
    tests: Annotated[
        int,
        typer.Option(
            "--tests",
            min=0,
            help="How often over the training, beside its start; 0: at its end alone. Tests are not training time.",
            rich_help_panel=_TESTS,
        ),
    ] = 10,
    save_every: Annotated[float, typer.Option("--save-every", min=0, help="Minutes between checkpoints.")] = 10.0,
    engine_name: EngineName = "local",
    device: Annotated[
        str,
        typer.Option(
            "--device", help="auto, cpu, cuda… Several GPUs: torchrun -m fhpt_eval train drn.", rich_help_panel=_MACHINE
        ),
    ] = "auto",
    precision: PrecisionName = "float32",
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=0,
            help="Processes that read images where the device's memory is too small to keep them all.",
            rich_help_panel=_MACHINE,
        ),
    ] = 0,
    weights_dir: WeightsDir = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing.", rich_help_panel=_MACHINE)] = False,
    quiet: Quiet = False,
) -> None:
    """Train the Detail Replenishing Network. Ctrl-C or SIGTERM stops it after an iteration; the same command goes on.

    The folder gets the network (body.safetensors, face.safetensors), what is needed to go on, loss curves, sample
    pictures and TensorBoard's events. Generate with: fhpt-eval generate drn --checkpoint FOLDER …
    """
    from fhpt_eval.cli.display import ProgressDisplay

    given = {
        "--source-keypoints": source_keypoints,
        "--target-keypoints": target_keypoints,
        "--test-keypoints": test_keypoints,
    }
    if test_pairs is None and test_keypoints is not None:
        raise UserError("--test-keypoints are those of --test-pairs: give both, or neither.")
    # Of the processes that torchrun started, the first one speaks.
    speaks = os.environ.get("RANK", "0") == "0"
    with ProgressDisplay(quiet=quiet or not speaks) as progress:
        progress("loading the libraries", 0, 1)
        from dataclasses import asdict

        from fhpt_eval.extract.weights import Store
        from fhpt_eval.options import configured
        from fhpt_eval.reference_models.drn.command import PARTS, DrnPlan, train_drn
        from fhpt_eval.reference_models.drn.config import DrnConfig, named_config

        progress("loading the libraries", 1, 1)
        if part not in PARTS:
            raise UserError(f"there is no part '{part}'.{did_you_mean(part, PARTS)}")
        defaults = asdict(named_config(config, size))
        files = read_keypoints(given, eyes)
        plan = DrnPlan(
            pairs=pairs,
            source=source,
            target=target or source,
            output=output,
            source_keypoints=files["--source-keypoints"],
            target_keypoints=files["--target-keypoints"],
            part=PARTS[part],
            config=configured(DrnConfig, "configuration", config, settings(options or []), defaults),
            start=start,
            transfer=transfer,
            seed=seed,
            max_seconds=None if max_time is None else 60 * max_time,
            test_pairs=test_pairs,
            test_keypoints=files["--test-keypoints"],
            tests=tests,
            save_every=60 * save_every,
            engine=engine_name,
            device=device,
            precision=precision,
            workers=workers,
            store=Store(weights_dir, offline),
        )
        result = train_drn(plan, progress, progress.say)
    if not speaks:
        return
    if not quiet:
        name_some("not used", [f"{name}: {why}" for name, why in result.missing.items()])
    typer.echo(f"trained on {result.pairs} pairs: {output}")
    typer.echo(f"generate: fhpt-eval generate drn --checkpoint {output} --pairs … -s … -t … -o …")
    # torchrun takes every other exit code for a crash.
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    raise typer.Exit(DONE_IN_PART if result.missing and not several else DONE)
