"""From pairs and protocols to a run: what is needed on which different file, computed once, scored, recorded."""

from __future__ import annotations

import datetime
import hashlib
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from fhpt_eval.engine.base import Engine, Extraction, Plan, Progress
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.local import LocalEngine
from fhpt_eval.environment import describe_environment
from fhpt_eval.errors import Unavailable, UserError
from fhpt_eval.extract.base import ImageExtractor, Missing, PairExtractor, Result, Role
from fhpt_eval.files import write_atomic
from fhpt_eval.images import ImageRef
from fhpt_eval.naming import parse_deepfashion
from fhpt_eval.pairs import Pairs
from fhpt_eval.protocol import Profile, Protocol, Records, Results, Score, Unscorable
from fhpt_eval.registry import select
from fhpt_eval.run import (
    MISSING,
    PAIR_COLUMNS,
    RECORD,
    ImagesRecord,
    PairsRecord,
    ProtocolRecord,
    Recipe,
    Run,
    RunRecord,
    ScoreRecord,
    add_per_pair,
    score_record,
)
from fhpt_eval.weights import Store


@dataclass(frozen=True)
class Prepared:
    """What an evaluation would do, before anything is computed.

    Attributes:
        ready: Protocols that can run.
        unavailable: For each other protocol, why it cannot and what would enable it.
        plan: What the engine is asked for.
        weights: The verified file of each weights name.
    """

    ready: tuple[Protocol, ...]
    unavailable: Mapping[Protocol, str]
    plan: Plan
    weights: Mapping[str, Path]


