"""How often the intervals of protocols cover, on made-up records of items that go together: docs/parity.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from toys import StubRecords

from fhpt_eval.extract.dlib_face import NO_FACE
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.measuring.protocol import Protocol, Records
from fhpt_eval.pairing.naming import Gender as Label
from fhpt_eval.pairing.pairs import Pair, PairReport, Pairs
from fhpt_eval.protocols.face_identity import FaceIdentity
from fhpt_eval.protocols.gender import Gender
from fhpt_eval.protocols.kec import Kec
from fhpt_eval.protocols.pckh import Pckh
from fhpt_eval.protocols.retrieval import Retrieval
from fhpt_eval.records import Record, Result, Role

Array = npt.NDArray[Any]


class Drawn(NamedTuple):
    """A data set and what was found in it."""

    pairs: Pairs
    records: Records


def items_of(random: np.random.Generator, items: int) -> npt.NDArray[np.intp]:
    """The item of each pair: 1 to 6 pairs an item."""
    return np.repeat(np.arange(items), random.integers(1, 7, items))


def table(item: npt.NDArray[np.intp], genders: Mapping[int, Label] | None = None) -> Pairs:
    rows = tuple(
        Pair(
            pair=f"{i}",
            generated=ImageRef(Path(f"g{i}"), name=f"g{i}"),
            target=ImageRef(Path(f"t{i}"), name=f"t{i}"),
            source=ImageRef(Path(f"s{i:05}"), name=f"s{i:05}"),
            item=f"item {k}",
            gender=None if genders is None else genders[k],
        )
        for i, k in enumerate(item.tolist())
    )
    return Pairs(rows, PairReport(len(rows)), "csv")


HEAD = np.array([[30, 30], [36, 38], [33, 31], [34, 32], [31, 33], [32, 34]])
"""Nose, neck, eyes and ears."""


def body(points: Array, found: Array) -> Record:
    record = {part: np.zeros((n, 3), np.float32) for part, n in (("body", 18), ("face", 68), ("hands", 42))}
    record["body"] = np.column_stack([points, found]).astype(np.float32)
    return {**record, "hands": record["hands"].reshape(2, 21, 3), "size": np.array([80, 100], np.int32)}


def people(random: np.random.Generator, items: int) -> Drawn:
    """Bodies whose joints are off by a distance that the item has, and of which some are lost, also whole ones."""
    item = items_of(random, items)
    off = random.gamma(1.5, 1.5, items)[item]
    generated, target = [], []
    for each in off:
        points = random.uniform(20, 60, (18, 2))
        points[[0, 1, 14, 15, 16, 17]] = HEAD
        there = random.random(18) < 0.8
        there[:2] = True
        target.append(body(points, there))
        drawn = random.random(18) < math.exp(-each / 10)
        generated.append(body(points + random.normal(0, each, (18, 2)), drawn & (random.random() > each / 40)))
    return Drawn(table(item), StubRecords({("generated",): generated, ("target",): target}))


def faces(random: np.random.Generator, items: int) -> Drawn:
    """Faces at a distance that the item has, of which some are lost and some targets show none."""
    item = items_of(random, items)
    apart = random.normal(0.55, 0.12, items)[item] + random.normal(0, 0.1, len(item))
    generated: list[Result] = []
    target: list[Result] = []
    for distance in apart:
        embedding = np.zeros(128)
        embedding[0] = max(distance, 0.05)
        face: Record = {"embedding": embedding, "faces": np.array(1, np.int32)}
        generated.append(face if random.random() > distance / 5 else NO_FACE)
        target.append({**face, "embedding": np.zeros(128)} if random.random() < 0.8 else NO_FACE)
    return Drawn(table(item), StubRecords({("generated",): generated, ("target",): target}))


def genders(random: np.random.Generator, items: int) -> Drawn:
    """Answers that are wrong for men more often than for women, of whom there are three times more."""
    item = items_of(random, items)
    of_item: dict[int, Label] = {k: "MEN" if k % 4 == 0 else "WOMEN" for k in range(items)}
    wrong = np.array([random.beta(0.6, 1.4) if of_item[k] == "MEN" else random.beta(0.2, 1.8) for k in range(items)])
    answers = [
        {"score": np.array((1.0 if of_item[k] == "WOMEN" else -1.0) * (-1 if random.random() < wrong[k] else 1))}
        for k in item.tolist()
    ]
    return Drawn(table(item, of_item), StubRecords({("generated",): answers}))


def galleries(random: np.random.Generator, items: int) -> Drawn:
    """Garments that look alike more or less, and generated images that are as good as the item lets them."""
    item = items_of(random, items)
    look = random.normal(size=(items, 6))[item]
    blur = random.gamma(2, 0.5, items)[item, None]
    generated, source = look + blur * random.normal(size=look.shape), look + 0.5 * random.normal(size=look.shape)
    # A source of its own for each pair, so that unique sources are those of the pairs.
    found: dict[tuple[Role, ...], list[Result]] = {
        ("generated",): [{"features": row} for row in generated],
        ("source",): [{"features": row} for row in source],
    }
    return Drawn(table(item), StubRecords(found))


def coverage(
    protocol: Protocol, draw: Callable[[np.random.Generator, int], Drawn], items: int, runs: int
) -> dict[str, float]:
    """How often the intervals have the mean of all runs, by metric."""
    random = np.random.default_rng(items)
    values: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(runs):
        drawn = draw(random, items)
        for score in protocol.score(drawn.pairs, drawn.records):
            if score.value is not None and score.interval is not None:
                values.setdefault(score.metric, []).append((score.value, *score.interval))
    found = {}
    for metric, rows in values.items():
        value, low, high = np.array(rows).T
        found[metric] = float(((low <= value.mean()) & (value.mean() <= high)).mean())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("items", [5, 20, 60])
@pytest.mark.parametrize(
    ("protocol", "draw", "metrics"),
    [
        (Pckh(), people, {"pckh"}),
        (Pckh(rule="box"), people, {"pckh_box"}),
        (Kec(), people, {"kec_auc_body", "kec_auc_body_detected", "kec_auc_body_normalised", "kec_found_body"}),
        (FaceIdentity(), faces, set(FaceIdentity.metrics)),
        (Gender(ceiling=False), genders, set(Gender.metrics)),
        (Retrieval(networks=("vgg16",), ceiling=False), galleries, {f"recall@{k}[vgg16]" for k in (3, 5, 10)}),
        (
            Retrieval(networks=("vgg16",), ceiling=False, recall="fraction", exclude="none"),
            galleries,
            {f"recall@{k}[vgg16]" for k in (3, 5, 10)},
        ),
    ],
    ids=["pckh", "pckh_box", "kec", "face", "gender", "recall", "fraction"],
)
def test_intervals_cover_what_all_data_sets_come_to(
    protocol: Protocol, draw: Callable[[np.random.Generator, int], Drawn], metrics: set[str], items: int
) -> None:
    runs = 200 if items < 60 else 80
    found = coverage(protocol, draw, items, runs)
    assert set(found) >= metrics
    # 92 %, less what so few runs cannot tell.
    assert min(found.values()) >= 0.92 - 2 * math.sqrt(0.92 * 0.08 / runs)
