"""What is held of decoded images is bounded in bytes, whatever the batch size."""

from __future__ import annotations

from pathlib import Path

import pytest
from toys import write_image

from fhpt_eval.engine import stream
from fhpt_eval.engine.contract import DECODING, Work
from fhpt_eval.engine.opening import hash_file
from fhpt_eval.extract.extractor import PairExtractor
from fhpt_eval.extract.pixels import StructuralSimilarity
from fhpt_eval.images.decoding import ImageRef, size_of
from fhpt_eval.images.geometry import Geometry


def work_on(folder: Path, count: int) -> Work:
    refs = [ImageRef(write_image(folder / f"{index}.png", index)) for index in range(count)]
    files = {str(hash_file(ref.path)): ref for ref in refs}
    keys = list(files)
    half = Geometry.parse("crop(left=0, top=0, width=4, height=2)")
    pairs: dict[PairExtractor, tuple[tuple[str, str], ...]] = {
        StructuralSimilarity(first_geometry=half): ((keys[0], keys[1]),)
    }
    return Work(files, {}, pairs, {}, sizes={key: size_of(ref) for key, ref in files.items()})


def test_an_image_takes_its_decoding_and_its_code(tmp_path: Path) -> None:
    work = work_on(tmp_path, 3)
    pixels = {key: width * height for key, (width, height) in work.sizes.items()}
    first, second, alone = work.files
    assert work.memory() == {
        first: pixels[first] * DECODING + 4 * 2 * 72,
        second: pixels[second] * (DECODING + 72),
        alone: pixels[alone] * DECODING,
    }


def test_an_image_in_two_pairs_is_shown_once_in_each_geometry() -> None:
    half = Geometry.parse("crop(left=0, top=0, width=4, height=2)")
    alike, unlike = StructuralSimilarity(), StructuralSimilarity(first_geometry=half)
    both = (("a", "b"), ("b", "c"), ("b", "a"))
    work = Work({}, {}, {alike: both, unlike: both}, {}, sizes=dict.fromkeys("ab", (8, 6)))
    shown = [*work.shown()]
    assert sorted((key, pixels) for extractor, key, pixels in shown if extractor == alike) == [("a", 48), ("b", 48)]
    of_unlike = sorted((key, pixels) for extractor, key, pixels in shown if extractor == unlike)
    assert of_unlike == [("a", 8), ("a", 48), ("b", 8), ("b", 48)]


@pytest.mark.parametrize(("room", "at_most"), [(0, 1), (1.2, 4), (100, 5)])
def test_batches_hold_no_more_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: float, at_most: int
) -> None:
    work = work_on(tmp_path, 7)
    monkeypatch.setattr(stream, "AT_ONCE", room * max(work.memory().values()))
    found = list(stream.batches(work, size=5))
    assert [key for batch in found for key in batch.keys] == list(work.files)
    assert max(len(batch.keys) for batch in found) <= at_most
    taken = work.memory()
    assert all(batch.bytes == sum(taken[key] for key in batch.keys) for batch in found)
    assert all(len(batch.keys) == 1 or batch.bytes <= stream.AT_ONCE for batch in found)
    if room == 100:
        assert [len(batch.keys) for batch in found] == [5, 2]
