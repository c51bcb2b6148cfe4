"""How numbers are shown."""

from __future__ import annotations

import pytest

from fhpt_eval.numbers import binary_size, decimals_of, fixed, number


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.75, 0.5], ["0.7500", "0.5000"]),
        ([9.87, 100.0], ["9.87", "100.00"]),
        ([9.87, 7.0], ["9.8700", "7.0000"]),
        ([1234.56, 1.0], ["1234.6", "1.0"]),
        ([-0.0027, 5.92e-4], ["-0.0027", "0.0006"]),
        ([5.92e-4, -1e-5], ["0.000592", "-0.000010"]),
        ([0.5, -1e-9], ["0.5000", "0.0000"]),
        ([2e-10], ["0.000000000200"]),
        ([1e-30], ["0.0000"]),
        ([0.0, None], ["0.0000", "–"]),
    ],
)
def test_values_that_stand_together_have_the_same_decimals(values: list[float | None], shown: list[str]) -> None:
    assert [fixed(value, decimals_of(values)) for value in values] == shown


def test_infinite_values_do_not_count_and_a_value_alone_has_its_own() -> None:
    assert decimals_of([float("inf"), float("nan"), 20.0]) == 2
    assert (number(20.0), number(None)) == ("20.00", "–")


def test_sizes_are_in_powers_of_1024() -> None:
    sizes = (0, 1023, 1024, 5 * 2**19, 20 * 2**30, 2**50)
    assert [binary_size(size) for size in sizes] == [
        *("0 bytes", "1023 bytes", "1.0 KiB", "2.5 MiB", "20.0 GiB", "1024.0 TiB")
    ]
