"""``fhpt-eval generate``: images of people in new poses, by a reference model."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhpt_eval.cli.shared import (
    DONE,
    DONE_IN_PART,
    DetectorTimeout,
    EngineName,
    Eyes,
    Quiet,
    SourcePoses,
    TargetPoses,
    name_some,
    read_keypoints,
    settings,
)
from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.extract.numerics import Precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fhpt_eval.generation.generate import Generated
    from fhpt_eval.generation.reference_model import ReferenceModel


def generate(
    model: Annotated[
        str,
        typer.Argument(
            help="drn (with -t or --target-keypoints), copy-source, real (with -t), or another package's; `list` names"
            " them all."
        ),
    ],
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="CSV of the pairs, with the header from,to (the field's lists).")
    ] = None,
    source: Annotated[Path | None, typer.Option("--source", "-s", help="Folder of source images.")] = None,
    target: Annotated[
        Path | None,
        typer.Option("--target", "-t", help="Folder of real images in the target pose; poses and faces are from them."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for the images.")] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            help="Folder that `fhpt-eval train drn` wrote.  [default: what comes with the package, trained on rendered"
            " people]",
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            "--image", help="What drn shows: refined (default), coarse, residual, or guidance (F_t's components)."
        ),
    ] = None,
    source_keypoints: SourcePoses = None,
    target_keypoints: TargetPoses = None,
    eyes: Eyes = "right-first",
    options: Annotated[
        list[str] | None, typer.Option("--set", metavar="OPTION=VALUE", help="Set any option of a model.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1…")] = "auto",
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", min=1, help="Images at once.  [default: 16 on a GPU, else one per core]"),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(
            "--precision",
            help="Of the networks of drn: float32 (default), or, faster on a GPU and recorded, tf32 or bfloat16.",
        ),
    ] = None,
    engine_name: EngineName = "local",
    detector_timeout: DetectorTimeout = 60.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Delete the images that an earlier generation made there.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Generate images called A_2_B_vis.png, which `fhpt-eval run` reads.

    A run that was stopped goes on where it was. Poses and faces are detected (and cached) as `fhpt-eval run` does.
    """
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.engine import open_engine
    from fhpt_eval.generation.generate import Generation, list_requests, with_people

    models = _models(quiet=quiet)
    if model == "list":
        for known in models.values():
            typer.echo(f"{known.name}: {known.title}")
        return
    if model not in models:
        raise UserError(f"there is no reference model '{model}'.{did_you_mean(model, [*models, 'list'])}")
    if pairs is None or source is None or output is None:
        raise UserError("give --pairs CSV, --source DIR and -o DIR, to say what is to be generated and where.")
    chosen = _configured(models[model], options or [], checkpoint=checkpoint, image=image, precision=precision)
    if "target" in chosen.needs and target is None:
        raise UserError(f"{model} needs the target images: give --target DIR.")
    named_files = {"--source-keypoints": source_keypoints, "--target-keypoints": target_keypoints}
    if "people" not in chosen.needs and (unused := [o for o, path in named_files.items() if path is not None]):
        raise UserError(f"{model} does not look at poses: leave {unused[0]} out.")
    of_sources, of_targets = read_keypoints(named_files, eyes).values()
    listed = list_requests(pairs, source, target, output)
    with ProgressDisplay(quiet=quiet) as progress, Cache() as cache:
        engine = open_engine(engine_name, cache, device=device, detector_timeout=detector_timeout)
        generation = Generation(chosen, output, device=engine.own_device, overwrite=overwrite)
        if "people" in chosen.needs:
            listed = with_people(listed, engine, of_sources, of_targets, progress=progress)
        for remark in () if quiet else chosen.remarks(listed.requests):
            print(f"fhpt-eval: {remark}", file=sys.stderr)
        done = generation.make(listed.requests, batch_size=batch_size, progress=progress)
    _print_made(done, output)
    missing = {**listed.missing, **done.missing}
    if not quiet:
        name_some("not made", [f"{name}: {why}" for name, why in missing.items()])
    # Without the list, pairs that were not made would not be missed.
    lacking = bool(missing) and not listed.names_files
    folders = {"-g": output, "-t": target, "-s": source, "--pairs": None if listed.names_files else pairs}
    _print_next(folders, allow_missing=lacking)
    raise typer.Exit(DONE_IN_PART if missing else DONE)


def _models(*, quiet: bool) -> Mapping[str, type[ReferenceModel]]:
    """Find the reference models, and say on stderr which cannot be loaded."""
    from fhpt_eval.generation.reference_model import find_reference_models

    found = find_reference_models()
    for warning in () if quiet else found.warnings:
        print(f"fhpt-eval: warning: {warning}", file=sys.stderr)
    return found.classes


def _configured(model: type[ReferenceModel], options: Sequence[str], **named: object) -> ReferenceModel:
    """Return a model with what ``--set`` says, and with the options that have a name of their own and are given."""
    from fhpt_eval.options import configured

    given = {name: value for name, value in named.items() if value is not None}
    return configured(model, "reference model", model.name, {**given, **settings(options)})


def _print_made(done: Generated, output: Path) -> None:
    rate = f" ({len(done.made) / done.seconds:.1f} a second)" if done.made and done.seconds else ""
    kept = f", {len(done.kept)} were there" if done.kept else ""
    typer.echo(f"{len(done.made)} images made{rate}{kept}: {output}")


def _print_next(folders: Mapping[str, Path | None], *, allow_missing: bool) -> None:
    """Print the command that scores the images."""
    arguments = [f"{option} {shlex.quote(str(path))}" for option, path in folders.items() if path is not None]
    typer.echo(" ".join(["score them: fhpt-eval run", *arguments, *(["--allow-missing"] if allow_missing else [])]))
