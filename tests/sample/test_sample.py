"""The sample that comes with the package is whole, and can be made again."""

from __future__ import annotations

import hashlib
import io
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic.toy_people import TOY

from fhpt_eval.datasets.lists import read_list_of_pairs
from fhpt_eval.pairing.naming import parse_deepfashion
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.sample import ANNOTATION, IMAGES, PAIRS, RECIPE, SAMPLE, TRUTH, some_pairs
from fhpt_eval.sample.build import build
from fhpt_eval.synthetic.dataset import make
from fhpt_eval.synthetic.rendering import Shoot, find_renderer
from fhpt_eval.synthetic.shots import plan_shots
from fhpt_eval.synthetic.truth import VISIBLE, Truth

TRUTHS = [truth for line in (SAMPLE / TRUTH).read_bytes().splitlines() if (truth := Truth.parse(line))]


def test_every_image_is_there_as_it_was_rendered_and_no_other() -> None:
    files = {path.relative_to(SAMPLE / IMAGES).as_posix() for path in (SAMPLE / IMAGES).rglob("*") if path.is_file()}
    assert files == {truth.name for truth in TRUTHS}
    assert len(files) == 144
    for truth in TRUTHS:
        content = (SAMPLE / IMAGES / truth.name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == truth.sha256["img"]
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (176, 256))
            image.load()
    assert len({truth.identity for truth in TRUTHS}) == 24
    assert {truth.split for truth in TRUTHS} == {"test"}


def test_pairs_lead_to_images_of_one_person_in_one_outfit() -> None:
    truths = {truth.name: truth for truth in TRUTHS}
    pairs = read_list_of_pairs(SAMPLE / PAIRS, "--pairs").pairs
    assert len(set(pairs)) == 288
    for source, target in pairs:
        assert source.name != target.name
        assert truths[source.name].item == truths[target.name].item == source.shows.item


def test_annotations_are_the_truth_that_is_seen() -> None:
    files = KeypointFiles.at(SAMPLE / ANNOTATION)
    assert len(files.records) == len(TRUTHS)
    for truth in TRUTHS:
        key = files.key(truth.name)
        assert key is not None
        body, known = files.records[key]["body"], np.array(truth.body)
        seen = known[:, 2] == VISIBLE
        assert seen.any()
        np.testing.assert_array_equal(body[:, 2] == 1, seen)
        assert np.abs(body[seen, :2] - 0.5 - known[seen, :2]).max() <= 0.5


def test_it_is_small_enough_for_a_package() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) <= 6_000_000


def test_the_recipe_makes_the_images_again(tmp_path: Path) -> None:
    pytest.importorskip("embreex", reason="rays need embreex, the extra [synthetic]")
    recipe = json.loads((SAMPLE / RECIPE).read_bytes())
    renderer, seed = find_renderer(), recipe["seed"]
    shots = plan_shots(partial(renderer.sample_identity, seed), recipe["identities"], recipe["views"], seed)
    height, width = map(int, recipe["size"].split("x"))
    shoot = Shoot(renderer, tmp_path, seed, (height, width))
    by_name = {shot.name: shot for shot in shots if shot.split == "test"}
    for name in (TRUTHS[0].name, TRUTHS[-1].name):
        shoot.make(by_name[name])
        again, before = (_pixels(folder / IMAGES / name) for folder in (tmp_path, SAMPLE))
        # Bytes are equal on the machine that made them. Elsewhere sums are rounded otherwise: a few grey levels, and a
        # ray in many thousands meets the other side of an edge.
        difference = np.abs(again - before)
        assert difference.mean() < 0.1
        assert (difference <= 4).mean() > 0.998


def _pixels(file: Path) -> np.ndarray:
    with Image.open(file) as image:
        return np.asarray(image).astype(int)


def test_a_sample_is_built_of_the_test_split_of_any_data_set(tmp_path: Path) -> None:
    options = {"identities": 4, "views": 5, "seed": 3, "size": (48, 32), "workers": 1, "renderer": TOY}
    make(tmp_path / "set", **options)  # type: ignore[arg-type]
    measured = tmp_path / "measured.txt"
    measured.write_text("body: mean error: 3 px\n  nose: 2 px\n", encoding="utf-8")
    for _ in range(2):
        build(tmp_path / "set", measured, tmp_path / "sample")
    rows = (tmp_path / "sample" / TRUTH).read_text().splitlines()
    assert rows == [row for row in (tmp_path / "set" / TRUTH).read_text().splitlines() if '"split":"test"' in row]
    images = [path for path in (tmp_path / "sample" / IMAGES).rglob("*.jpg") if parse_deepfashion(path.as_posix())]
    assert len(images) == len(rows) == 5
    card = (tmp_path / "sample" / "README.md").read_text()
    assert "5 images of 1 people" in card
    assert "| body: mean error | 3 px |\n| nose | 2 px |\n" in card
    assert "--identities 4 --views 5 --seed 3 --size 48x32" in card


@pytest.mark.parametrize("count", [1, 24, 72, 288])
def test_a_part_of_the_pairs_shows_all_people_alike_and_is_in_every_larger_part(count: int) -> None:
    header, *rows = some_pairs(count).splitlines()
    everything = (SAMPLE / PAIRS).read_text(encoding="utf-8").splitlines()
    assert header == everything[0]
    assert len(set(rows)) == count
    assert set(rows) <= set(everything[1:])
    assert some_pairs(288).splitlines()[1 : count + 1] == rows
    people = [row.split(",")[2] for row in rows]
    assert len(set(people)) == min(count, 24)
    assert max(map(people.count, people)) - min(map(people.count, people)) <= 1
