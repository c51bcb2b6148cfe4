"""What comes out of the cache is what safetensors' own reader gives, whatever went in."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load

from fhpt_eval.engine.serialising import dump, parse
from fhpt_eval.records import Missing, Record

TYPES = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]


def record(seed: int) -> Record:
    rng = np.random.default_rng(seed)
    arrays = {}
    for index in range(rng.integers(1, 7)):
        shape = tuple(rng.integers(0, 5, rng.integers(0, 4)))
        arrays[f"n{index}é"] = np.asarray(rng.normal(size=shape) * 40).astype(rng.choice(TYPES))
    return arrays


@pytest.mark.parametrize("seed", range(60))
def test_records_are_read_as_safetensors_reads_them(seed: int) -> None:
    given = record(seed)
    data = dump(given)
    # As it lies in the cache: at an odd place.
    found, reference = parse(memoryview(b"seal" + data)[4:]), load(data[1:])
    assert not isinstance(found, Missing)
    assert {*found} == {*reference} == {*given}
    for name, array in found.items():
        assert (array.dtype, array.shape) == (reference[name].dtype, reference[name].shape)
        assert array.tobytes() == reference[name].tobytes() == given[name].tobytes()
        assert array.flags.aligned
        assert array.flags.writeable
        assert array.flags.c_contiguous


def test_a_record_that_is_changed_changes_no_other() -> None:
    data = dump({"a": np.zeros(3)})
    first, second = parse(data), parse(data)
    assert not isinstance(first, Missing)
    assert not isinstance(second, Missing)
    first["a"][:] = 1
    assert not second["a"].any()


def test_what_is_missing_is_read_with_its_reason() -> None:
    assert parse(memoryview(dump(Missing("kein Gesicht, ≥ 1", "finding")))) == Missing("kein Gesicht, ≥ 1", "finding")
