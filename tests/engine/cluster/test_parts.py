"""Cutting work into parts: each image and each pair once, whatever the sizes."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from toys import Difference, MeanColour

from fhpt_eval.engine.cluster.executor import fitting_cores
from fhpt_eval.engine.cluster.parts import Part, Parts, part_size
from fhpt_eval.engine.contract import PairOfKeys, Work
from fhpt_eval.images.decoding import ImageRef

MEAN, DIFFERENCE = MeanColour(), Difference()


def work_of(count: int, pairs: list[PairOfKeys], asked: list[str]) -> Work:
    files = {f"{i:03}": ImageRef(Path(f"{i}.png")) for i in range(count)}
    sizes = dict.fromkeys(files, (8, 8))
    return Work(files, {MEAN: frozenset(asked)}, {DIFFERENCE: tuple(pairs)}, {}, sizes=sizes)


@st.composite
def works(draw: st.DrawFn) -> Work:
    count = draw(st.integers(1, 40))
    key = st.integers(0, count - 1).map(lambda i: f"{i:03}")
    pairs = draw(st.lists(st.tuples(key, key), unique=True, max_size=60))
    return work_of(count, pairs, draw(st.lists(key, unique=True)))


def parts_of(work: Work, sizes: list[int]) -> list[Part]:
    parts, found, turn = Parts(work), [], 0
    while (part := parts.take(sizes[turn % len(sizes)])) is not None:
        found.append(part)
        turn += 1
    assert parts.left == 0
    return found


def asked(parts: list[Part]) -> tuple[list[str], list[PairOfKeys]]:
    images = sorted(key for part in parts for keys in part.work.images.values() for key in keys)
    return images, sorted(pair for part in parts for pairs in part.work.pairs.values() for pair in pairs)


@given(works(), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_parts_make_up_the_work(work: Work, sizes: list[int]) -> None:
    parts = parts_of(work, sizes)
    assert asked(parts) == (sorted(work.images[MEAN]), sorted(work.pairs[DIFFERENCE]))
    assert sum(part.images for part in parts) == len(work.files)
    assert {key for part in parts for key in part.work.files} == set(work.files)
    for part in parts:
        pairs = part.work.pairs.get(DIFFERENCE, ())
        assert part.work.sizes.keys() == part.work.files.keys()
        assert {key for pair in pairs for key in pair} | part.work.images.get(MEAN, frozenset()) <= set(part.work.files)
        assert part.images <= 2 * max(sizes)


@given(works())
def test_halves_make_up_a_part_down_to_one_image_or_one_pair(work: Work) -> None:
    (whole,) = parts_of(work, [1000])
    left = [whole]
    single: list[Part] = []
    while left:
        halves = left.pop().halves()
        if len(halves) == 1:
            single += halves
        else:
            left += halves
    assert asked(single) == asked([whole])
    assert sorted(key for part in single for key in part.own) == sorted(whole.own)
    for part in single:
        images, pairs = asked([part])
        assert len(part.own) + len(pairs) == 1
        assert set(images) <= set(part.own)


def test_images_of_one_target_stay_together() -> None:
    pairs = [(f"{i:03}", "000") for i in range(1, 6)] + [(f"{i:03}", "006") for i in range(7, 12)]
    parts = parts_of(work_of(12, pairs, []), [4])
    assert [list(part.work.files) for part in parts] == [
        [f"{i:03}" for i in range(6)],
        [f"{i:03}" for i in range(6, 12)],
    ]


def test_a_part_is_small_where_images_are_large() -> None:
    work = work_of(6, [], [])
    large = Work(work.files, work.images, {}, {}, sizes=dict.fromkeys(work.files, (6000, 4000)))
    assert [part.images for part in parts_of(large, [6])] == [1] * 6
    assert [part.images for part in parts_of(work, [6])] == [6]


def test_what_is_asked_about_some_images_comes_with_their_pairs() -> None:
    (whole,) = parts_of(work_of(4, [("000", "001"), ("002", "003")], ["000", "002"]), [9])
    again = whole.about(["001"])
    assert list(again.work.files) == ["000", "001"]
    assert (again.own, again.images) == (("001",), 0)
    assert asked([again]) == ([], [("000", "001")])


def test_parts_take_seconds_and_less_at_the_end() -> None:
    assert part_size(16, None, 10_000, 2) == 16
    assert part_size(16, 0.1, 10_000, 2) == 40
    assert part_size(16, 0.0001, 10_000, 2) == 512
    assert part_size(16, 0.1, 80, 2) == 10
    assert part_size(16, 0.1, 8, 2) == 2
    assert part_size(16, 100.0, 8, 2) == 1
    assert part_size(16, None, 8, 2) == 4


def test_cores_of_workers_leave_none_over() -> None:
    assert fitting_cores([64, 64]) == 4
    assert fitting_cores([6]) == 3
    assert fitting_cores([2]) == 2
    assert fitting_cores([1, 1]) == 1
    assert fitting_cores([9, 6]) == 3
    assert fitting_cores([7]) == 1
    assert fitting_cores([]) == 4
