"""Parts of a plan: together the whole, of one size, and each target with its pairs in one part."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from toys import Difference, MeanColour

from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.sharding import Shard
from fhpt_eval.errors import UserError
from fhpt_eval.images.decoding import ImageRef


def ref(name: str, folder: str = "real") -> ImageRef:
    return ImageRef(Path(folder) / name, name=name)


def plan_of(targets: int, seed: int = 0, real: str = "real") -> Plan:
    """Each target stands in one to seven pairs; sources are looked at, too, and some are targets as well."""
    chance = random.Random(seed)
    pairs = [
        (ref(f"{target}_{number}", "mine"), ref(f"{target}", real))
        for target in range(targets)
        for number in range(chance.randint(1, 7))
    ]
    sources = [ref(f"{number}", real) for number in range(targets // 2, targets * 2)]
    every = dict.fromkeys([image for pair in pairs for image in pair])
    bright = MeanColour()
    return Plan({bright: (*every, *sources[targets:])}, {Difference(): tuple(pairs)}, hashed=(ref("hashed"),))


@pytest.mark.parametrize("count", [1, 2, 3, 16, 500])
def test_parts_are_together_the_whole_and_share_nothing(count: int) -> None:
    plan = plan_of(100)
    parts = [Shard(index, count).of(plan) for index in range(1, count + 1)]
    images = [image for part in parts for images in part.images.values() for image in images]
    pairs = [pair for part in parts for both in part.pairs.values() for pair in both]
    (all_images,), (all_pairs,) = plan.images.values(), plan.pairs.values()
    assert len(images) == len(all_images)
    assert {*images} == {*all_images}
    assert len(pairs) == len(all_pairs)
    assert {*pairs} == {*all_pairs}
    read = [image for part in parts for image in part.refs()]
    assert len(read) == len({*read})
    assert not any(part.hashed for part in parts)


def test_a_target_is_in_one_part_with_all_that_is_compared_with_it() -> None:
    plan = plan_of(200)
    (all_pairs,) = plan.pairs.values()
    for index in range(1, 9):
        part = Shard(index, 8).of(plan)
        (pairs,) = part.pairs.values()
        targets = {target for _, target in pairs}
        assert {pair for pair in all_pairs if pair[1] in targets} == {*pairs}


@pytest.mark.parametrize("count", [2, 7, 16])
def test_parts_are_equal_in_size_within_a_few_per_cent(count: int) -> None:
    plan = plan_of(2000)
    parts = [Shard(index, count).of(plan) for index in range(1, count + 1)]
    for sizes in (
        [len(part.refs()) for part in parts],
        [sum(map(len, part.pairs.values())) for part in parts],
        [sum(map(len, part.images.values())) for part in parts],
    ):
        assert max(sizes) <= 1.03 * min(sizes)


def test_parts_do_not_depend_on_the_order_of_a_plan_nor_on_where_folders_lie() -> None:
    plan = plan_of(100)
    other = plan_of(100, real="/another/place")
    turned = Plan(
        {extractor: refs[::-1] for extractor, refs in plan.images.items()},
        {extractor: pairs[::-1] for extractor, pairs in plan.pairs.items()},
    )
    for index in range(1, 6):
        names = {image.name for image in Shard(index, 5).of(plan).refs()}
        assert {image.name for image in Shard(index, 5).of(turned).refs()} == names
        assert {image.name for image in Shard(index, 5).of(other).refs()} == names


def test_an_image_that_is_compared_with_two_is_in_one_part_alone_and_its_pairs_in_theirs() -> None:
    one, a, b = ref("one", "mine"), ref("a"), ref("b")
    plan = Plan({MeanColour(): (one, a, b)}, {Difference(): ((one, b), (one, a))})
    parts = [Shard(index, 2).of(plan) for index in (1, 2)]
    assert {next(iter(part.images.values())) for part in parts} == {(b,), (one, a)}
    assert {pair for part in parts for pair in part.pairs[Difference()]} == {(one, a), (one, b)}


def test_a_part_of_nothing_is_empty() -> None:
    assert Shard(3, 3).of(Plan({}, {})) == Plan({}, {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("3", "write for example 3/16"),
        ("0/4", "parts count from 1, so that the last of 4 is 4/4"),
        ("5/4", "parts count from 1"),
        ("1/0", "parts count from 1"),
        ("-1/4", "write for example"),
        ("1/4/2", "write for example"),
        ("٣/٤", "write for example"),
        ("1/99999999999", "write for example"),
    ],
)
def test_what_is_no_part_is_one_sentence(text: str, told: str) -> None:
    with pytest.raises(UserError, match=f"--shard .*{told}"):
        Shard.parse(text)


def test_a_part_is_written_as_it_is_read() -> None:
    assert str(Shard.parse("03/16")) == "3/16"