def evaluate(
    pairs: Pairs,
    protocols: Sequence[Protocol | str] | None = None,
    *,
    profile: Profile = "paper",
    reference: Sequence[ImageRef] | None = None,
    name: str = "run",
    output: Path | None = None,
    engine: Engine | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Run:
    """Evaluate generated images.

    Args:
        pairs: What to evaluate; see `Pairs.from_folders` and `Pairs.from_csv`.
        protocols: Names, groups or configured protocols; None for all.
        profile: ``paper`` (canonical networks) or ``embedded`` (what packages carry); for protocols given by name.
        reference: The reference set of FID and KID (`fhpt_eval.pairs.list_images`); None for the unique targets.
        name: What the run is called in leaderboards.
        output: A folder for the run's record, written after every protocol; None writes nothing.
        engine: What computes; by default this machine with the user's cache.
        store: Where weights are looked for.
        progress: Called with a stage, the steps done and their number.

    Returns:
        The run, with scores, per-pair values and what is missing.

    Raises:
        UserError: If a protocol is unknown, or the output folder cannot be written.
    """
    chosen = [
        protocol
        for entry in (protocols if protocols is not None else [None])
        for protocol in (
            [entry] if isinstance(entry, Protocol) else select(None if entry is None else [entry], profile)
        )
    ]
    if engine is None:
        with Cache() as cache:
            return evaluate(
                pairs,
                chosen,
                profile=profile,
                reference=reference,
                name=name,
                output=output,
                engine=LocalEngine(cache),
                store=store,
                progress=progress,
            )
    if output is not None:
        claim_folder(output)
    started = time.monotonic()
    prepared = prepare(pairs, chosen, reference, store or Store(), progress)
    extraction = engine.run(prepared.plan, prepared.weights, progress)
    extracted = time.monotonic()
    records = _PlanRecords(pairs, reference, extraction)
    run = _empty_run(pairs, chosen, prepared, extraction, records, name, profile, engine)
    run = _timed(run, "extract", extracted - started)
    for done, protocol in enumerate(prepared.ready, start=1):
        run = _score(run, protocol, pairs, records, extraction)
        if output is not None:
            run.save(output)
        if progress is not None:
            progress("scoring", done, len(prepared.ready))
    run = _timed(run, "score", time.monotonic() - extracted)
    if output is not None:
        run.save(output)
    return run


def prepare(
    pairs: Pairs,
    protocols: Sequence[Protocol],
    reference: Sequence[ImageRef] | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Find out which protocols can run, fetching weights that are absent, and plan the extraction."""
    store = store or Store()
    weights: dict[str, Path] = {}
    unavailable: dict[Protocol, str] = {}
    ready = []
    for protocol in protocols:
        try:
            _check_roles(protocol, pairs, reference)
            for need in protocol.needs():
                for file in need.extractor.weights():
                    if file.name not in weights:
                        weights[file.name] = store.get(file, _reporter(progress, file.name))
        except UserError as error:
            unavailable[protocol] = str(error)
        else:
            ready.append(protocol)
    return Prepared(tuple(ready), unavailable, _plan(ready, pairs, reference), weights)


def claim_folder(folder: Path) -> None:
    """Make a run's folder, or take over one that holds an earlier run.

    Raises:
        UserError: If it cannot be written, or holds something else.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not (folder / RECORD).exists() and not (folder / MISSING).exists():
            raise UserError(f"{folder} holds files that are not a run's: choose a new folder with -o.")
        write_atomic(folder / MISSING, "metric,pair,reason\n")
        # A run that is killed before its first score must not look like the one that was here before.
        (folder / RECORD).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder} ({error.strerror}): choose another folder with -o.") from None


def _reporter(progress: Progress | None, name: str) -> Any:
    return None if progress is None else lambda done, total: progress(f"downloading {name}", done, total)


def _check_roles(protocol: Protocol, pairs: Pairs, reference: Sequence[ImageRef] | None) -> None:
    wanted = {role for need in protocol.needs() for role in need.roles}
    for role in sorted(wanted):
        if role == "reference":
            if reference is None and not pairs.unique("target"):
                raise Unavailable("it compares with real images: give --target DIR or --reference DIR")
        elif not pairs.unique(role):
            raise Unavailable(f"it needs {role} images: give --{role} DIR")


def _plan(protocols: Iterable[Protocol], pairs: Pairs, reference: Sequence[ImageRef] | None) -> Plan:
    images: dict[ImageExtractor, dict[ImageRef, None]] = {}
    compared: dict[PairExtractor, dict[tuple[ImageRef, ImageRef], None]] = {}
    for need in (need for protocol in protocols for need in protocol.needs()):
        if isinstance(need.extractor, PairExtractor):
            both = ((_image(row, need.roles[0]), _image(row, need.roles[1])) for row in pairs)
            compared.setdefault(need.extractor, {}).update(
                {(a, b): None for a, b in both if a is not None and b is not None}
            )
        elif isinstance(need.extractor, ImageExtractor):
            refs = _role_images(pairs, need.roles[0], reference)
            images.setdefault(need.extractor, {}).update(dict.fromkeys(refs))
    return Plan({e: tuple(r) for e, r in images.items()}, {e: tuple(p) for e, p in compared.items()})


def _image(row: Any, role: Role) -> ImageRef | None:
    ref: ImageRef | None = getattr(row, role)
    return ref


def _role_images(pairs: Pairs, role: Role, reference: Sequence[ImageRef] | None) -> Sequence[ImageRef]:
    if role == "reference":
        return reference if reference is not None else pairs.unique("target")
    return pairs.unique(role)


class _PlanRecords(Records):
    """Records as protocols see them, read from an extraction."""

    def __init__(self, pairs: Pairs, reference: Sequence[ImageRef] | None, extraction: Extraction) -> None:
        self._pairs = pairs
        self._reference = reference
        self._extraction = extraction

    def per_pair(self, extractor: ImageExtractor | PairExtractor, *roles: Role) -> Results:
        keys = [tuple(_image(row, role) or Missing(f"no {role} image") for role in roles) for row in self._pairs]

        def read(refs: tuple[ImageRef | Missing, ...]) -> Result:
            present = [ref for ref in refs if not isinstance(ref, Missing)]
            if len(present) < len(refs):
                return next(ref for ref in refs if isinstance(ref, Missing))
            if isinstance(extractor, PairExtractor):
                return self._extraction.pair(extractor, present[0], present[1])
            return self._extraction.image(extractor, present[0])

        return Results(keys, read)

    def unique(self, extractor: ImageExtractor, role: Role) -> Results:
        return Results(
            self._keys(role), lambda ref: ref if isinstance(ref, Missing) else self._extraction.image(extractor, ref)
        )

    def unique_groups(self, role: Role) -> Sequence[Hashable]:
        items = {}
        for row in self._pairs:
            ref = _image(row, role) if role != "reference" else row.target
            if ref is not None:
                items[ref] = row.item or row.pair
        return [self._group(ref, items) for ref in self._keys(role)]

    def reference(self) -> str:
        if self._reference is None:
            return "unique targets of the evaluated pairs"
        return "the folder given with --reference"

    def reference_content(self) -> str | None:
        """A hash of the bytes of all reference images."""
        return content_hash(_role_images(self._pairs, "reference", self._reference), self._extraction)

    def _keys(self, role: Role) -> list[ImageRef | Missing]:
        refs: list[ImageRef | Missing] = list(_role_images(self._pairs, role, self._reference))
        if role == "generated":
            refs += [Missing("no generated image") for row in self._pairs if row.generated is None]
        return refs

    @staticmethod
    def _group(ref: ImageRef | Missing, items: Mapping[ImageRef, str]) -> Hashable:
        if isinstance(ref, Missing):
            return ref.reason
        name = parse_deepfashion(ref.name)
        return items.get(ref) or (name.item if name else ref.name)


def content_hash(refs: Iterable[ImageRef], extraction: Extraction) -> str:
    """Hash of the names and bytes of images; the same on every machine and in every folder."""
    digest = hashlib.sha256()
    for ref in sorted(refs, key=lambda r: r.name):
        digest.update(f"{ref.name}\0{extraction.content(ref)}\n".encode())
    return digest.hexdigest()


def _empty_run(
    pairs: Pairs,
    protocols: Sequence[Protocol],
    prepared: Prepared,
    extraction: Extraction,
    records: _PlanRecords,
    name: str,
    profile: Profile,
    engine: Engine,
) -> Run:
    report = pairs.report
    targets = pairs.unique("target")
    record = RunRecord(
        name=name,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        profile=profile,
        pairs=PairsRecord(
            hash=pairs.hash,
            content=content_hash(targets, extraction) if targets else None,
            naming=pairs.naming,
            total=len(pairs),
            matched=report.matched,
            missing=list(report.missing),
            extra=list(report.extra),
            ambiguous=list(report.ambiguous),
            duplicate=list(report.duplicate),
        ),
        images=_images_record(pairs, prepared.plan, extraction),
        protocols=[
            ProtocolRecord(
                name=protocol.name,
                group=protocol.group,
                status="unavailable" if protocol in prepared.unavailable else "pending",
                reason=prepared.unavailable.get(protocol),
                recipe=_recipe(protocol, records),
                extractors={need.extractor.id: need.extractor.fingerprint(engine.device) for need in protocol.needs()},
            )
            for protocol in protocols
        ],
        environment=describe_environment(engine.device),
        seconds={},
        warnings=list(extraction.warnings),
    )
    return Run(record, pairs.table, pd.DataFrame(columns=["metric", "pair", "reason"]))


def _recipe(protocol: Protocol, records: _PlanRecords) -> Recipe:
    needs = protocol.needs()
    return Recipe(
        protocol=protocol.name,
        version=protocol.version,
        parameters=protocol.parameters(),
        weights={w.name: w.sha256 for need in needs for w in need.extractor.weights()},
        reference=records.reference_content() if any("reference" in need.roles for need in needs) else None,
    )


def _images_record(pairs: Pairs, plan: Plan, extraction: Extraction) -> ImagesRecord:
    read = set(plan.refs())
    sizes: dict[str, dict[str, int]] = {}
    notes: Counter[str] = Counter()
    unreadable = {}
    seen: set[ImageRef] = set()
    roles: dict[str, Sequence[ImageRef]] = {r: pairs.unique(r) for r in ("generated", "target", "source")}
    known = {ref for refs in roles.values() for ref in refs}
    roles["reference"] = [ref for ref in plan.refs() if ref not in known]
    for role, refs in roles.items():
        counts: Counter[str] = Counter()
        for ref in refs:
            if ref not in read:
                continue
            info = extraction.info(ref)
            if isinstance(info, Missing):
                unreadable[str(ref.path)] = info.reason.removeprefix("unreadable: ")
                continue
            counts[f"{info.width}×{info.height}"] += 1
            if ref not in seen:
                notes.update(info.notes)
                seen.add(ref)
        if counts:
            sizes[role] = dict(counts.most_common())
    return ImagesRecord(sizes=sizes, notes=dict(sorted(notes.items())), unreadable=unreadable)


def _score(run: Run, protocol: Protocol, pairs: Pairs, records: Records, extraction: Extraction) -> Run:
    started = time.monotonic()
    scores: list[Score] = []
    score_records: list[ScoreRecord] = []
    status, reason = "done", None
    errors = [extraction.broken[n.extractor] for n in protocol.needs() if n.extractor in extraction.broken]
    if errors:
        status = "unavailable" if isinstance(errors[0], UserError) else "failed"
        reason = str(errors[0]) if status == "unavailable" else _bug(errors[0])
    else:
        try:
            scores = protocol.score(pairs, records)
            _check(scores, run)
            score_records = [score_record(score) for score in scores]
        except Unscorable as error:
            status, reason = "unavailable", str(error)
        except Exception as error:  # noqa: BLE001 - a stranger's protocol must not take the others with it
            scores, score_records = [], []
            status, reason = "failed", _bug(error)
    changes = {
        "status": status,
        "reason": reason,
        "seconds": round(time.monotonic() - started, 3),
        "scores": score_records,
    }
    identity = (protocol.name, protocol.parameters())
    protocol_records = [
        old.model_copy(update=changes) if (old.name, old.recipe.parameters) == identity else old
        for old in run.record.protocols
    ]
    warnings = [*run.record.warnings, *(w for score in scores for w in score.warnings)]
    per_pair, missing = add_per_pair(run.per_pair, run.missing, scores)
    return Run(run.record.model_copy(update={"protocols": protocol_records, "warnings": warnings}), per_pair, missing)


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
