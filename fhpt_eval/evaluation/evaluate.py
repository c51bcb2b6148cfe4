"""From pairs and protocols to a run: planned, computed once, scored, recorded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.contract import Engine, Extraction
from fhpt_eval.engine.local import LocalEngine
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.giving import check_given, given_for
from fhpt_eval.evaluation.plan import ImageSets, Prepared, prepare
from fhpt_eval.evaluation.reading import ExtractedRecords
from fhpt_eval.evaluation.recording import start_run
from fhpt_eval.evaluation.run import Run, ScoreRecord, add_per_pair, claim_folder, score_record
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
    if engine is None:
        with Cache() as cache:
            return evaluate(
                pairs,
                chosen,
                profile=profile,
                reference=reference,
                generated_keypoints=generated_keypoints,
                target_keypoints=target_keypoints,
                gender_classifier=gender_classifier,
                name=name,
                output=output,
                engine=LocalEngine(cache),
                store=store,
                progress=progress,
            )
    given = given_for(
        pairs,
        profile,
        generated_keypoints=generated_keypoints,
        target_keypoints=target_keypoints,
        gender_classifier=gender_classifier,
    )
    images, wanted = ImageSets(pairs, reference, given), list(dict.fromkeys(m.protocol for m in chosen))
    check_given(images, wanted)
    if output is not None:
        claim_folder(output)
    started = time.monotonic()
    prepared = prepare(images, wanted, store or Store(), progress)
    extraction = engine.run(prepared.plan, prepared.weights, progress)
    extracted = time.monotonic()
    run = start_run(name, profile, images, chosen, prepared, extraction, engine.device)
    run = _timed(run, "extract", extracted - started)
    ready = [(index, m) for index, m in enumerate(chosen) if m.protocol in prepared.ready]
    for done, (index, measurement) in enumerate(ready, start=1):
        run = _score(run, index, measurement, images, prepared, extraction)
        if output is not None:
            run.save(output)
        if progress is not None:
            progress("scoring", done, len(ready))
    run = _timed(run, "score", time.monotonic() - extracted)
    if output is not None:
        run.save(output)
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


def _score(
    run: Run, index: int, measurement: Measurement, images: ImageSets, prepared: Prepared, extraction: Extraction
) -> Run:
    """Add to a run what comes of its protocol at ``index``."""
    protocol = measurement.protocol
    started = time.monotonic()
    scores: list[Score] = []
    score_records: list[ScoreRecord] = []
    status, reason = "done", None
    ran = [prepared.same.get(need.extractor, need.extractor) for need in images.needs(protocol)]
    errors = [extraction.broken[extractor] for extractor in ran if extractor in extraction.broken]
    if errors:
        status = "unavailable" if isinstance(errors[0], UserError) else "failed"
        reason = str(errors[0]) if status == "unavailable" else _bug(errors[0])
    else:
        try:
            records = ExtractedRecords(images.seen_by(protocol), extraction, prepared.same)
            scores = _noted(measurement.named(protocol.score(images.pairs, records)), protocol, images)
            _check(scores, run)
            score_records = [score_record(score) for score in scores]
        except Unscorable as error:
            status, reason = "unavailable", str(error)
        except Exception as error:  # noqa: BLE001 - a stranger's protocol must not take the others with it
            scores, score_records = [], []
            told = explained(error)
            status, reason = ("unavailable", str(told)) if isinstance(told, UserError) else ("failed", _bug(error))
    changes = {
        "status": status,
        "reason": reason,
        "seconds": round(time.monotonic() - started, 3),
        "scores": score_records,
    }
    protocol_records = list(run.record.protocols)
    protocol_records[index] = protocol_records[index].model_copy(update=changes)
    warnings = [*run.record.warnings, *(w for score in scores for w in score.warnings)]
    per_pair, missing = add_per_pair(run.per_pair, run.missing, scores)
    arrays = {**run.arrays, **{score.metric: score.arrays for score in scores if score.arrays}}
    record = run.record.model_copy(update={"protocols": protocol_records, "warnings": warnings})
    return Run(record, per_pair, missing, arrays)


def _noted(scores: list[Score], protocol: Protocol, images: ImageSets) -> list[Score]:
    """Return the scores, the first of them with the content of the generated images' keypoints, if they were given."""
    if not scores or "generated" not in protocol.keypoint_roles() & images.given.keypoints.keys():
        return scores
    first, *others = scores
    about = {"generated_keypoints": str(images.given.keypoints["generated"].files)}
    return [replace(first, details={**first.details, **about}), *others]


def _bug(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


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


def _timed(run: Run, stage: str, seconds: float) -> Run:
    return replace(
        run, record=run.record.model_copy(update={"seconds": {**run.record.seconds, stage: round(seconds, 3)}})
    )
