"""Making a file of a reference set from statistics that pytorch-fid or clean-fid wrote."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.reference_check import require_covariance
from fhpt_eval.evaluation.reference_making import Made, card
from fhpt_eval.evaluation.reference_record import Features
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.measuring.reference_features import ReferenceNeed

_FORMAT: Any = np.lib.format
"""Of ``.npy``, without types."""

_MOST_ROWS = 4_000_000
"""Features of so many images, 33 GB, are the most that are read from a file from elsewhere."""


def use_npz(files: Sequence[Path], need: ReferenceNeed, images: int | None) -> Made:
    """Take over statistics that pytorch-fid or clean-fid wrote.

    Args:
        files: ``.npz`` with ``mu`` and ``sigma``, with ``feats``, or both in one or two files.
        need: Whose features they are said to be.
        images: Of how many images, where the user knows.

    Raises:
        UserError: They are something else, or contradict what is said of them.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    for file in files:
        found |= _read_npz(file, need.dim)
    if found.keys() not in ({"mu", "sigma"}, {"feats"}, {"mu", "sigma", "feats"}):
        raise UserError(f"{_named(files)} has {' and '.join(sorted(found))}: mu goes with sigma, give both.")
    arrays: dict[str, npt.NDArray[Any]] = {}
    n = images
    if "feats" in found:
        if images not in {None, len(found["feats"])}:
            raise UserError(f"--images {images}: {_named(files)} has features of {len(found['feats'])} images.")
        n = len(found["feats"])
        arrays["0.each"] = found["feats"].astype(np.float32)
    counts = []
    if "mu" in found:
        sigma = found["sigma"].astype(np.float64)
        try:
            require_covariance(sigma, "statistics")
        except ValueError as error:
            raise UserError(f"{_named(files)} cannot be used, {error}: ask who made it.") from None
        counts = [n or 0]
        arrays[f"0.{n or 0}.mean"] = found["mu"].astype(np.float64)
        arrays[f"0.{n or 0}.scatter"] = sigma if n is None else sigma * (n - 1)
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
    return Made(card(arrays, [kept], images=n, stated=_named(files)), arrays)


def _named(files: Sequence[Path]) -> str:
    return " and ".join(file.name for file in files)


def _read_npz(file: Path, dim: int) -> dict[str, npt.NDArray[Any]]:
    shapes: dict[str, tuple[int | None, ...]] = {"mu": (dim,), "sigma": (dim, dim), "feats": (None, dim)}
    found = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for name in shapes:
                if f"{name}.npy" in archive.namelist():
                    with archive.open(f"{name}.npy") as stream:
                        _require_shape(stream, file, name, shapes[name])
                    with archive.open(f"{name}.npy") as stream:
                        found[name] = _FORMAT.read_array(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        why = (isinstance(error, OSError) and error.strerror) or "it is damaged, or no such file"
        raise UserError(f"{file} cannot be read ({why}): give what pytorch-fid or clean-fid wrote (.npz).") from None
    if not found:
        raise UserError(f"{file} has neither mu and sigma nor feats: give what pytorch-fid or clean-fid wrote (.npz).")
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise UserError(f"{file} cannot be used, {name} holds NaN or infinite values: ask who made it.")
    return found


def _require_shape(stream: Any, file: Path, name: str, expected: tuple[int | None, ...]) -> None:
    """Refuse what is not of the network's dimension before it is unpacked.

    Raises:
        UserError: It is something else.
        ValueError: It cannot be read.
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
    if not 2 <= shape[0] <= _MOST_ROWS:
        raise UserError(f"{file} cannot be used, {name} is of {shape[0]} images: it takes 2 to {_MOST_ROWS}.")
