from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fhpt_eval.reporting.figures.gallery import Cell, draw_gallery
from fhpt_eval.reporting.figures.style import save_figure


def test_a_row_a_pair_and_a_headed_column_a_method_to_the_pixel(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 44, 3), dtype=np.uint8)
    columns = zip(("source", "model"), ([Cell(picture) for picture in pictures] for pictures in noise), strict=True)
    figure = draw_gallery(dict(columns))
    save_figure(figure, tmp_path / "gallery.png", dpi=figure.dpi)
    with Image.open(tmp_path / "gallery.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape == (30 + 3 * 64 + 2 * 8, 2 * 44 + 8, 3)
    assert (pixels[:20] < 128).any(), "no headings"
    for column, pictures in enumerate(noise):
        for row, expected in enumerate(pictures):
            left, top = column * 52, 30 + row * 72
            np.testing.assert_array_equal(pixels[top : top + 64, left : left + 44], expected)
