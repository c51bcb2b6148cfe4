"""What must be known of runs before their numbers are read: killed, partial, given twice, of one name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import ProtocolRecord
from fhpt_eval.measuring.protocol import FEW, one_of


def once(runs: Iterable[Run]) -> tuple[list[Run], list[str]]:
    """Return the runs without those that were given twice, and a sentence for each of these."""
    kept: list[Run] = []
    told: dict[str, None] = {}
    for run in runs:
        if any(run.record == other.record and run.per_pair.equals(other.per_pair) for other in kept):
            told[f"{run.record.name} was given twice and stands here once"] = None
        else:
            kept.append(run)
    return kept, list(told)


def of_one_name(runs: Iterable[Run]) -> list[str]:
    """Return a sentence for each name that several runs have."""
    names = Counter(run.record.name for run in runs)
    return [f"{n} runs are called '{name}': run them with another --name" for name, n in names.items() if n > 1]


def of_the_same_images(runs: Iterable[Run]) -> list[str]:
    """Return a sentence for each generated folder that several runs of a block are of, as far as records tell."""
    alike: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        if run.record.pairs.generated is not None:
            alike.setdefault((run.record.pairs.hash, run.record.pairs.generated), []).append(run.record.name)
    return [f"{', '.join(names[:-1])} and {names[-1]} are the same images" for names in alike.values() if names[1:]]


def remarks_of(run: Run) -> list[str]:
    """Return why a run is not all that it could be; nothing where it is."""
    record = run.record
    lines = []
    for status, told in (
        ("pending", "killed, or still running: without {}"),
        ("failed", "failed: {}"),
        ("unavailable", "not measured: {}"),
    ):
        if members := [protocol for protocol in record.protocols if protocol.status == status]:
            lines.append(told.format(_named(members, reasons=status == "failed")))
    counts = {
        "pairs without an image": len(record.pairs.missing),
        "ambiguous pairs": len(record.pairs.ambiguous),
        "unreadable images": len(record.images.unreadable),
        "images left out": len(record.images.left_out),
    }
    lines += [f"{count} {what}" for what, count in counts.items() if count]
    few = [score for score in run.scores.values() if score.details.get("few_items")]
    if few:
        counts_of_items = sorted({int(str(score.details["interval_items"])) for score in few})
        items = " to ".join(str(n) for n in dict.fromkeys((counts_of_items[0], counts_of_items[-1])))
        of = f"{len(few)} metrics" if len(few) > 1 else few[0].metric
        one = one_of(str(few[0].details["interval_over"]))
        told = f"few {one}s ({items}): 95 % intervals of {of} {FEW}"
        lines.append(told if counts_of_items[-1] > 1 else f"one {one}: no 95 % intervals of {of}")
    return lines + record.doubts


def _named(protocols: Sequence[ProtocolRecord], *, reasons: bool) -> str:
    return "; ".join(f"{p.label} ({p.reason})" if reasons and p.reason else p.label for p in protocols)
