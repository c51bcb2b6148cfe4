from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from fhpt_eval.images.borders import Borders, white_borders
from fhpt_eval.images.decoding import Rgb, decode


def framed(left: int, top: int, right: int, bottom: int, seed: int = 0) -> Rgb:
    inner = np.random.default_rng(seed).integers(0, 200, (64, 48, 3), dtype=np.uint8)
    return np.pad(inner, ((top, bottom), (left, right), (0, 0)), constant_values=255)


@pytest.mark.parametrize("sides", [(0, 0, 0, 0), (8, 0, 8, 0), (5, 3, 2, 9), (0, 0, 11, 0), (0, 7, 0, 0)])
def test_borders_are_counted_side_by_side(sides: tuple[int, int, int, int]) -> None:
    assert white_borders([framed(*sides)]) == sides


def test_only_what_all_pictures_have_is_a_border() -> None:
    assert white_borders([framed(8, 0, 8, 0), framed(5, 2, 9, 0, seed=1)]) == (5, 0, 8, 0)


def test_borders_survive_jpeg_and_a_light_grey_is_none() -> None:
    stream = io.BytesIO()
    Image.fromarray(framed(40, 0, 40, 0)).save(stream, "JPEG", quality=75)
    left, _, right, _ = white_borders([decode(stream.getvalue()).pixels])
    assert min(left, right) >= 32
    assert white_borders([np.full((9, 7, 3), 240, np.uint8)]) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("borders", "outer", "inner", "corner"),
    [
        ((40, 0, 40, 0), (256, 256), (176, 256), (40, 0)),
        ((60, 0, 60, 0), (256, 256), (176, 256), (40, 0)),
        ((80, 0, 0, 0), (256, 256), (176, 256), (80, 0)),
        ((0, 0, 80, 0), (256, 256), (176, 256), (0, 0)),
        ((30, 0, 70, 0), (256, 256), (176, 256), (30, 0)),
        ((39, 0, 40, 0), (256, 256), (176, 256), None),
        ((40, 0, 40, 0), (176, 256), (256, 256), None),
        ((10, 20, 10, 20), (120, 240), (100, 200), (10, 20)),
        ((10, 19, 10, 20), (120, 240), (100, 200), None),
    ],
)
def test_a_crop_lies_where_all_about_it_is_white(
    borders: tuple[int, int, int, int], outer: tuple[int, int], inner: tuple[int, int], corner: tuple[int, int] | None
) -> None:
    assert Borders(*borders).box(outer, inner) == corner
