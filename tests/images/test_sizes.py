"""Steps of a geometry that leave the pictures as they are: found from headers, and left out, so that work is shared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys import write_image

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.plan import ImageSets, prepare
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.extract.pixels import PixelDifference
from fhpt_eval.extract.weights import Store
from fhpt_eval.images.decoding import ImageRef, read_image, size_of
from fhpt_eval.images.geometry import FILTERS, Geometry
from fhpt_eval.images.sizes import common_size
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.protocols.psnr import Psnr


def both(text: str) -> dict[str, Any]:
    return dict.fromkeys(("generated_geometry", "target_geometry"), Geometry.parse(text))


def images(folder: Path, *sizes: tuple[int, int]) -> ImageSets:
    for i, size in enumerate(sizes):
        write_image(folder / "real" / f"{i}.png", i, size)
        write_image(folder / "mine" / f"{i}.png", 50 + i, size)
    return ImageSets(Pairs.from_folders(folder / "mine", folder / "real"))


@pytest.mark.parametrize("name", FILTERS)
def test_resizing_to_the_size_that_is_there_changes_nothing(name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (37, 29, 3), dtype=np.uint8)
    geometry = Geometry.parse(f"resize(width=29, height=37, filter={name})")
    assert (geometry.apply(pixels) == pixels).all()
    assert geometry.on(29, 37) == Geometry()
    assert geometry.on(37, 29) == geometry


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("expect(width=24, height=32) > pad(width=40, height=40)", "pad(width=40, height=40, colour=white)"),
        ("centre-crop(width=24, height=32) > crop(left=0, top=0, width=24, height=32)", "native"),
        ("crop(left=1, top=0, width=24, height=32)", "crop(left=1, top=0, width=24, height=32)"),
        ("expect(width=32, height=24)", "expect(width=32, height=24)"),
        (
            "jpeg > pad(width=24, height=32)",
            "jpeg(quality=75, subsampling=4:2:0) > pad(width=24, height=32, colour=white)",
        ),
    ],
)
def test_only_first_steps_that_leave_the_picture_are_left_out(text: str, left: str) -> None:
    assert str(Geometry.parse(text).on(24, 32)) == left


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_of_a_header_is_that_of_the_picture(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "a.jpg"
    Image.new("RGB", (24, 32)).save(file, exif=exif)
    height, width, _ = read_image(ImageRef(file)).shape
    assert size_of(ImageRef(file)) == (width, height)


def test_a_panel_has_its_share_of_the_width(tmp_path: Path) -> None:
    file = write_image(tmp_path / "strip.png", 0, (72, 32))
    refs = [ImageRef(file, panel, 3) for panel in range(3)]
    assert common_size(refs) == (24, 32)
    assert common_size([*refs, ImageRef(file)]) is None
    assert common_size([ImageRef(file, 0, 5)]) is None
    assert common_size([ImageRef(tmp_path / "no.png")]) is None
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert common_size([ImageRef(tmp_path / "broken.png")]) is None


def test_what_differs_in_nothing_is_computed_once(tmp_path: Path) -> None:
    found = images(tmp_path, (24, 32), (24, 32))
    protocols = [L1(), L1(**both("expect(width=24, height=32)")), Psnr(**both("pad(width=24, height=32)"))]
    plan = prepare(found, protocols, Store(offline=True)).plan
    assert [extractor.id for extractor in plan.extractors()] == ["pixel-difference"]
    steps = [Measurement(p, dialect="x", metric=str(i)) for i, p in enumerate(protocols)]
    with Cache(tmp_path / "cache") as cache:
        run = evaluate(found.pairs, steps, engine=open_engine("local", cache, device="cpu"))
    assert run.scores["x:0"].value == run.scores["x:1"].value
    assert run.record.protocols[1].recipe.parameters["generated_geometry"] == "expect(width=24, height=32)"
    # The record names the extractor that ran, and not the one that was asked for.
    ran = PixelDifference()
    assert all(p.extractors == {ran.id: ran.fingerprint(Numerics())} for p in run.record.protocols)


def test_nothing_is_left_out_where_sizes_differ(tmp_path: Path) -> None:
    found = images(tmp_path, (24, 32), (32, 32))
    protocols = [L1(), L1(**both("expect(width=24, height=32)"))]
    assert len(prepare(found, protocols, Store(offline=True)).plan.extractors()) == 2
    steps = [Measurement(p, dialect="x", metric=str(i)) for i, p in enumerate(protocols)]
    with Cache(tmp_path / "cache") as cache:
        run = evaluate(found.pairs, steps, engine=open_engine("local", cache, device="cpu"))
    assert run.scores["x:1"].n == 1
