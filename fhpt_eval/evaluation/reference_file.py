"""A reference set in one file: statistics and features instead of images, checked before they are used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.reference_check import Stored, check, in_file, restored
from fhpt_eval.evaluation.reference_record import (
    Features,
    ReferenceRecord,
    difference,
    first_of,
    remarks,
    same_extractor,
)
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.files.regular import open_regular
from fhpt_eval.files.remote import RemotePath, path_at
from fhpt_eval.files.tensors import CARD
from fhpt_eval.maths.statistics import Floats, GaussianStats
from fhpt_eval.measuring.protocol import Profile, Results, configure
from fhpt_eval.measuring.reference_features import ReferenceFeatures, ReferenceNeed
from fhpt_eval.measuring.registry import PROFILES, find_protocols
from fhpt_eval.records import Result

_BLOCK = 1 << 20
"""Bytes that are hashed at once."""


@dataclass(frozen=True, eq=False)
class ReferenceFile:
    """What `fhpt-eval reference make` or `use` wrote.

    Attributes:
        path: Where it lies.
        sha256: Of the file.
        record: What it says of itself.
        names: Of the images, in their order; empty where they are not known.
        contents: SHA-256 of each image's file.
    """

    path: Path
    sha256: str
    record: ReferenceRecord
    names: tuple[str, ...]
    contents: tuple[str, ...]
    _arrays: Mapping[str, Stored] = field(repr=False)

    @classmethod
    def at(cls, path: str | Path) -> ReferenceFile:
        """Read a file and check all that it says of itself.

        Raises:
            UserError: It is none, was changed, contradicts itself, or is at an address.
        """
        file = path_at(path)
        if isinstance(file, RemotePath):
            raise UserError(f"{file} is no folder, and the file of a reference set is read here only: copy it here.")
        instead = "give --reference a folder of images, or what `fhpt-eval reference make` or `use` wrote."
        try:
            with open_regular(file) as stream:
                digest = hashlib.sha256()
                while block := stream.read(_BLOCK):
                    digest.update(block)
                # By its number: at the path there may be another one by now.
                opened: Any = safe_open(f"/dev/fd/{stream.fileno()}", framework="numpy")
            card = json.loads((opened.metadata() or {}).get(CARD, ""))
        except OSError as error:
            raise UserError(f"{file} cannot be read ({error.strerror}): {instead}") from None
        except (SafetensorError, ValueError, RecursionError):
            raise UserError(f"{file} is no file of a reference set: {instead}") from None
        try:
            record = ReferenceRecord.model_validate_json(json.dumps(card))
            arrays = in_file(opened)
            names, contents = check(arrays, record)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            why = f"its card does not say what this fhpt-eval expects at '{where}' ({first['msg']})"
        except ValueError as error:
            why = str(error)
        else:
            return cls(file, digest.hexdigest(), record, names, contents, arrays)
        raise UserError(f"{file} cannot be used as a reference set, {why}: make it again, or ask who made it.")

    def why_not(self, need: ReferenceNeed, numerics: Numerics | None, protocol: str) -> str | None:
        """Return why a protocol cannot be computed with it, and what to make, in a sentence; None where it can.

        Args:
            need: Of the protocol.
            numerics: How the run computes; None where that is not known yet.
            protocol: Its name.
        """
        if (why := self._misfit(need, numerics, protocol)) is None:
            return None
        again = f"make the file again with --protocols {protocol} and this run's options"
        if (profile := self._fitting_profile(numerics, protocol)) is not None:
            again = f"give --profile {profile}, which it fits, or {again}"
        return f"{self.path} {why}; {again}."

    def _fitting_profile(self, numerics: Numerics | None, protocol: str) -> Profile | None:
        """Return the profile whose options the protocol can be computed with, if there is one."""
        if (kind := find_protocols().classes.get(protocol)) is None:
            return None
        for profile in PROFILES:
            need = configure(kind, profile, {}).reference_need()
            if need is not None and self._misfit(need, numerics, protocol) is None:
                return profile
        return None

    def _misfit(self, need: ReferenceNeed, numerics: Numerics | None, protocol: str) -> str | None:
        having = [f for f in self.record.features if f.recipe.get("name") == need.extractor.name] or [
            *self.record.features
        ]
        kept = next((f for f in having if same_extractor(f, need)), having[0])
        if (what := difference(kept.recipe, need.extractor, numerics)) is not None:
            return f"has features of another recipe: {what}"
        if (kept.feature, kept.dim) != (need.feature, need.dim):
            return f"has {kept.feature} of dimension {kept.dim}, and not {need.feature} of dimension {need.dim}"
        if need.each and kept.each is None:
            return f"has no features of each image, which {protocol} compares"
        if need.tail and (kept.n is None or self.record.stated):
            return "does not tell the order of its images, of which a tail is to be dropped"
        first = 0 if kept.n is None else first_of(kept.n, need.tail)
        if not need.each and first not in kept.statistics and kept.each != "float32":
            return f"has no statistics of the first {first} of its {kept.n} images"
        return None

    def features(self, need: ReferenceNeed) -> Features:
        """Return what is kept for a protocol that it can be used for."""
        return next(f for f in self.record.features if same_extractor(f, need))

    def unreadable(self, need: ReferenceNeed) -> dict[str, str]:
        """Return why images could not be read when the file was made, by the file's path with their name."""
        prefix = "unreadable: "
        return {
            f"{self.path}/{self.names[gap.image]}": gap.reason.removeprefix(prefix)
            for gap in self.features(need).lacking
            if gap.reason.startswith(prefix)
        }

    def remarks(self, need: ReferenceNeed, numerics: Numerics) -> list[str]:
        """Return what was another version where the file was made."""
        return [*remarks(self.features(need).recipe, need.extractor, numerics)]

    def reference_features(self, need: ReferenceNeed) -> ReferenceFeatures:
        """Return the set as a protocol looks at it."""
        kept = self.features(need)
        index = self.record.features.index(kept)

        def statistics(first: int | None) -> GaussianStats:
            if (first or 0) in kept.statistics:
                return restored(self._arrays, index, first or 0)
            blocks = self._arrays[f"{index}.each"].blocks(first)
            return GaussianStats.of((row for block in blocks for row in block), need.dim)

        return ReferenceFeatures(self._results(index, kept), kept.lacks, statistics, self._remark(kept))

    def _results(self, index: int, kept: Features) -> Sequence[Result]:
        if kept.each is None or kept.lacks is None:
            return ()
        rows = self._arrays[f"{index}.each"].rows
        numbers = iter(range(len(kept.lacks)))
        keys = [next(numbers) if why is None else why for why in kept.lacks]

        def read(key: Any) -> Result:
            return {kept.feature: rows[key : key + 1][0]} if isinstance(key, int) else key

        return Results(keys, read)

    def _remark(self, kept: Features) -> str:
        if self.record.stated is None:
            return ""
        count = "" if kept.n is not None else ", and nothing tells of how many images it is"
        own = (
            "" if kept.each is None else "; which images show items of the generated ones is not known, all are counted"
        )
        return (
            f"the reference set comes from {self.record.stated}, whose network and preprocessing are as stated, not"
            f" verified{count}{own}"
        )


def statistics_arrays(index: int, stats: GaussianStats, n: int) -> dict[str, Floats]:
    """Return statistics as arrays of the file, from which `GaussianStats` come back bit for bit."""
    found: dict[str, Floats] = {f"{index}.{n}.mean": stats.mean}
    if stats.centred is not None:
        return found | {f"{index}.{n}.centred": stats.centred}
    assert stats.scatter is not None  # noqa: S101 - it is one or the other
    return found | {f"{index}.{n}.scatter": stats.scatter}
