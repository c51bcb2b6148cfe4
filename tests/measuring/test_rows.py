"""Features as sums read them: what is there, in order, and never all of it in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.maths.keypoints import PARTS
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import UNIQUE_TARGETS, Protocol, Records, Results
from fhpt_eval.measuring.rows import PresentRows
from fhpt_eval.pairing.pairs import Pair, PairReport, Pairs
from fhpt_eval.protocols import kec
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.protocols.inception_score import InceptionScore
from fhpt_eval.protocols.kec import Kec
from fhpt_eval.protocols.kid import Kid
from fhpt_eval.protocols.pckh import Pckh
from fhpt_eval.records import Missing, Record, Result

LOST = Missing("unreadable")


def record(i: int) -> Result:
    return LOST if i % 3 == 1 else {"features": np.array([i, 10 * i], dtype=np.float32), "other": np.zeros(9)}


def test_rows_are_those_that_are_there_in_order() -> None:
    rows = PresentRows(Results(range(8), record), "features")
    assert len(rows) == 5
    assert [row.tolist() for row in rows] == [[0, 0], [2, 20], [3, 30], [5, 50], [6, 60]]
    assert rows.missing == [LOST] * 3
    assert rows.there.tolist() == [True, False, True, True, False, True, True, False]


def test_some_rows_are_float64_and_come_as_they_are_asked_for() -> None:
    rows = PresentRows(Results(range(8), record), "features")
    some = rows[np.array([4, 0, 4])]
    assert some.dtype == np.float64
    assert some.tolist() == [[6, 60], [0, 0], [6, 60]]


def test_values_of_rows_are_spread_over_all_results() -> None:
    rows = PresentRows(Results(range(5), record), "features")
    assert rows.spread(np.array([1.0, 2.0, 3.0])).tolist() == [1, 0, 2, 3, 0]


class MadeUp(Records):
    """Records of so many pairs that are made as they are read."""

    def __init__(self, count: int, make: Callable[[int], Result]) -> None:
        self._count = count
        self._make = make

    def per_pair(self, extractor: Any, *roles: Any) -> Results:
        first = 0 if roles[0] == "generated" else self._count
        return Results(range(first, first + self._count), self._make)

    def unique(self, extractor: Any, role: Any) -> Results:
        return self.per_pair(extractor, role)

    def unique_groups(self, role: Any) -> Sequence[Hashable]:
        return range(self._count)

    def reference(self) -> str:
        return UNIQUE_TARGETS

    @property
    def given(self) -> Given:
        return Given()


def pairs_of(count: int) -> Pairs:
    names = [f"{i:05}" for i in range(count)]
    refs = [(ImageRef(Path("mine") / name, name=name), ImageRef(Path("real") / name, name=name)) for name in names]
    rows = tuple(Pair(name, *both, None) for name, both in zip(names, refs, strict=True))
    return Pairs(rows, PairReport(count), "same-name")


VECTORS = np.random.default_rng(0).standard_normal((64, 1008)).astype(np.float32)


def vectors(i: int) -> Record:
    row = VECTORS[i % 64] + np.float32(i)
    return {"features": row[:384], "logits": row}


def person(i: int) -> Record:
    random = np.random.default_rng(i)
    points: dict[str, Any] = {
        part: (random.random((len(names), 3)) * 99).astype(np.float32) for part, names in PARTS.items()
    }
    return {"size": np.array([176, 256]), **points}


def peak(protocol: Protocol, count: int, make: Callable[[int], Result]) -> int:
    """Bytes that scoring takes at most, beside the pairs."""
    pairs, records = pairs_of(count), MadeUp(count, make)
    pairs.unique("target")
    protocol.score(pairs, records)
    tracemalloc.start()
    try:
        assert protocol.score(pairs, records)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


POINTS = sum(map(len, PARTS.values()))


@pytest.mark.parametrize(
    ("protocol", "make", "of_a_pair", "allowed"),
    [
        (Fid(network="dinov2-vits14", extrapolate=2), vectors, 2 * 384 * 4, 0.5),
        (Kid(network="dinov2-vits14", subsets=2, subset_size=50), vectors, 2 * 384 * 4, 0.2),
        (InceptionScore(splits=1), vectors, 1008 * 4, 0.2),
        # The run keeps 32 bytes of a point; records would be as much again, and rows of five numbers more.
        (Kec(), person, POINTS * 32, 1.3),
        (Pckh(), person, len(PARTS["body"]) * 56, 1.6),
    ],
    ids=["fid", "kid", "is", "kec", "pckh"],
)
def test_scoring_holds_none_of_the_features_of_all_images(
    protocol: Protocol, make: Callable[[int], Record], of_a_pair: int, allowed: float
) -> None:
    few, many = 2100, 4200
    grown = (peak(protocol, many, make) - peak(protocol, few, make)) / (many - few)
    assert grown < allowed * of_a_pair


def test_keypoints_are_the_same_however_many_pairs_are_folded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for at_once in (1000, 2, 1):
        monkeypatch.setattr(kec, "_PAIRS", at_once)
        scores = Kec().score(pairs_of(5), MadeUp(5, person))
        found.append([(s.value, s.details, {name: a.tolist() for name, a in s.arrays.items()}) for s in scores])
    assert found[0] == found[1] == found[2]
    assert max(found[0][0][2]["pair"]) == 4
