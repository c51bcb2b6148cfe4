"""Pictures side by side."""

from __future__ import annotations

import numpy as np

from fhpt_eval.images.sheet import sheet


def test_pictures_of_any_sizes_stand_in_cells_of_one_size() -> None:
    wide, tall = np.full((2, 5, 3), 1, np.uint8), np.full((4, 3, 3), 2, np.uint8)
    made = sheet([[wide, tall], [tall, wide]])
    assert made.shape == (2 * (4 + 8), 2 * (5 + 8), 3)
    expected = np.full_like(made, 255)
    expected[4:6, 4:9] = 1
    expected[4:8, 17:20] = 2
    expected[16:20, 4:7] = 2
    expected[16:18, 17:22] = 1
    np.testing.assert_array_equal(made, expected)
