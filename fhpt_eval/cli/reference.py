"""``fhpt-eval reference``: a reference set in one file, for FID and KID without its images."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fhpt_eval.cli.evaluating import (
    BatchSize,
    Device,
    MaxPixels,
    Offline,
    PrecisionName,
    RayAddress,
    ReferenceMath,
    WeightsFolder,
    Workers,
)
from fhpt_eval.cli.shared import DONE, DONE_IN_PART, AsJson, EngineName, Overwrite, Quiet, name_some
from fhpt_eval.errors import UserError
from fhpt_eval.text import visible

if TYPE_CHECKING:
    from fhpt_eval.evaluation.reference_making import Made
    from fhpt_eval.evaluation.reference_record import ReferenceRecord

app = typer.Typer(no_args_is_help=True, help="Keep a reference set in one file: FID and KID without its images.")

Output = Annotated[Path, typer.Option("--output", "-o", help="File to write, such as train.safetensors.")]


@app.command()
def make(
    reference: Annotated[Path, typer.Option("--reference", help="Folder of the reference set.")],
    output: Output,
    protocols: Annotated[
        str | None,
        typer.Option("--protocols", "-p", help="Protocols that will be run with it; else all that compare with a set."),
    ] = None,
    profile: Annotated[str, typer.Option("--profile", help="As of `fhpt-eval run`: paper or embedded.")] = "paper",
    dialect: Annotated[
        list[str] | None,
        typer.Option("--dialect", metavar="NAME|FILE", help="Measure as a published method did; again for several."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PROTOCOL.OPTION=VALUE", help="Set an option of a protocol, as the run will."),
    ] = None,
    target_geometry: Annotated[
        str | None,
        typer.Option("--target-geometry", help="What every protocol does to the images first, as in the run."),
    ] = None,
    float16: Annotated[
        bool,
        typer.Option("--float16", help="Keep features of each image in half the space; KID's seventh decimal moves."),
    ] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    engine_name: EngineName = "local",
    ray_address: RayAddress = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    workers: Workers = None,
    precision: PrecisionName = "float32",
    reference_math: ReferenceMath = False,
    max_pixels: MaxPixels = None,
    weights_dir: WeightsFolder = None,
    offline: Offline = False,
) -> None:
    """Compute once what FID, KID and their like need of a reference set, and write it into one file.

    `fhpt-eval run --reference FILE` then gives the numbers that the folder gives. Results are cached by content: after
    a run with the folder nothing is computed. docs/reference.md says what the file holds. Exit code 3: some images have
    no features, and were named.
    """
    from fhpt_eval.cli.choosing import chosen_dialects, measurements, profile_named, with_geometry
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.engine import open_engine
    from fhpt_eval.evaluation.reference_making import make_reference
    from fhpt_eval.extract.weights import Store
    from fhpt_eval.images.decoding import MAX_PIXELS
    from fhpt_eval.pairing.pairs import list_images

    _check_place(output, overwrite)
    dialects = chosen_dialects(dialect or [], everything=False)
    chosen = measurements(dialects, protocols, profile_named(profile), options or [])
    for measurement in chosen:
        if protocols is not None and measurement.protocol.reference_need() is None:
            raise UserError(f"--protocols: {measurement.name} does not compare with a reference set; leave it out.")
    chosen = with_geometry(chosen, "--target-geometry", target_geometry, {"reference_geometry"})
    images = list_images(reference)
    with ProgressDisplay(quiet=quiet) as progress, Cache() as cache:
        made = make_reference(
            images,
            [measurement.protocol for measurement in chosen],
            features="float16" if float16 else "float32",
            engine=open_engine(
                engine_name,
                cache,
                device=device,
                batch_size=batch_size,
                workers=workers,
                max_pixels=max_pixels or MAX_PIXELS,
                precision=precision,
                reference_math=reference_math,
                ray_address=ray_address,
                tell=progress.say,
            ),
            store=Store(weights_dir, offline),
            progress=progress,
        )
    _write(made, output, overwrite, as_json)
    left_out = [f"{visible(str(images.listing.folder / n))}: {why}" for n, why in images.listing.left_out.items()]
    lacking = [
        f"{visible(str(images[gap.image].path))}: {gap.reason}" for k in made.record.features for gap in k.lacking
    ]
    if not quiet:
        for line in made.warnings:
            print(f"fhpt-eval: {line}", file=sys.stderr)
        name_some("left out", left_out)
        # Several networks may lack one file for one reason.
        name_some("without features", [*dict.fromkeys(lacking)])
    in_part = left_out or any(gap.kind == "fault" for kept in made.record.features for gap in kept.lacking)
    raise typer.Exit(DONE_IN_PART if in_part else DONE)


@app.command()
def use(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE.npz...", help="What pytorch-fid or clean-fid wrote: mu and sigma, feats, or both."
        ),
    ],
    network: Annotated[str, typer.Option("--network", help="Whose features they are, e.g. inception-2015.")],
    output: Output,
    preprocess: Annotated[
        str | None,
        typer.Option("--preprocess", help="How images came to it: pytorch-fid, torch-fidelity, clean-fid …"),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option("--images", min=2, max=10**9, help="Of how many images, if you know; such files do not tell."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make a file for `--reference` of statistics that another tool wrote.

    Such a file tells neither its network nor its images: what you state is recorded as stated, and every score says
    that it is not verified.
    """
    from fhpt_eval.evaluation.reference_npz import use_npz
    from fhpt_eval.measuring.registry import reference_needs

    _check_place(output, overwrite)
    stated = {"network": network} if preprocess is None else {"network": network, "preprocess": preprocess}
    need = reference_needs(stated)[0]
    if preprocess is None and "preprocess" in need.extractor.parameters():
        raise UserError(f"--preprocess: state how images came to {network}; its features depend on that.")
    _write(use_npz(files, need, images), output, overwrite, as_json)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `make` or `use` wrote.")],
    as_json: AsJson = False,
) -> None:
    """Check a file, and say of what it is and how it was made."""
    from fhpt_eval.evaluation.reference_file import ReferenceFile

    found = ReferenceFile.at(file)
    if as_json:
        typer.echo(json.dumps({"sha256": found.sha256, **found.record.model_dump(mode="json")}, indent=2))
        return
    typer.echo(f"{file}: sha256 {found.sha256}")
    _print(found.record)


