"""Making a file of a reference set from statistics that pytorch-fid or clean-fid wrote."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.reference_check import check, in_memory
from fhpt_eval.evaluation.reference_making import Made, card
from fhpt_eval.evaluation.reference_record import Features
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.files.regular import open_regular
from fhpt_eval.files.remote import path_at
from fhpt_eval.measuring.reference_features import ReferenceNeed

_FORMAT: Any = np.lib.format
"""Of ``.npy``, without types."""

_KEPT_AS = {"mu": np.float64, "sigma": np.float64, "feats": np.float32}

_MOST_BYTES = 2**34
"""An array that is larger is not read: 17 GB are the features of a million images, 2048 in float64. A small file can
unpack to any size."""

_HEAD = 2**14
"""Bytes at the beginning of an array that tell its shape; NumPy reads no more than 10,000."""


def use_npz(files: Sequence[Path], need: ReferenceNeed, images: int | None) -> Made:
    """Take over statistics that pytorch-fid or clean-fid wrote.

    Args:
        files: ``.npz`` with ``mu`` and ``sigma``, with ``feats``, or both in one or two files; also at an address.
        need: Whose features they are said to be.
        images: Of how many images, where the user knows.

    Raises:
        UserError: They are something else, or contradict each other or what is said of them.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    for file in files:
        found |= _read_npz(path_at(file), need.dim)
    if found.keys() not in ({"mu", "sigma"}, {"feats"}, {"mu", "sigma", "feats"}):
        raise UserError(f"{_named(files)} has {' and '.join(sorted(found))}: mu goes with sigma, give both.")
    arrays: dict[str, npt.NDArray[Any]] = {}
    n = images
    if "feats" in found:
        if images not in {None, len(found["feats"])}:
            raise UserError(f"--images {images}: {_named(files)} has features of {len(found['feats'])} images.")
        n = len(found["feats"])
        arrays["0.each"] = found["feats"]
    counts = []
    if "mu" in found:
        counts = [n or 0]
        arrays[f"0.{n or 0}.mean"] = found["mu"]
        arrays[f"0.{n or 0}.scatter"] = found["sigma"] if n is None else found["sigma"] * (n - 1)
    recipe = need.extractor.recipe(Numerics())
    kept = Features(
        extractor=need.extractor.id,
        recipe={key: recipe[key] for key in ("name", "version", "parameters", "weights")},
        feature=need.feature,
        dim=need.dim,
        n=n,
        lacking=[],
        statistics=counts,
        each="float32" if "feats" in found else None,
    )
    record = card(arrays, [kept], images=n, stated=_named(files))
    try:
        check(in_memory(arrays), record)
    except ValueError as error:
        raise UserError(f"{_named(files)} cannot be used, {error}: ask who made it.") from None
    return Made(record, arrays)


def _named(files: Sequence[Path]) -> str:
    return " and ".join(file.name for file in files)


def _read_npz(file: Path, dim: int) -> dict[str, npt.NDArray[Any]]:
    shapes: dict[str, tuple[int | None, ...]] = {"mu": (dim,), "sigma": (dim, dim), "feats": (None, dim)}
    why = "it is damaged, or no such file"
    found = None
    try:
        with open_regular(file) as stream, zipfile.ZipFile(stream) as archive:
            there = [name for name in shapes if f"{name}.npy" in archive.namelist()]
            found = {name: _read_array(archive, file, name, shapes[name]) for name in there}
    except (UserError, MemoryError):
        raise
    except OSError as error:
        why = error.strerror or why
    except Exception:  # noqa: BLE001, S110 - zipfile, what unpacks and NumPy's parser have each errors of their own
        pass
    if found is None:
        raise UserError(f"{file} cannot be read ({why}): give what pytorch-fid or clean-fid wrote (.npz).")
    if not found:
        raise UserError(f"{file} has neither mu and sigma nor feats: give what pytorch-fid or clean-fid wrote (.npz).")
    return found


def _read_array(archive: zipfile.ZipFile, file: Path, name: str, expected: tuple[int | None, ...]) -> npt.NDArray[Any]:
    """Return an array as it is kept.

    Raises:
        UserError: It is something else, or has values that cannot be kept.
        Exception: It cannot be read.
    """
    with archive.open(f"{name}.npy") as stream:
        _require_shape(io.BytesIO(stream.read(_HEAD)), file, name, expected)
    with archive.open(f"{name}.npy") as stream:
        array = _FORMAT.read_array(stream, allow_pickle=False)
    with np.errstate(over="ignore"):
        kept: npt.NDArray[Any] = array.astype(_KEPT_AS[name])
    if not np.isfinite(kept).all():
        what = "values that are too large" if np.isfinite(array).all() else "NaN or infinite values"
        raise UserError(f"{file} cannot be used, {name} holds {what}: ask who made it.")
    return kept


def _require_shape(stream: Any, file: Path, name: str, expected: tuple[int | None, ...]) -> None:
    """Refuse what is not of the network's dimension, or too large, before it is unpacked.

    Raises:
        UserError: It is something else.
        Exception: It cannot be read.
    """
    major, _ = _FORMAT.read_magic(stream)
    read = _FORMAT.read_array_header_1_0 if major == 1 else _FORMAT.read_array_header_2_0
    shape, _, dtype = read(stream)
    fits = len(shape) == len(expected) and all(want in {None, got} for got, want in zip(shape, expected, strict=True))
    if dtype.kind != "f" or not fits:
        wanted = "×".join("n" if side is None else str(side) for side in expected)
        is_ = f"{dtype} of {'×'.join(map(str, shape)) or 'no shape'}"
        raise UserError(
            f"{file} cannot be used, {name} is {is_} instead of floats of {wanted}: state another --network."
        )
    if shape[0] < 2:
        raise UserError(f"{file} cannot be used, {name} is of {shape[0]} images: a set has at least 2.")
    if math.prod(shape) * dtype.itemsize > _MOST_BYTES:
        raise UserError(
            f"{file} cannot be used, {name} would take {math.prod(shape) * dtype.itemsize / 1e9:.0f} GB of memory, more"
            f" than {_MOST_BYTES / 1e9:.0f}: give mu and sigma alone, or features of fewer images."
        )
