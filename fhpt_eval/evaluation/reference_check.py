"""Whether a file of a reference set is what it says: a stranger may have made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fhpt_eval.evaluation.image_list import set_hash
from fhpt_eval.evaluation.reference_record import Features, ReferenceRecord
from fhpt_eval.maths.singular import eigen
from fhpt_eval.maths.statistics import Floats, GaussianStats
from fhpt_eval.text import unsafe

NAMES, CONTENTS = "names", "contents"
"""The images' names as JSON, and the SHA-256 of each file, in one order."""

_BLOCK = 4096
"""Rows in memory at once."""

_NOISE = 1e-9
"""How far below 0 rounding may bring an eigenvalue, in parts of the largest."""

_OFF = {"float32": 1e-6, "float16": 1e-3}
"""How far features as they are kept may be from those that the statistics were computed of, in parts of them."""

_STATED = {"name": str, "version": int, "parameters": dict, "weights": dict}
"""What the recipe of every extractor says."""
_KNOWN = {"libraries": dict, "decoding": int, "device": str}
"""What it says besides where features were computed by this package."""


class Stored(NamedTuple):
    """An array of the file, or one that is to be written.

    Attributes:
        dtype: As NumPy calls it.
        shape: Of all of it.
        rows: The array, or what reads rows of the file: both take a slice.
    """

    dtype: str
    shape: tuple[int, ...]
    rows: Any

    def whole(self) -> npt.NDArray[Any]:
        """Return all of it."""
        found: npt.NDArray[Any] = self.rows[:]
        return found

    def blocks(self, end: int | None = None) -> Iterator[npt.NDArray[Any]]:
        """Yield up to so many rows, some at a time."""
        last = self.shape[0] if end is None else min(end, self.shape[0])
        for start in range(0, last, _BLOCK):
            yield self.rows[start : min(start + _BLOCK, last)]


def in_memory(arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, Stored]:
    """Return arrays in memory as they would stand in a file."""
    return {name: Stored(str(array.dtype), array.shape, array) for name, array in arrays.items()}


def in_file(opened: Any) -> dict[str, Stored]:
    """Return the arrays of an open safetensors file; nothing of them is read."""
    dtypes = {"U8": "uint8", "F64": "float64", "F32": "float32", "F16": "float16"}
    slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    return {
        name: Stored(dtypes.get(rows.get_dtype(), rows.get_dtype()), tuple(rows.get_shape()), rows)
        for name, rows in slices.items()
    }


def hash_of(arrays: Mapping[str, Stored]) -> str:
    """Hash arrays in the order of their names: name, type, shape and content."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {list(array.shape)}\n".encode())
        for block in array.blocks():
            digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()


def _expected(record: ReferenceRecord) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """Return type and shape of each array; a side is None where it can be any."""
    found: dict[str, tuple[str, tuple[int | None, ...]]] = {}
    if record.stated is None:
        found[NAMES] = "uint8", (None,)
        found[CONTENTS] = "uint8", (record.images or 0, 32)
    for index, kept in enumerate(record.features):
        for n in kept.statistics:
            found[f"{index}.{n}.mean"] = "float64", (kept.dim,)
            # `GaussianStats` keeps few as they are, less their mean.
            keeps_rows = record.stated is None and n <= kept.dim
            name, rows = ("centred", n) if keeps_rows else ("scatter", kept.dim)
            found[f"{index}.{n}.{name}"] = "float64", (rows, kept.dim)
        if kept.each is not None:
            found[f"{index}.each"] = kept.each, (kept.n or 0, kept.dim)
    return found


def check(arrays: Mapping[str, Stored], record: ReferenceRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return names and contents of the images.

    Raises:
        ValueError: The file contradicts itself; says how.
    """
    _check_extractors(record)
    expected = _expected(record)
    if arrays.keys() != expected.keys():
        odd = min(arrays.keys() ^ expected.keys())
        raise ValueError(f"its card and its arrays do not fit (array '{odd}')")
    for name, (dtype, shape) in expected.items():
        own = arrays[name]
        fits = len(own.shape) == len(shape) and all(
            side and want in {None, side} for side, want in zip(own.shape, shape, strict=True)
        )
        if own.dtype != dtype or not fits:
            raise ValueError(f"its array '{name}' is {own.dtype} {own.shape} instead of {dtype} {shape}")
    if hash_of(arrays) != record.tensors:
        raise ValueError("its arrays are not those that were written (their hash is another)")
    names, contents = _images(arrays, record)
    for index, kept in enumerate(record.features):
        for n in kept.statistics:
            _check_statistics(arrays, index, kept, n)
        if kept.each is not None:
            _check_features(arrays, index, kept, stated=record.stated is not None)
    return names, contents


def _check_extractors(record: ReferenceRecord) -> None:
    seen = set()
    for kept in record.features:
        for field, kind in {**_STATED, **_KNOWN}.items():
            optional = record.stated is not None and field in _KNOWN and field not in kept.recipe
            if not optional and not isinstance(kept.recipe.get(field), kind):
                raise ValueError(f"the recipe of its {kept.extractor} does not tell {field}")
        # As `same_extractor` tells them apart.
        key = json.dumps([kept.recipe["name"], kept.recipe["parameters"], kept.feature], sort_keys=True)
        if key in seen or len({*kept.statistics}) < len(kept.statistics):
            raise ValueError(f"it says twice what it has of {kept.extractor}")
        seen.add(key)
        _check_counts(record, kept)


