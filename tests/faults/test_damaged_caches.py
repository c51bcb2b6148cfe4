"""A cache of which anything was changed costs time, but no score and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from processes import reports

if TYPE_CHECKING:
    from conftest import Draw


def test_a_damaged_cache_costs_time_but_no_score(draw: Draw, times: Callable[[int, int], int]) -> None:
    draw("mine", "abcdefghij", seed=1)
    draw("real", "abcdefghij", seed=2)
    caches = reports({"cache": times(50, 1000)}, ["l1"])
    assert [cache for cache in caches if cache["info"] not in {0, 2, 3} or cache["run"] != 0] == []
    for cache in caches:
        assert Path(cache["out"], "per_pair.csv").read_bytes() == Path("whole/per_pair.csv").read_bytes()
