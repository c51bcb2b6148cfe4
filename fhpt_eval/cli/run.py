"""``fhpt-eval run``: from folders of images to scores."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

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
    EVALUATED,
    MACHINE,
    QUIET,
    DetectorTimeout,
    EngineName,
    Eyes,
    GeneratedKeypoints,
    TargetKeypoints,
    TargetMasks,
    read_face_models,
    read_file,
    read_keypoints,
    read_masks,
    read_pairs,
)
from fhpt_eval.errors import UserError

_WHAT, _HOW, _WHERE = EVALUATED, "How", "Output"


def run(
    context: typer.Context,
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
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Go on when pairs lack files; they are counted.", rich_help_panel=_WHAT),
    ] = False,
    protocols: Annotated[
        str | None,
        typer.Option(
            "--protocols",
            "-p",
            help="Protocols or groups (perceptual, structural, semantic), separated by commas; else all.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            "--profile",
            help="paper: the canonical networks. embedded: networks that come with the packages, no download.",
            rich_help_panel=_HOW,
        ),
    ] = "paper",
    dialect: Annotated[
        list[str] | None,
        typer.Option(
            "--dialect",
            metavar="NAME|FILE",
            help="Measure as a published method did, e.g. gfla; again for several. `fhpt-eval dialects list` has all.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    all_dialects: Annotated[
        bool,
        typer.Option(
            "--all-dialects",
            help="In every dialect at once; `fhpt-eval dialects explain` then tells what that is worth.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PROTOCOL.OPTION=VALUE",
            help="Set an option of a protocol; `fhpt-eval protocols NAME` lists them.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    generated_geometry: Annotated[
        str | None,
        typer.Option(
            "--generated-geometry",
            help="What every protocol does to generated images first, e.g."
            " 'crop(left=40, top=0, width=176, height=256)'; docs/geometry.md has all steps and filters.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    target_geometry: Annotated[
        str | None,
        typer.Option(
            "--target-geometry", help="The same for targets, and for the reference set.", rich_help_panel=_HOW
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            help="What the run is called; otherwise after the first folder that tells methods apart (not 'images',"
            " 'test_latest' or so).",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The run's own folder; otherwise results/NAME. Of the same pairs and generated images, scores of"
            " further protocols are added to it.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace the record in the run's folder, of whatever images, once this one is complete.",
            rich_help_panel=_WHERE,
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the run's record as JSON.", rich_help_panel=_WHERE)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help=QUIET, rich_help_panel=_WHERE)] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what would be done, and do nothing.", rich_help_panel=_WHERE),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Compute the I-th of N parts into the cache and score nothing: for many machines (docs/cluster.md).",
            rich_help_panel=MACHINE,
        ),
    ] = None,
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
    """Score a folder of generated images.

    Writes run.json, per_pair.csv, missing.csv and images.csv into the run's folder and prints a summary. A folder
    belongs to one method's images: further protocols are added to its record, that of other images is not replaced.
    What cannot run or cannot be read is named, with what would change that. Results are cached by content: a second
    run, or a run after a kill, computes only what is new.
    """
    from fhpt_eval.auditing.at_a_glance import Glance
    from fhpt_eval.cli.choosing import chosen_dialects, measurements, profile_named, refuse_unused, with_geometry
    from fhpt_eval.cli.display import ProgressDisplay, print_run
    from fhpt_eval.cli.dry_run import print_plan
    from fhpt_eval.cli.run_name import run_name
    from fhpt_eval.cli.shard import print_shard
    from fhpt_eval.engine.cache import Cache
    from fhpt_eval.engine.engine import Engine, open_engine
    from fhpt_eval.engine.machine import cpu_count, pick_device
    from fhpt_eval.engine.memory import memory_of
    from fhpt_eval.engine.sharding import Shard
    from fhpt_eval.evaluation.evaluate import evaluate
    from fhpt_eval.evaluation.giving import check_given, given_for
    from fhpt_eval.evaluation.plan import ImageSets, prepare
    from fhpt_eval.evaluation.reference_given import read_reference
    from fhpt_eval.evaluation.sharding import compute
    from fhpt_eval.extract.numerics import Numerics
    from fhpt_eval.extract.weights import Store
    from fhpt_eval.images.decoding import MAX_PIXELS
    from fhpt_eval.measuring.dialects import dialects_of_packages
    from fhpt_eval.measuring.registry import find_protocols

    for warning in () if quiet else (*find_protocols().warnings, *dialects_of_packages().warnings):
        print(f"fhpt-eval: warning: {warning}", file=sys.stderr)
    part = None if shard is None else Shard.parse(shard)
    if part is not None and (overwrite or output is not None or name is not None):
        raise UserError("--shard scores nothing and writes no run's folder: leave -o, --overwrite and --name out.")
    chosen_profile = profile_named(profile)
    dialects = chosen_dialects(dialect or [], everything=all_dialects)
    chosen = measurements(dialects, protocols, chosen_profile, options or [])
    chosen = with_geometry(chosen, "--generated-geometry", generated_geometry, {"generated_geometry"})
    chosen = with_geometry(chosen, "--target-geometry", target_geometry, {"target_geometry", "reference_geometry"})
    files = read_keypoints({"--generated-keypoints": generated_keypoints, "--target-keypoints": target_keypoints}, eyes)
    of_generated, of_targets = files.values()
    masks = read_masks(target_masks)
    classifier = read_file("--gender-classifier", gender_classifier)
    faces = read_face_models(face_models)
    refuse_unused(chosen, {"generated": of_generated, "target": of_targets}, masks, classifier, faces)
    roles = {role for m in chosen for need in m.protocol.needs() for role in need.roles}
    if reference is not None and not roles & {"reference", "given"}:
        raise UserError("--reference: none of the chosen protocols compares with a reference set; leave it out.")
    table = read_pairs(pairs, generated, target, source, naming)
    for asked in dialects:
        asked.check(table)
    if not allow_missing:
        table.require_complete()
    reference_images = None if reference is None else read_reference(reference)
    chosen_name = run_name(name, generated)
    store = Store(weights_dir, offline)
    if part is not None or dry_run:
        wanted = list(dict.fromkeys(m.protocol for m in chosen))
        given = given_for(
            table,
            chosen_profile,
            generated_keypoints=of_generated,
            target_keypoints=of_targets,
            target_masks=masks,
            gender_classifier=classifier,
            face_models=faces,
        )
        images = ImageSets(table, reference_images, given)
        check_given(images, wanted)
    if dry_run:
        prepared = prepare(
            images, wanted, store, fetch=False, numerics=Numerics(pick_device(device), precision, reference_math)
        )
        prepared = prepared if part is None else replace(prepared, plan=part.of(prepared.plan))
        memory = memory_of(
            prepared.plan,
            prepared.weights,
            batch_size=batch_size,
            workers=workers or cpu_count(),
            max_pixels=max_pixels or MAX_PIXELS,
            device=pick_device(device),
        )
        print_plan(images, chosen, prepared, memory, as_json=as_json)
        return

    def engine_with(cache: Cache, progress: ProgressDisplay) -> Engine:
        return open_engine(
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
        )

    if part is not None:
        with ProgressDisplay(quiet=quiet) as progress, Cache() as cache:
            engine = engine_with(cache, progress)
            done = compute(
                part, images, prepare(images, wanted, store, progress, numerics=engine.numerics), engine, progress
            )
        print_shard(done, as_json=as_json, quiet=quiet)
        raise typer.Exit(done.exit_code)
    glances: list[Glance] = []
    with ProgressDisplay(quiet=quiet) as progress, Cache() as cache:

        def tell(glance: Glance) -> None:
            glances.append(glance)
            if glance.more is not None:
                progress.say(str(glance))

        engine = engine_with(cache, progress)
        # Names of files are UTF-8 on disk, also where the locale is ASCII.
        folder = output or Path("results") / os.fsdecode(chosen_name.encode())
        result = evaluate(
            table,
            chosen,
            profile=chosen_profile,
            reference=reference_images,
            generated_keypoints=of_generated,
            target_keypoints=of_targets,
            target_masks=masks,
            gender_classifier=classifier,
            face_models=faces,
            name=chosen_name,
            output=folder,
            overwrite=overwrite,
            engine=engine,
            store=store,
            progress=progress,
            command=context.obj,
            tell=tell,
        )
    print_run(result, folder, glances, (engine.computed, engine.found), as_json=as_json, quiet=quiet)
    raise typer.Exit(result.exit_code)
