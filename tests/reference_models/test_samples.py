"""What is read for the network: pictures once, whatever the number of pairs, in memory where they fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate

from fhpt_eval.errors import UserError
from fhpt_eval.generation.reference_model import Request
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.people.detection import Person
from fhpt_eval.reference_models.drn import resident
from fhpt_eval.reference_models.drn.resident import Resident, fits
from fhpt_eval.reference_models.drn.samples import BodyPairs, FacePairs, PairData, to_images, to_pixels


def requests(root: Path, count: int = 3) -> list[Request]:
    """All ordered pairs of so many pictures, 48 wide and 64 high."""
    random = np.random.default_rng(0)
    people = {}
    for number in range(count):
        path = root / f"{number}.png"
        Image.fromarray(random.integers(0, 256, (64, 48, 3), dtype=np.uint8)).save(path)
        points = np.concatenate([random.uniform(12, 36, (18 + 68, 2)), np.ones((18 + 68, 1))], axis=1)
        people[ImageRef(path)] = Person(body=points[:18], face=points[18:], face_box=(14, 14, 34, 34))
    return [Request(f"{a.name}{b.name}", a, b.name, b, people[a], people[b]) for a in people for b in people if a != b]


@pytest.mark.parametrize("kind", ["body", "face"])
def test_batches_from_memory_are_those_that_are_read_to_the_bit(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "_AT_ONCE", 2)
    pairs = requests(tmp_path)
    data: PairData = BodyPairs(pairs, (64, 48)) if kind == "body" else FacePairs(pairs)
    assert (len(data), len(data.pictures)) == (6, 3)
    done: list[tuple[int, int]] = []
    kept = Resident(data, "cpu", lambda _stage, now, total: done.append((now, total)))
    assert done == [(2, 3), (3, 3)]
    chosen = [4, 0, 4]
    read, batch = default_collate([data[i] for i in chosen]), kept.batch(torch.tensor(chosen))
    assert read.keys() == batch.keys()
    for name, tensor in read.items():
        assert batch[name].dtype == tensor.dtype
        assert torch.equal(batch[name], tensor), name


def test_a_pair_is_its_pictures_and_its_points(tmp_path: Path) -> None:
    pairs = requests(tmp_path)
    sample = BodyPairs(pairs, (64, 48))[1]
    with Image.open(pairs[1].source.path) as source, Image.open(tmp_path / pairs[1].target_name) as target:
        np.testing.assert_array_equal(sample["source_image"], np.asarray(source))
        np.testing.assert_array_equal(sample["target_image"], np.asarray(target))
    np.testing.assert_allclose(sample["source_body"], pairs[1].people[0].body, rtol=1e-6)
    np.testing.assert_allclose(sample["target_body"], pairs[1].people[1].body, rtol=1e-6)
    assert sum(t.nbytes for t in sample.values()) == 2 * (64 * 48 * 3 + 18 * 3 * 4)


def test_one_picture_with_two_people_is_two_pictures(tmp_path: Path) -> None:
    one, *others = requests(tmp_path)
    source = one.people[0]
    moved = replace(one, source_person=replace(source, body=source.body + 1))
    data = BodyPairs([one, moved, *others], (64, 48))
    assert len(data.pictures) == 4
    torch.testing.assert_close(data[1]["source_body"], data[0]["source_body"] + 1)


def test_what_does_not_fit_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = BodyPairs(requests(tmp_path), (64, 48))
    whole = 3 * (64 * 48 * 3 + 18 * 3 * 4)
    for free, expected in ((whole / resident.SHARE, True), (whole / resident.SHARE - 1, False), (0, False)):
        monkeypatch.setattr(resident, "free_memory", lambda _device, free=free: free)
        assert fits(data, "cpu") is expected


def test_free_memory_is_shared_by_the_processes_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "MemTotal: 9 kB\nMemAvailable:    2048 kB\n"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert resident.free_memory("cpu") == 2048 * 1024
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert resident.free_memory("cpu") == 1024 * 1024
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "MemTotal: 9 kB\n")
    assert resident.free_memory("cpu") == 0


def test_pictures_of_two_sizes_and_broken_ones_are_named(tmp_path: Path) -> None:
    pairs = requests(tmp_path)
    with pytest.raises(UserError, match=r"0\.png is 48×64 and others are 64×64"):
        Resident(BodyPairs(pairs, (64, 64)), "cpu")
    (tmp_path / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match=r"2\.png cannot be read"):
        Resident(BodyPairs(pairs, (64, 48)), "cpu")


def test_pixels_come_back_as_they_were() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).repeat(2, 3, 1)[..., None].expand(-1, -1, -1, 3)
    images = to_images(pixels)
    assert images.shape == (2, 3, 3, 256)
    assert (float(images.min()), float(images.max())) == (-1, 1)
    np.testing.assert_array_equal(to_pixels(images), pixels)
    np.testing.assert_array_equal(to_pixels(images[0] * 3)[..., 0][0, [0, 255]], [0, 255])
