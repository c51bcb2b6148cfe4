"""From pairs and protocols to a run: planned, computed once, scored, recorded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import Engine, open_engine
from fhpt_eval.engine.executor import LOCAL
from fhpt_eval.engine.reading import Extraction
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.doubts import Doubts, doubts
from fhpt_eval.evaluation.giving import check_given, given_for
from fhpt_eval.evaluation.plan import ImageSets, Prepared, prepare
from fhpt_eval.evaluation.reading import ExtractedRecords
from fhpt_eval.evaluation.recording import start_run
from fhpt_eval.evaluation.run import Run, claim_folder, score_record
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.libraries import explained
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.measuring.protocol import Profile, Protocol, Score, Unscorable
from fhpt_eval.measuring.registry import select
from fhpt_eval.pairing.lists import PAIR_COLUMNS
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.progress import Progress


def evaluate(
    pairs: Pairs,
    protocols: Sequence[Measurement | Protocol | str] | None = None,
    *,
    profile: Profile = "paper",
    reference: Sequence[ImageRef] | None = None,
    generated_keypoints: KeypointFiles | None = None,
    target_keypoints: KeypointFiles | None = None,
    gender_classifier: GivenFile | None = None,
    name: str = "run",
    output: Path | None = None,
    engine: Engine | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Run:
    """Evaluate generated images.

    Args:
        pairs: What to evaluate; see `Pairs.from_folders` and `Pairs.from_csv`.
        protocols: Names, groups, configured protocols, or measurements of a dialect (`fhpt_eval.measuring.dialects`);
            None for
            all protocols.
        profile: ``paper`` (canonical networks) or ``embedded`` (what packages carry); for protocols given by name.
        reference: The reference set of FID and KID (`fhpt_eval.pairing.pairs.list_images`); None for the unique
            targets.
        generated_keypoints: Keypoints of the generated images, to take instead of detected ones.
        target_keypoints: The same for the targets; masks are drawn from them, too.
        gender_classifier: What `fhpt-eval train gender` wrote; the profile ``embedded`` has one of its own.
        name: What the run is called in leaderboards.
        output: A folder for the run's record, written after every protocol; None writes nothing.
        engine: What computes; by default this machine with the user's cache.
        store: Where weights are looked for.
        progress: Called with a stage, the steps done and their number.

    Returns:
        The run, with scores, per-pair values and what is missing.

    Raises:
        UserError: If a protocol is unknown, what is given does not fit, or the output folder cannot be written.
    """
    chosen = _chosen(protocols, profile)
    given = given_for(
        pairs,
        profile,
        generated_keypoints=generated_keypoints,
        target_keypoints=target_keypoints,
        gender_classifier=gender_classifier,
    )
    images, wanted = ImageSets(pairs, reference, given), list(dict.fromkeys(m.protocol for m in chosen))
    check_given(images, wanted)
    with ExitStack() as stack:
        if engine is None:
            engine = open_engine(LOCAL, stack.enter_context(Cache()))
        if output is not None:
            claim_folder(output)
        started = time.monotonic()
        prepared = prepare(images, wanted, store or Store(), progress)
        extraction = engine.run(prepared.plan, prepared.weights, progress)
        extracted = time.monotonic()
        told = doubts(images, prepared, extraction)
        run = start_run(name, profile, images, chosen, prepared, extraction, told, engine.device)
        run = run.timed("extract", extracted - started)
        saved = None
        ready = [(index, m) for index, m in enumerate(chosen) if m.protocol in prepared.ready]
        for done, (index, measurement) in enumerate(ready, start=1):
            run = _scored(run, index, measurement, images, prepared, extraction, told)
            if output is not None:
                run.save(output, saved)
                saved = run
            if progress is not None:
                progress("scoring", done, len(ready))
        run = run.timed("score", time.monotonic() - extracted)
        if output is not None:
            run.save(output, saved)
        return run


def _chosen(protocols: Sequence[Measurement | Protocol | str] | None, profile: Profile) -> list[Measurement]:
    if protocols is None:
        return [Measurement(protocol) for protocol in select(None, profile)]
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
        if broken := sorted(measurement.protocol.keypoint_roles() & found.broken.keys()):
            raise Unscorable("; ".join(found.broken[side] for side in broken))
        scores = _scores(measurement, images, prepared, extraction)
        _check(scores, run)
        kept = [score_record(score) for score in scores]
    except Exception as error:  # noqa: BLE001 - a stranger's protocol must not take the others with it
        scores, kept = [], []
        told = explained(error)
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
    if not scores or "generated" not in protocol.keypoint_roles() & images.given.keypoints.keys():
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
