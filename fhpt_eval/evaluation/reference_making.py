"""Making a file of a reference set from images."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fhpt_eval._version import __version__
from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import Engine
from fhpt_eval.engine.reading import Extraction
from fhpt_eval.errors import Unavailable, UserError
from fhpt_eval.evaluation.image_list import set_hash
from fhpt_eval.evaluation.reference_check import CONTENTS, NAMES, check, hash_of, in_memory
from fhpt_eval.evaluation.reference_file import statistics_arrays
from fhpt_eval.evaluation.reference_record import Features, FeatureType, Lacking, ReferenceRecord, first_of
from fhpt_eval.extract.extractor import ImageExtractor
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.tensors import Arrays, dump
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.sizes import common_size
from fhpt_eval.measuring.protocol import Protocol
from fhpt_eval.measuring.reference_features import ReferenceFeatures, ReferenceNeed
from fhpt_eval.measuring.requirements import lacks_packages
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing, Result


@dataclass(frozen=True)
class Made:
    """A file that is not written yet.

    Attributes:
        record: Its card.
        arrays: Its arrays.
        warnings: What went otherwise than expected.
    """

    record: ReferenceRecord
    arrays: Arrays
    warnings: tuple[str, ...] = ()

    @property
    def data(self) -> bytes:
        """The file."""
        return dump(self.arrays, self.record.model_dump(mode="json"))


def make_reference(
    images: Sequence[ImageRef],
    protocols: Sequence[Protocol],
    *,
    features: FeatureType = "float32",
    engine: Engine,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Made:
    """Compute what protocols need of a reference set; what the cache has is not computed.

    Args:
        images: The set.
        protocols: Those that will be run with it; others than distances between sets do not look at it.
        features: As what the features of each image are kept, where a protocol needs them.
        engine: What computes.
        store: Where weights are looked for.
        progress: Called with a stage, the steps done and their number.

    Raises:
        UserError: No protocol compares with a set, weights are missing, or images cannot be used.
    """
    needs = _needs(protocols)
    weights: dict[str, Path] = {}
    for need in needs:
        weights |= {file.name: (store or Store()).get(file) for file in need[0].extractor.weights()}
    ran = {need[0].extractor: _on(need[0].extractor, images) for need in needs}
    extraction = engine.run(Plan({e: tuple(images) for e in ran.values()}, {}), weights, progress)
    contents = [extraction.content(ref) for ref in images]
    if None in contents:
        first = images[contents.index(None)].path
        raise UserError(
            f"{contents.count(None)} images cannot be opened, the first is {first}: make them readable, or take them"
            " out of the folder; a set is known by the contents of all its files."
        )
    arrays: dict[str, npt.NDArray[Any]] = {
        NAMES: np.frombuffer(json.dumps([ref.name for ref in images]).encode(), dtype=np.uint8),
        CONTENTS: np.array([[*bytes.fromhex(content or "")] for content in contents], dtype=np.uint8),
    }
    kept = []
    for index, group in enumerate(needs):
        if progress is not None:
            progress("statistics", index, len(needs))
        kept.append(_keep(index, group, images, extraction, ran, arrays, features, engine.numerics))
    sizes = Counter(
        f"{info.width}×{info.height}" for ref in images if not isinstance(info := extraction.info(ref), Missing)
    )
    made = card(arrays, kept, images=len(images), content=set_hash(contents), sizes=dict(sizes.most_common()))
    try:
        check(in_memory(arrays), made)
    except ValueError as error:
        raise UserError(f"the images make no file that could be used, {error}: change the set.") from None
    return Made(made, arrays, extraction.warnings)


def _needs(protocols: Iterable[Protocol]) -> list[list[ReferenceNeed]]:
    """Return what is needed, by extractor and feature."""
    found: dict[tuple[ImageExtractor, str], list[ReferenceNeed]] = {}
    for protocol in protocols:
        need = protocol.reference_need()
        if need is None or need.role == "target":
            continue
        if (lacking := lacks_packages(protocol)) is not None:
            raise Unavailable(lacking)
        found.setdefault((need.extractor, need.feature), []).append(need)
    if not found:
        raise UserError("none of the chosen protocols compares with a reference set: choose others with --protocols.")
    return [*found.values()]


def _on(extractor: ImageExtractor, images: Sequence[ImageRef]) -> ImageExtractor:
    """Return an extractor without steps that leave the images as they are, as a run computes it."""
    size = common_size(images) if extractor.geometry.steps else None
    return extractor if size is None else extractor.in_geometries(extractor.geometry.on(*size))


def _keep(
    index: int,
    needs: Sequence[ReferenceNeed],
    images: Sequence[ImageRef],
    extraction: Extraction,
    ran: Mapping[ImageExtractor, ImageExtractor],
    arrays: dict[str, npt.NDArray[Any]],
    features: FeatureType,
    numerics: Numerics,
) -> Features:
    """Put the arrays of one feature of an extractor with the others, and return what is to be said of it."""
    need = needs[0]
    extractor = ran[need.extractor]
    if (error := extraction.broken.get(extractor)) is not None:
        raise error
    found = ReferenceFeatures.of_results(_Read(extraction, extractor, images), need)
    lacking = found.lacking or ()
    n = lacking.count(None)
    if n < 2:
        why = f", the first because it is {found.missing[0].reason}" if found.missing else ""
        raise UserError(f"only {n} of {len(images)} images have features{why}: a reference set has at least two.")
    counts = sorted({first_of(n, each.tail) for each in needs}, reverse=True)
    for first in counts:
        arrays |= statistics_arrays(index, found.statistics(first), first)
    each = features if any(need.each for need in needs) else None
    if each is not None:
        rows = np.empty((n, need.dim), dtype=each)
        with np.errstate(over="ignore"):
            for i, result in enumerate(r for r in found.results if not isinstance(r, Missing)):
                rows[i] = result[need.feature]
        if not np.isfinite(rows).all():
            raise UserError(f"features of {need.extractor.id} are too large for float16: leave --float16 out.")
        arrays[f"{index}.each"] = rows
    return Features(
        extractor=need.extractor.id,
        recipe=need.extractor.recipe(numerics),
        feature=need.feature,
        dim=need.dim,
        n=n,
        lacking=[Lacking(image=i, reason=r.reason, kind=r.kind) for i, r in enumerate(lacking) if r is not None],
        statistics=counts,
        each=each,
    )


class _Read(Sequence[Result]):
    """Results of an extractor, read when they are asked for."""

    def __init__(self, extraction: Extraction, extractor: ImageExtractor, images: Sequence[ImageRef]) -> None:
        self._extraction, self._extractor, self._images = extraction, extractor, images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Any) -> Any:
        return self._extraction.image(self._extractor, self._images[index])

    def __iter__(self) -> Iterator[Result]:
        return self._extraction.read(self._extractor, ((ref,) for ref in self._images))


def card(
    arrays: Arrays,
    kept: list[Features],
    *,
    images: int | None,
    content: str | None = None,
    sizes: Mapping[str, int] | None = None,
    stated: str | None = None,
) -> ReferenceRecord:
    """Return what is to be said of a file with these arrays."""
    return ReferenceRecord(
        made_by=f"fhpt-eval {__version__}",
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        images=images,
        content=content,
        sizes=dict(sizes or {}),
        stated=stated,
        features=kept,
        tensors=hash_of(in_memory(arrays)),
    )
