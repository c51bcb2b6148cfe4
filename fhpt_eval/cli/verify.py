"""``fhpt-eval verify``: whether the numbers of a record follow from images."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhpt_eval.cli.evaluating import (
    BatchSize,
    Device,
    FaceModelsFolder,
    GenderClassifierFile,
    Generated,
    MaxPixels,
    NamingOption,
    Offline,
    PairList,
    PrecisionName,
    RayAddress,
    Reference,
    ReferenceMath,
    Source,
    Target,
    WeightsFolder,
    Workers,
)
from fhpt_eval.cli.shared import (
    DONE,
    DONE_IN_PART,
    AsJson,
    DetectorTimeout,
    EngineName,
    Eyes,
    GeneratedKeypoints,
    Quiet,
    TargetKeypoints,
    TargetMasks,
    read_face_models,
    read_file,
    read_keypoints,
    read_masks,
    read_pairs,
)

if TYPE_CHECKING:
    from fhpt_eval.evaluation.image_check import ImageCheck
    from fhpt_eval.evaluation.number_check import NumberCheck
    from fhpt_eval.evaluation.verification import Verification


def verify(
    run: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="Folder that `fhpt-eval run -o` wrote, or archive of `fhpt-eval pack`."),
    ],
    generated: Generated,
    target: Target = None,
    source: Source = None,
    pairs: PairList = None,
    naming: NamingOption = "auto",
    reference: Reference = None,
    generated_keypoints: GeneratedKeypoints = None,
    target_keypoints: TargetKeypoints = None,
    target_masks: TargetMasks = None,
    eyes: Eyes = "right-first",
    gender_classifier: GenderClassifierFile = None,
    face_models: FaceModelsFolder = None,
    protocols: Annotated[
        str | None,
        typer.Option("--protocols", "-p", help="Protocols or groups to check, separated by commas; else all."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PROTOCOL.OPTION=FILE",
            help="Where an option was a file (kec.tasks): that file. All other options come from the record.",
        ),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    engine_name: EngineName = "local",
    ray_address: RayAddress = None,
    device: Device = "auto",
    batch_size: BatchSize = None,
    workers: Workers = None,
    detector_timeout: DetectorTimeout = 60.0,
    precision: PrecisionName = "float32",
    reference_math: ReferenceMath = False,
    max_pixels: MaxPixels = None,
    weights_dir: WeightsFolder = None,
    offline: Offline = False,
) -> None:
    """Say of each number of a record whether it follows from images: same bits, within tolerance, or not.

    Looks first whether the images are the recorded ones, then computes every number by its recorded recipe, and names
    the first pair that differs. Nothing is written into RUN. docs/verify.md says where tolerances come from. Exit code
    0: the images are the recorded ones, and all follows; 3: something does not or could not be checked, and was named.
    """
    from fhpt_eval.cli.choosing import names_of, protocol_options
    from fhpt_eval.cli.display import ProgressDisplay
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.engine import open_engine
    from fhpt_eval.evaluation.claim import opened
    from fhpt_eval.evaluation.reference_given import read_reference
    from fhpt_eval.evaluation.verification import verify as check
    from fhpt_eval.extract.weights import Store
    from fhpt_eval.images.decoding import MAX_PIXELS

    files = read_keypoints({"--generated-keypoints": generated_keypoints, "--target-keypoints": target_keypoints}, eyes)
    of_generated, of_targets = files.values()
    with opened(run) as (recorded, packed), ProgressDisplay(quiet=quiet) as progress, Cache() as cache:
        result = check(
            recorded,
            read_pairs(pairs or packed, generated, target, source, naming),
            protocols=names_of(protocols),
            options=protocol_options(options or []),
            reference=None if reference is None else read_reference(reference),
            generated_keypoints=of_generated,
            target_keypoints=of_targets,
            target_masks=read_masks(target_masks),
            gender_classifier=read_file("--gender-classifier", gender_classifier),
            face_models=read_face_models(face_models),
            engine=open_engine(
                engine_name,
                cache,
                device=device,
                batch_size=batch_size,
                workers=workers,
                max_pixels=max_pixels or MAX_PIXELS,
                detector_timeout=detector_timeout,
                precision=precision,
                reference_math=reference_math,
                ray_address=ray_address,
                tell=progress.say,
            ),
            store=Store(weights_dir, offline),
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(_as_json(result), indent=2, ensure_ascii=False))
    else:
        _print(recorded.record.name, result)
    if not quiet:
        for remark in result.remarks:
            print(f"fhpt-eval: {remark}", file=sys.stderr)
    raise typer.Exit(DONE if result.follows else DONE_IN_PART)


def _as_json(result: Verification) -> dict[str, Any]:
    return {
        "follows": result.follows,
        "images": [{"same": image.same, **dataclasses.asdict(image)} for image in result.images],
        "numbers": [{"follows": number.follows, **dataclasses.asdict(number)} for number in result.numbers],
        "contradictions": [*result.contradictions],
        "remarks": [*result.remarks],
    }


def _print(name: str, result: Verification) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from fhpt_eval.cli.display import print_table
    from fhpt_eval.text import visible

    typer.echo(f"{visible(name)}: are these the recorded images?")
    for image in result.images:
        typer.echo(f"  {_sentence(image)}")
    table = Table("metric", "recorded", "here", "verdict", box=SIMPLE_HEAD, pad_edge=False)
    table.columns[1].justify = table.columns[2].justify = "right"
    for number in result.numbers:
        style = "" if number.follows else "red"
        cells = (visible(number.metric), *_values(number), number.verdict.value)
        table.add_row(*(Text(cell, style=style) for cell in cells))
    print_table(table)
    reasons: dict[str, list[str]] = {}
    for number in result.numbers:
        if not number.follows:
            where = "" if number.pair is None else f"first at pair {number.pair}, "
            reasons.setdefault(f"{number.verdict.value}: {where}{number.reason}", []).append(number.metric)
    for reason, metrics in reasons.items():
        typer.echo(visible(f"{', '.join(metrics)} {reason}"))
    for contradiction in result.contradictions:
        typer.echo(visible(contradiction))
    following = sum(number.follows for number in result.numbers)
    told = f"{following} of {len(result.numbers)} numbers"
    same = all(image.same for image in result.images)
    if not same:
        typer.echo(f"not the recorded images; {told} come out alike")
    else:
        more = ", but not all else that the record says" if result.contradictions else ""
        typer.echo(f"{told} follow from these images{more}")


def _sentence(image: ImageCheck) -> str:
    """Say in a line how many images of a role are the recorded ones, and name the first that is not."""
    from fhpt_eval.text import visible

    if image.equal is None:
        return f"{image.role}: not the recorded ones"
    told = f"{image.role}: {image.equal} of {image.recorded} are"
    for what, names in (("differs", image.differing), ("is not here", image.absent), ("is not recorded", image.extra)):
        if names:
            more = f", and {len(names) - 1} more" if len(names) > 1 else ""
            told += f"; {visible(names[0])} {what}{more}"
    return told


def _values(number: NumberCheck) -> tuple[str, str]:
    """Return both values in as few digits as tell them apart."""
    from fhpt_eval.numbers import number as short

    both = (number.recorded, number.found)
    shown = [value if isinstance(value, str) else short(value) for value in both]
    if shown[0] == shown[1] and both[0] != both[1]:
        shown = [repr(value) for value in both]
    return shown[0], shown[1]
