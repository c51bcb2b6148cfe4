"""How two numbers agree: to the bit, within a tolerance, or not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fhpt_eval.measuring.dialects import find_dialects
from fhpt_eval.measuring.protocol import configure
from fhpt_eval.measuring.registry import PROFILES, find_protocols
from fhpt_eval.measuring.tolerance import Agreement, Tolerance

SAME, WITHIN, DIFFERS = Agreement.SAME, Agreement.WITHIN, Agreement.DIFFERS
TOLERANCE = Tolerance(absolute=0.01, relative=0.1)


@pytest.mark.parametrize(
    ("one", "other", "agreement"),
    [
        (1.0, 1.0, SAME),
        (math.nan, math.nan, SAME),
        (math.inf, math.inf, SAME),
        (10.0, 11.0, WITHIN),
        (11.2, 10.0, DIFFERS),
        (10.0, 11.2, DIFFERS),
        (0.0, 0.01, WITHIN),
        (0.0, 0.012, DIFFERS),
        (-0.004, 0.004, WITHIN),
        (math.nan, 1.0, DIFFERS),
        (math.inf, 1e300, DIFFERS),
        (math.inf, -math.inf, DIFFERS),
        (10, 11, DIFFERS),
        (1, 1.0, DIFFERS),
        (True, 1, DIFFERS),
        (None, 0.0, DIFFERS),
        ("items", "items", SAME),
        ("items", "pairs", DIFFERS),
        ([1.0, 2.0], [1.0, 2.1], WITHIN),
        ([1.0, 2.0], [1.0], DIFFERS),
        ({"a": {"b": 1.0}, "n": 3}, {"a": {"b": 1.05}, "n": 3}, WITHIN),
        ({"a": 1.0}, {"b": 1.0}, DIFFERS),
        ({}, {}, SAME),
    ],
)
def test_values_agree_as_json_has_them(one: Any, other: Any, agreement: Agreement) -> None:
    assert TOLERANCE.of_values(one, other) is agreement


def array(*values: float, dtype: Any = np.float64) -> np.ndarray:
    return np.array(values, dtype=dtype)


@pytest.mark.parametrize(
    ("one", "other", "agreement"),
    [
        (array(1, math.nan, math.inf), array(1, math.nan, math.inf), SAME),
        # A small number next to large ones is as exact as these are.
        (array(100, 0.1), array(100, 5), WITHIN),
        (array(100, 0.1), array(100, 12), DIFFERS),
        (array(1, math.nan), array(1, 1), DIFFERS),
        (array(1, 1), array(1, math.nan), DIFFERS),
        (array(1, 2), array(1, 2, 3), DIFFERS),
        (array(1, 2), array(1, 2, dtype=np.float32), DIFFERS),
        (array(1, 2, dtype=np.int32), array(1, 2, dtype=np.int32), SAME),
        (array(100, 2, dtype=np.int32), array(100, 3, dtype=np.int32), DIFFERS),
        (array(), array(), SAME),
    ],
)
def test_arrays_agree_by_their_largest_number(one: np.ndarray, other: np.ndarray, agreement: Agreement) -> None:
    assert TOLERANCE.of_arrays(one, other) is agreement


def test_arrays_have_a_share_of_their_own() -> None:
    wide = Tolerance(relative=1e-9, arrays=0.1)
    assert wide.of_arrays(array(1.0, 2.0), array(1.0, 2.1)) is WITHIN
    assert wide.of_numbers(2.0, 2.1) is DIFFERS


def test_every_protocol_has_a_tolerance_that_a_change_of_a_hundredth_exceeds() -> None:
    for protocol in find_protocols().classes.values():
        assert protocol.tolerance.of_numbers(1.0, 1.01) is DIFFERS
        assert protocol.tolerance.of_numbers(1.0, math.nextafter(1.0, 2)) is WITHIN


def test_a_recipe_gives_back_the_protocol_that_it_is_of() -> None:
    protocols = [configure(p, profile, {}) for p in find_protocols().classes.values() for profile in PROFILES]
    protocols += [m.protocol for d in find_dialects().values() if not d.refused for m in d.measurements()]
    assert len(protocols) > 100
    for protocol in protocols:
        assert configure(type(protocol), "paper", protocol.parameters()) == protocol
