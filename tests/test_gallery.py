from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fhpt_eval.gallery import draw_gallery

RED, GREEN, BLUE, GREY = (200, 0, 0), (0, 200, 0), (0, 0, 200), (90, 90, 90)


def test_a_row_a_pair_and_a_headed_column_a_method(tmp_path: Path) -> None:
    def plain(colour: tuple[int, int, int]) -> np.ndarray:
        return np.full((64, 44, 3), colour, dtype=np.uint8)

    columns = {"source": [plain(RED), plain(GREEN), plain(RED)], "model": [plain(BLUE), plain(GREY), plain(GREY)]}
    draw_gallery(columns, tmp_path / "gallery.png")
    with Image.open(tmp_path / "gallery.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    heading = len(pixels) - 3 * 64 * pixels.shape[1] // 2 // 44
    assert (pixels[: heading // 2] < 128).any(), "no headings"
    height, width = (len(pixels) - heading) // 3, pixels.shape[1] // 2
    for column, pictures in enumerate(columns.values()):
        for row, expected in enumerate(pictures):
            shown = pixels[heading + row * height + height // 2, column * width + width // 2]
            assert tuple(shown) == tuple(expected[0, 0])
