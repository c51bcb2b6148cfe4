"""Whether a file of a reference set is what it says: a stranger may have made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fhpt_eval.evaluation.image_list import set_hash
from fhpt_eval.evaluation.reference_record import Features, ReferenceRecord
from fhpt_eval.maths.singular import eigen
from fhpt_eval.maths.statistics import Floats

NAMES, CONTENTS = "names", "contents"
"""The images' names as JSON, and the SHA-256 of each file, in one order."""

_BLOCK = 4096
"""Rows in memory at once."""

_NOISE = 1e-9
"""How far below 0 rounding may bring an eigenvalue, in parts of the largest."""


def tensors_hash(arrays: Iterable[tuple[str, str, Sequence[int], Iterable[npt.NDArray[Any]]]]) -> str:
    """Hash arrays, given in the order of their names: name, type, shape, and their content in blocks."""
    digest = hashlib.sha256()
    for name, dtype, shape, blocks in arrays:
        digest.update(f"{name} {dtype} {list(shape)}\n".encode())
        for block in blocks:
            digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()


def hash_of(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """Hash arrays in memory."""
    return tensors_hash((name, str(a.dtype), a.shape, blocks_of(a, None)) for name, a in sorted(arrays.items()))


def blocks_of(rows: Any, end: int | None) -> Iterator[npt.NDArray[Any]]:
    """Yield up to so many rows, some at a time, of an array in memory or of a slice of the file."""
    size = len(rows) if hasattr(rows, "__len__") else rows.get_shape()[0]
    last = size if end is None else min(end, size)
    for start in range(0, last, _BLOCK):
        yield rows[start : min(start + _BLOCK, last)]


def keeps_rows(record: ReferenceRecord, kept: Features, n: int) -> bool:
    """Whether statistics are the rows less their mean, as `GaussianStats` keeps few."""
    return record.stated is None and n <= kept.dim


def _expected(record: ReferenceRecord) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    """Return type and shape of each array; a shape is None where it can be any."""
    found: dict[str, tuple[str, tuple[int, ...] | None]] = {}
    if record.stated is None:
        found[NAMES] = "U8", None
        found[CONTENTS] = "U8", (record.images or 0, 32)
    for index, kept in enumerate(record.features):
        for n in kept.statistics:
            found[f"{index}.{n}.mean"] = "F64", (kept.dim,)
            name, rows = ("centred", n) if keeps_rows(record, kept, n) else ("scatter", kept.dim)
            found[f"{index}.{n}.{name}"] = "F64", (rows, kept.dim)
        if kept.each is not None:
            found[f"{index}.each"] = {"float32": "F32", "float16": "F16"}[kept.each], (kept.n or 0, kept.dim)
    return found


def check(arrays: Any, record: ReferenceRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names and contents of the images.

    Raises:
        ValueError: The file contradicts itself; says how.
    """
    expected = _expected(record)
    if set(arrays.keys()) != set(expected):
        odd = min({*arrays.keys()} ^ set(expected))
        raise ValueError(f"its card and its arrays do not fit (array '{odd}')")
    slices = {name: arrays.get_slice(name) for name in sorted(expected)}
    for name, (dtype, shape) in expected.items():
        own = slices[name].get_dtype(), tuple(slices[name].get_shape())
        if own[0] != dtype or (shape is not None and own[1] != shape) or (shape is None and len(own[1]) != 1):
            raise ValueError(f"its array '{name}' is {own[0]} {own[1]} instead of {dtype} {shape}")
    dtypes = {"U8": "uint8", "F64": "float64", "F32": "float32", "F16": "float16"}
    found = tensors_hash((n, dtypes[s.get_dtype()], s.get_shape(), blocks_of(s, None)) for n, s in slices.items())
    if found != record.tensors:
        raise ValueError("its arrays are not those that were written (their hash is another)")
    names, contents = _images(arrays, record)
    for index, kept in enumerate(record.features):
        _check_counts(record, kept)
        means = []
        for n in kept.statistics:
            _check_statistics(arrays, index, kept, n)
            if n in {kept.n, 0}:
                means.append(arrays.get_tensor(f"{index}.{n}.mean"))
        if kept.each is not None:
            _check_features(slices[f"{index}.each"], kept, means)
    return names, contents


def _images(arrays: Any, record: ReferenceRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if record.stated is not None:
        if record.content is not None:
            raise ValueError("it says what images it is of, and that nothing tells them")
        return (), ()
    try:
        names = json.loads(arrays.get_tensor(NAMES).tobytes())
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("its list of names cannot be read")
    contents = tuple(row.tobytes().hex() for row in arrays.get_tensor(CONTENTS))
    if record.images != len(names):
        raise ValueError(f"it has {len(names)} names of {record.images} images")
    if record.content is None or set_hash(contents) != record.content:
        raise ValueError("its hash of all images does not follow from those of each")
    return tuple(names), contents


def _check_counts(record: ReferenceRecord, kept: Features) -> None:
    numbers = {gap.image for gap in kept.lacking}
    there = None if kept.n is None else kept.n + len(numbers)
    if len(numbers) != len(kept.lacking) or there != record.images or any(i >= (there or 0) for i in numbers):
        raise ValueError(
            f"it says of {record.images} images that {kept.n} have {kept.feature} and {len(numbers)} lack it"
        )
    if any((n == 0) != (kept.n is None) or n == 1 or n > (kept.n or 0) for n in kept.statistics):
        raise ValueError(f"it has statistics of {kept.statistics} of {kept.n} images")
    if not kept.statistics and kept.each is None:
        raise ValueError(f"it keeps nothing of {kept.extractor}")


def _check_statistics(arrays: Any, index: int, kept: Features, n: int) -> None:
    where = f"statistics of {kept.extractor}"
    mean = arrays.get_tensor(f"{index}.{n}.mean")
    name = f"{index}.{n}.centred"
    spread = arrays.get_tensor(name if name in arrays.keys() else f"{index}.{n}.scatter")  # noqa: SIM118 - no mapping
    if not (np.isfinite(mean).all() and np.isfinite(spread).all()):
        raise ValueError(f"its {where} hold NaN or infinite values")
    if name in arrays.keys():  # noqa: SIM118 - no mapping
        if np.abs(spread.mean(axis=0)).max() > _NOISE * max(1.0, np.abs(spread).max()):
            raise ValueError(f"its {where} are not about their mean")
        return
    require_covariance(spread, where)


def require_covariance(matrix: Floats, where: str) -> None:
    """Refuse what is no covariance times a number.

    Raises:
        ValueError: It is not symmetric, or has negative eigenvalues.
    """
    largest = float(np.abs(matrix).max())
    if np.abs(matrix - matrix.T).max() > _NOISE * largest:
        raise ValueError(f"the covariance of its {where} is not symmetric")
    lowest = float(eigen(matrix)[0].min())
    if lowest < -_NOISE * largest * len(matrix):
        raise ValueError(f"the covariance of its {where} has a negative eigenvalue ({lowest:.3g})")


def _check_features(rows: Any, kept: Features, means: Sequence[Floats]) -> None:
    total = np.zeros(kept.dim)
    for block in blocks_of(rows, None):
        if not np.isfinite(block).all():
            raise ValueError(f"its features of {kept.extractor} hold NaN or infinite values")
        total += block.sum(axis=0, dtype=np.float64)
    found = total / (kept.n or 1)
    off = {"float32": 1e-6, "float16": 1e-3}[kept.each or "float32"]
    for mean in means:
        if np.abs(found - mean).max() > off * max(1e-3, np.abs(mean).max()):
            raise ValueError(f"the mean of its features of {kept.extractor} is not that of its statistics")
