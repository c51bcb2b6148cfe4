"""From pairs and protocols to a run: planned, computed once, scored, recorded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

from fhpt_eval.auditing.at_a_glance import Glance, at_a_glance
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import Engine, open_engine
from fhpt_eval.engine.executor import LOCAL
from fhpt_eval.engine.reading import Extraction
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.doubts import Doubts, doubts
from fhpt_eval.evaluation.extracted_records import ExtractedRecords
from fhpt_eval.evaluation.giving import check_given, given_for, keypoint_roles
from fhpt_eval.evaluation.plan import ImageSets, Prepared, prepare
from fhpt_eval.evaluation.recording import plan_record, start_run
from fhpt_eval.evaluation.reference_file import ReferenceFile
from fhpt_eval.evaluation.reference_given import read_reference
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_folder import RunFolder
from fhpt_eval.evaluation.run_record import score_record
from fhpt_eval.extract.insight_face import FaceModels
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.libraries import explained
from fhpt_eval.maths.definition import by_definition
from fhpt_eval.maths.singular import on_device
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.measuring.protocol import Profile, Protocol, Score, Unscorable
from fhpt_eval.measuring.registry import select
from fhpt_eval.memory import no_memory_for
from fhpt_eval.pairing.lists import PAIR_COLUMNS
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.people.mask_files import MaskFiles
from fhpt_eval.progress import Progress

_SECONDS_UNSAVED = 1.0
"""Scoring that a killed run may lose: of records from the cache it takes less time than to write the tables."""


def evaluate(
    pairs: Pairs,
    protocols: Sequence[Measurement | Protocol | str] | None = None,
    *,
    profile: Profile = "paper",
    reference: Sequence[ImageRef] | ReferenceFile | str | Path | None = None,
    generated_keypoints: KeypointFiles | str | Path | None = None,
    target_keypoints: KeypointFiles | str | Path | None = None,
    target_masks: MaskFiles | str | Path | None = None,
    gender_classifier: GivenFile | str | Path | None = None,
    face_models: FaceModels | str | Path | None = None,
    name: str = "run",
    output: str | Path | None = None,
    overwrite: bool = False,
    engine: Engine | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
    tell: Callable[[Glance], None] | None = None,
) -> Run:
    """Evaluate generated images.

    Args:
        pairs: What to evaluate; see `Pairs.from_folders` and `Pairs.from_csv`.
        protocols: Names, groups, configured protocols, or measurements of a dialect (`fhpt_eval.measuring.dialects`);
            None for all protocols.
        profile: ``paper`` (canonical networks) or ``embedded`` (what packages carry); for protocols given by name.
        reference: The reference set of FID and KID, its folder, or a file made of it (docs/reference.md); None for the
            unique targets.
        generated_keypoints: Keypoints of the generated images, to take instead of detected ones, or their files.
        target_keypoints: The same for the targets; masks are drawn from them, too.
        target_masks: Masks of the targets, to take instead of drawn ones, or their folder.
        gender_classifier: What `fhpt-eval train gender` wrote; the profile ``embedded`` has one of its own.
        face_models: InsightFace's networks, or the folder of their ONNX files.
        name: What the run is called in leaderboards.
        output: A folder for the run's record, written while protocols are scored, each second at most, and at the end;
            None writes nothing. Where it holds scores of the same pairs and generated images, those of other protocols
            stay.
        overwrite: Replace the record that the folder holds, of whatever evaluation, once this one is complete.
        engine: What computes; by default this machine with the user's cache.
        store: Where weights are looked for.
        progress: Called with a stage, the steps done and their number.
        command: The words of the command line, for the record.
        tell: Called with what the generated images' files are like, before anything is computed.

    Returns:
        The run, with scores, per-pair values and what is missing.

    Raises:
        UserError: If a protocol is unknown, what is given does not fit, or the output folder cannot be written or holds
            the record of another evaluation.
    """
    chosen = choose(protocols, profile)
    given = given_for(
        pairs,
        profile,
        generated_keypoints=_keypoints(generated_keypoints),
        target_keypoints=_keypoints(target_keypoints),
        target_masks=MaskFiles.at(target_masks) if isinstance(target_masks, str | Path) else target_masks,
        gender_classifier=GivenFile.at(gender_classifier)
        if isinstance(gender_classifier, str | Path)
        else gender_classifier,
        face_models=FaceModels.at(face_models) if isinstance(face_models, str | Path) else face_models,
    )
    compared = read_reference(reference) if isinstance(reference, str | Path) else reference
    images, wanted = ImageSets(pairs, compared, given), list(dict.fromkeys(m.protocol for m in chosen))
    check_given(images, wanted)
    with ExitStack() as stack:
        if engine is None:
            engine = open_engine(LOCAL, stack.enter_context(Cache()))
        folder = None if output is None else RunFolder(Path(output), overwrite=overwrite)
        started = time.monotonic()
        prepared = prepare(images, wanted, store or Store(), progress, numerics=engine.numerics)
        contents = engine.identify(prepared.plan, progress)
        planned = plan_record(name, profile, images, chosen, prepared, contents, engine.numerics, command)
        if folder is not None:
            folder.require_same(planned, planned=True)
        if tell is not None and (seen := at_a_glance(pairs, contents, engine.cache)) is not None:
            tell(seen)
        extraction = engine.run(prepared.plan, prepared.weights, progress, contents)
        extracted = time.monotonic()
        told = doubts(images, prepared, extraction)
        run = start_run(planned, images, chosen, prepared, contents, extraction, told)
        run = run.timed("extract", extracted - started)
        if folder is not None:
            folder.require_same(run.record)
        saved = extracted
        ready = [(index, m) for index, m in enumerate(chosen) if m.protocol in prepared.ready]
        for done, (index, measurement) in enumerate(ready, start=1):
            with by_definition(on=engine.numerics.reference_math), on_device(engine.own_device):
                run = _scored(run, index, measurement, images, prepared, extraction, told)
            if folder is not None and time.monotonic() - saved > _SECONDS_UNSAVED:
                folder.save(run)
                saved = time.monotonic()
            if progress is not None:
                progress("scoring", done, len(ready))
        # Of what was read since: a damaged cache, for example.
        run = run.warned(extraction.warnings).timed("score", time.monotonic() - extracted)
        if folder is not None:
            folder.save(run, complete=True)
        return run


def _keypoints(given: KeypointFiles | str | Path | None) -> KeypointFiles | None:
    return KeypointFiles.at(given) if isinstance(given, str | Path) else given


def choose(protocols: Sequence[Measurement | Protocol | str] | None, profile: Profile) -> list[Measurement]:
    """Return what `evaluate` measures of these.

    Raises:
        UserError: A protocol is unknown, or given with two sets of options.
    """
    if protocols is None:
        return [Measurement(protocol) for protocol in select(None, profile)]
    if isinstance(protocols, str):
        # Which is a sequence of letters.
        protocols = [protocols]
    chosen: dict[Measurement, None] = {}
    for given in protocols:
        found = select([given], profile) if isinstance(given, str) else [given]
        chosen |= {m if isinstance(m, Measurement) else Measurement(m): None for m in found}
    twice = [name for name, count in Counter(m.name for m in chosen).items() if count > 1]
    if twice:
        raise UserError(f"protocol '{twice[0]}' is given with two sets of options: evaluate them in runs of their own.")
    return list(chosen)


def _scored(
    run: Run,
    index: int,
    measurement: Measurement,
    images: ImageSets,
    prepared: Prepared,
    extraction: Extraction,
    found: Doubts,
) -> Run:
    """Return the run with what comes of its protocol at ``index``."""
    started = time.monotonic()
    status: Literal["done", "unavailable", "failed"] = "done"
    reason, scores, kept = None, [], []
    try:
        if broken := sorted(keypoint_roles(measurement.protocol, images.given) & found.broken.keys()):
            raise Unscorable("; ".join(found.broken[side] for side in broken))
        scores = _scores(measurement, images, prepared, extraction)
        _check(scores, run)
        kept = [score_record(score) for score in scores]
    except Exception as error:  # noqa: BLE001 - a stranger's protocol must not take the others with it
        scores, kept = [], []
        told = no_memory_for(f"scoring {measurement.name}", error) or explained(error)
        if isinstance(told, UserError | Unscorable):
            status, reason = "unavailable", str(told)
        else:
            status, reason = "failed", " ".join(f"{type(error).__name__}: {error}".split())
    protocol = run.record.protocols[index].model_copy(
        update={"status": status, "reason": reason, "seconds": round(time.monotonic() - started, 3), "scores": kept}
    )
    return run.with_scores(index, protocol, scores)


def _scores(measurement: Measurement, images: ImageSets, prepared: Prepared, extraction: Extraction) -> list[Score]:
    """Return a measurement's scores, or raise why there are none."""
    protocol = measurement.protocol
    for need in images.needs(protocol):
        if (error := extraction.broken.get(prepared.ran(need.extractor))) is not None:
            raise error
    records = ExtractedRecords(images.seen_by(protocol), extraction, prepared.same)
    return _noted(measurement.named(protocol.score(images.pairs, records)), protocol, images)


def _noted(scores: list[Score], protocol: Protocol, images: ImageSets) -> list[Score]:
    """Return the scores, the first of them with the content of the generated images' keypoints, if they were given."""
    if not scores or "generated" not in keypoint_roles(protocol, images.given):
        return scores
    first, *others = scores
    about = {"generated_keypoints": str(images.given.keypoints["generated"].files)}
    return [replace(first, details={**first.details, **about}), *others]


def _check(scores: Sequence[Score], run: Run) -> None:
    """Refuse scores that the record of a run cannot hold."""
    taken = {*run.scores, *PAIR_COLUMNS}
    for score in scores:
        if score.metric in taken:
            raise ValueError(f"its metric '{score.metric}' is already in this run")
        taken.add(score.metric)
        if score.per_pair and len(score.per_pair) != len(run.per_pair):
            raise ValueError(
                f"its metric '{score.metric}' has {len(score.per_pair)} values for {len(run.per_pair)} pairs"
            )
