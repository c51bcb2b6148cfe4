"""Whether two runs are one evaluation, and what a record holds when protocols are added to it."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pandas as pd

from fhpt_eval.evaluation.image_list import ImageList
from fhpt_eval.evaluation.run_record import ImagesRecord, ProtocolRecord, RunRecord, StoredRun
from fhpt_eval.files.remote import path_at
from fhpt_eval.pairing.lists import PAIR_COLUMNS


def clash(earlier: StoredRun, now: RunRecord, *, planned: bool = False) -> str | None:
    """Return why a run cannot be added to an earlier one's record, as what that record is of; None where it can.

    Args:
        earlier: What has numbers.
        now: The run.
        planned: Nothing was decoded yet: what only decoding tells is not compared.
    """
    there, here = earlier.record.pairs, now.pairs
    if there.hash != here.hash:
        if there.total != here.total:
            return f"other pairs ({there.total} there, {here.total} here)"
        return "other pairs (as many, but with other names: look at --pairs, --naming and --source)"
    if there.generated != here.generated:
        return f"other generated images ({_origin(earlier)})"
    if there.content != here.content and not (planned and here.content is None):
        return "the same pairs with other target files"
    if None not in (there.known, here.known) and there.known != here.known:
        return "the same pairs with other items, genders or views"
    if earlier.record.profile != now.profile:
        return f"the profile {earlier.record.profile}"
    return _other_recipe(earlier.record, now, planned=planned)


def joined(earlier: StoredRun, now: StoredRun) -> StoredRun:
    """Return the record of both: what ``now`` has scores of, and of the rest what was there.

    Scores are replaced by others of the same protocol, but not by a failure and not where more images are missing.

    Args:
        earlier: What `clash` says nothing about.
        now: The run; returned as it is where nothing of the earlier one stays.
    """
    new = {protocol.label: protocol for protocol in now.record.protocols}
    kept = {p.label: p for p in earlier.record.protocols if p.measured and not _replaces(new.get(p.label), p)}
    if not kept:
        return now
    if not any(protocol.measured for label, protocol in new.items() if label not in kept):
        return earlier
    kept = {label: _moved(protocol, earlier.record, now.record) for label, protocol in kept.items()}
    order = dict.fromkeys([*(p.label for p in earlier.record.protocols), *new])
    protocols = [kept.get(label) or new[label] for label in order if label in kept or label in new]
    image_list = _image_list(earlier, now)
    record = now.record.model_copy(
        update={
            "protocols": protocols,
            "images": _images(earlier.record.images, now.record.images, image_list),
            "warnings": list(dict.fromkeys([*earlier.record.warnings, *now.record.warnings])),
            "doubts": list(dict.fromkeys([*earlier.record.doubts, *now.record.doubts])),
        }
    )
    theirs = {score.metric for protocol in kept.values() for score in protocol.scores}
    ours = {score.metric for label, p in new.items() if label not in kept for score in p.scores}
    gaps = [run.missing[run.missing["metric"].isin(of)] for run, of in ((earlier, theirs), (now, ours))]
    columns = [_columns(earlier, theirs), _columns(now, ours)]
    arrays = {m: a for run, of in ((earlier, theirs), (now, ours)) for m, a in run.arrays.items() if m in of}
    return StoredRun(
        record,
        pd.concat([_pairs(earlier, now), *columns], axis=1),
        pd.concat([gap for gap in gaps if not gap.empty] or gaps[:1], ignore_index=True),
        arrays,
        image_list,
    )


def _origin(run: StoredRun) -> str:
    """Return where the generated images of a run lay."""
    folders = {os.path.dirname(path) for path in run.per_pair["generated"] if path}  # noqa: PTH120 - text in, text out
    when = f"of {run.record.created}"
    return f"from {path_at(os.path.commonpath(folders))}, {when}" if folders else when


def _other_recipe(earlier: RunRecord, now: RunRecord, *, planned: bool) -> str | None:
    measured = {protocol.label: protocol for protocol in earlier.protocols if protocol.measured}
    metrics = {score.metric: label for label, protocol in measured.items() for score in protocol.scores}
    for protocol in now.protocols:
        before = measured.get(protocol.label)
        if before is not None:
            recipe = before.recipe
            if planned and protocol.recipe.reference is None:
                recipe = recipe.model_copy(update={"reference": None})
            if (what := protocol.recipe.difference(recipe)) is not None:
                return f"{protocol.label} by another recipe ({what})"
            if protocol.scores and _keypoints(before) != _keypoints(protocol):
                return f"{protocol.label} with other keypoints of generated images"
        for score in protocol.scores:
            if metrics.get(score.metric, protocol.label) != protocol.label:
                return f"{score.metric} as measured by {metrics[score.metric]}"
    return None


def _keypoints(protocol: ProtocolRecord) -> Iterable[object]:
    """Return what was given of the generated images, which the recipe does not tell."""
    return [score.details.get("generated_keypoints") for score in protocol.scores[:1]]


def _replaces(new: ProtocolRecord | None, old: ProtocolRecord) -> bool:
    return new is not None and new.measured and _faults(new) <= _faults(old)


def _faults(protocol: ProtocolRecord) -> int:
    return sum(score.faults for score in protocol.scores)


def _moved(protocol: ProtocolRecord, earlier: RunRecord, now: RunRecord) -> ProtocolRecord:
    """Return a protocol of the earlier record as the new one has it: with where and how it ran, if not the same."""
    environment = protocol.environment or earlier.environment
    command = (earlier.command or []) if protocol.command is None else protocol.command
    return protocol.model_copy(
        update={
            "environment": None if environment == now.environment else environment,
            "command": None if command == (now.command or []) else command,
        }
    )


def _image_list(earlier: StoredRun, now: StoredRun) -> ImageList | None:
    if earlier.image_list is None or now.image_list is None:
        return now.image_list
    return earlier.image_list.joined(now.image_list)


def _images(earlier: ImagesRecord, now: ImagesRecord, image_list: ImageList | None) -> ImagesRecord:
    """Return what decoding told in both: a run reads only the roles that its protocols need."""
    notes = {note: max(earlier.notes.get(note, 0), now.notes.get(note, 0)) for note in {**earlier.notes, **now.notes}}
    return ImagesRecord(
        sizes={**earlier.sizes, **now.sizes},
        notes=dict(sorted(notes.items())),
        unreadable={**earlier.unreadable, **now.unreadable},
        left_out={**earlier.left_out, **now.left_out},
        root=None if image_list is None else image_list.hash,
    )


def _pairs(earlier: StoredRun, now: StoredRun) -> pd.DataFrame:
    """Return the columns of the pairs; what was told of them once stays: a run may do without the sources."""
    told = now.per_pair[[*PAIR_COLUMNS]]
    whole: pd.DataFrame = told.where(told.notna(), earlier.per_pair[[*PAIR_COLUMNS]])
    return whole


def _columns(run: StoredRun, metrics: Iterable[str]) -> pd.DataFrame:
    wanted = set(metrics)
    table: pd.DataFrame = run.per_pair[[name for name in run.per_pair.columns if name in wanted]]
    return table
