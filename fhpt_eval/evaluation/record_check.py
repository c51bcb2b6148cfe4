"""Whether a record says of its pairs and protocols what is so: all that is neither an image nor a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import PER_PAIR, RECORD, ProtocolRecord

_KNOWN = ("item", "item_colour", "gender", "view")


def check_record(recorded: Run, found: Run, chosen: Sequence[ProtocolRecord]) -> Iterator[str]:
    """Yield what a record says that is not so here, a sentence each.

    Args:
        recorded: The run.
        found: The run that was made here.
        chosen: The protocols of the record whose numbers are looked at.
    """
    columns = [*_columns(recorded, found)]
    yield from columns
    mine, theirs = recorded.record.pairs, found.record.pairs
    if not columns and None not in (mine.known, theirs.known) and mine.known != theirs.known:
        yield f"{RECORD} has another hash of items, genders and views than its pairs"
    if mine.matched != theirs.matched:
        yield f"{mine.matched} pairs had all their files when it was recorded, {theirs.matched} have them here"
    for what in ("missing", "extra", "ambiguous", "duplicate"):
        then, now = getattr(mine, what), getattr(theirs, what)
        if then != now:
            first = next(
                iter([x for x in then if x not in now] or [x for x in now if x not in then]), "in another order"
            )
            yield f"what is {what} is not as recorded ({len(then)} recorded, {len(now)} here): {first}"
    for protocol in chosen:
        if protocol.status != "done":
            yield f"{protocol.label} has numbers, and is recorded as {protocol.status}"


def _columns(recorded: Run, found: Run) -> Iterator[str]:
    """Yield for each column of what is known of pairs the first pair of which another thing is recorded."""
    mine, theirs = (run.per_pair.set_index("pair") for run in (recorded, found))
    both = [pair for pair in mine.index if pair in theirs.index]
    for column in _KNOWN:
        for pair in both:
            one, other = mine.at[pair, column] or None, theirs.at[pair, column] or None
            if one != other:
                what = column.replace("_", " ")
                yield f"{PER_PAIR}: pair {pair} has the {what} {one or 'none'}, here {other or 'none'}: look at --pairs"
                break