def _images(arrays: Mapping[str, Stored], record: ReferenceRecord) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if record.stated is not None:
        if record.content is not None:
            raise ValueError("it says what images it is of, and that nothing tells them")
        return (), ()
    try:
        names = json.loads(arrays[NAMES].whole().tobytes())
    except (ValueError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) and not unsafe(name) for name in names):
        raise ValueError("its list of names cannot be read")
    contents = tuple(row.tobytes().hex() for row in arrays[CONTENTS].whole())
    if record.images != len(names):
        raise ValueError(f"it has {len(names)} names of {record.images} images")
    if len({*zip(names, contents, strict=True)}) < len(names):
        raise ValueError("it lists an image twice")
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
    if any((n == 0) != (kept.n is None) or n == 1 or not 0 <= n <= (kept.n or 0) for n in kept.statistics):
        raise ValueError(f"it has statistics of {kept.statistics} of {kept.n} images")
    if kept.each is not None and kept.n is None:
        raise ValueError(f"it has features of {kept.extractor}, and does not tell of how many images")
    if not kept.statistics and kept.each is None:
        raise ValueError(f"it keeps nothing of {kept.extractor}")


def _check_statistics(arrays: Mapping[str, Stored], index: int, kept: Features, n: int) -> None:
    where = f"statistics of {kept.extractor}"
    stats = restored(arrays, index, n)
    centred, scatter = stats.centred, stats.scatter
    if not all(np.isfinite(values).all() for values in (stats.mean, centred, scatter) if values is not None):
        raise ValueError(f"its {where} hold NaN or infinite values")
    if scatter is not None:
        _require_covariance(scatter, where)
    if centred is not None and np.abs(centred.mean(axis=0)).max() > _NOISE * max(1.0, np.abs(centred).max()):
        raise ValueError(f"its {where} are not about their mean")


def restored(arrays: Mapping[str, Stored], index: int, n: int) -> GaussianStats:
    """Return the statistics of the first ``n`` features of an extractor."""
    mean = arrays[f"{index}.{n}.mean"].whole()
    if (centred := arrays.get(f"{index}.{n}.centred")) is not None:
        return GaussianStats.restored(n, mean, centred=centred.whole())
    # Of a count that nothing tells, the sum is the covariance itself, as it would be of two.
    return GaussianStats.restored(n or 2, mean, scatter=arrays[f"{index}.{n}.scatter"].whole())


def _require_covariance(matrix: Floats, where: str) -> None:
    """Refuse what is no covariance times a number.

    Raises:
        ValueError: It is not symmetric, or has negative eigenvalues.
    """
    largest = float(np.abs(matrix).max())
    if np.abs(matrix - matrix.T).max() > _NOISE * largest:
        raise ValueError(f"the covariance of its {where} is not symmetric")
    if float(eigen(matrix)[0].min()) < -_NOISE * largest * len(matrix):
        raise ValueError(f"the covariance of its {where} has a negative eigenvalue")


def _check_features(arrays: Mapping[str, Stored], index: int, kept: Features, *, stated: bool) -> None:
    """Refuse features that are not finite, or are not those that the statistics are of.

    Compared are mean and standard deviation of each feature. All covariances would take some 15 s of two cores for
    101,966 images of 2048 features, and the deviations tell other features, and scaled ones.
    """
    each = arrays[f"{index}.each"]
    if not all(np.isfinite(block).all() for block in each.blocks()):
        raise ValueError(f"its features of {kept.extractor} hold NaN or infinite values")
    for n in kept.statistics:
        off = _OFF[kept.each or "float32"]
        if stated:
            # Others take the mean of float32 as float32. NumPy then adds row after row, and n rows can be off by
            # n / 2²⁴; of real features it is 1e-5. Another set of that size is off by more.
            off = min(max(1e-3, n / 2**24), 1e-2)
        stats = restored(arrays, index, n)
        centred = stats.centred
        beside, total = np.zeros(kept.dim), np.zeros(kept.dim)
        # Of absurd statistics, squares are infinite or NaN, which is nowhere close.
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.diagonal(np.asarray(stats.scatter)) if centred is None else np.square(centred).sum(axis=0)
            for block in each.blocks(n):
                apart = block - stats.mean
                beside += apart.sum(axis=0) / n
                total += np.square(apart).sum(axis=0) / n
            own = np.sqrt(np.clip(total - beside**2, 0, None))
            close = off * np.maximum(1e-3, np.hypot(stats.mean + beside, own))
            differences = {"mean": beside, "deviation": own - np.sqrt(np.clip(squares / n, 0, None))}
        for what, difference in differences.items():
            if not (np.abs(difference) <= close).all():
                raise ValueError(f"the {what} of its features of {kept.extractor} is not that of its statistics")