def _check_place(output: Path, overwrite: bool) -> None:
    from fhpt_eval.evaluation.named_file import require_place

    require_place(output)
    if output.suffix != ".safetensors":
        raise UserError(f"{output}: the file ends in .safetensors.")
    if os.path.lexists(output) and not overwrite:
        raise UserError(f"{output} is there: choose another file with -o, or replace it with --overwrite.")


def _write(made: Made, output: Path, overwrite: bool, as_json: bool) -> None:
    from fhpt_eval.evaluation.named_file import write_named

    write_named(output, made.data, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(made.record.model_dump(mode="json"), indent=2))
        return
    typer.echo(str(output))
    _print(made.record)


def _print(record: ReferenceRecord) -> None:
    whose = "an unknown number of" if record.images is None else str(record.images)
    typer.echo(f"{whose} images{_sizes(record)}, by {visible(record.made_by)}, {visible(record.created)}")
    typer.echo(f"set: {record.identity}" if record.stated is None else f"as stated of {visible(record.stated)}")
    for kept in record.features:
        of = "" if kept.n is None else f" of {kept.n} images"
        what = [f"mean and covariance of {n or 'all'}" for n in kept.statistics]
        what += [] if kept.each is None else [f"features of each in {kept.each}"]
        typer.echo(visible(f"{kept.extractor}, {kept.feature} ({kept.dim}){of}: {', '.join(what)}"))
        libraries = kept.recipe.get("libraries")
        if isinstance(libraries, dict):
            about = ", ".join(f"{name} {version}" for name, version in libraries.items())
            typer.echo(visible(f"  {kept.recipe.get('precision', 'float32')} on {kept.recipe.get('device')}, {about}"))


def _sizes(record: ReferenceRecord) -> str:
    if record.images in record.sizes.values():
        return f" of {next(iter(record.sizes))}"
    told = [f"{count} of {size}" for size, count in record.sizes.items()]
    return f" ({', '.join(told[:3])}{', …' if len(told) > 3 else ''})" if told else ""
