"""What the engine found, as protocols read it."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhpt_eval.engine.contents import Contents
from fhpt_eval.engine.reading import Extraction
from fhpt_eval.evaluation.image_list import set_hash
from fhpt_eval.evaluation.plan import ImageSets
from fhpt_eval.evaluation.reference_file import ReferenceFile
from fhpt_eval.extract.extractor import Extractor, ImageExtractor, PairExtractor
from fhpt_eval.extract.keypoint_detector import KeypointDetector
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import GIVEN_FILE, GIVEN_FOLDER, UNIQUE_TARGETS, Records, Results
from fhpt_eval.measuring.reference_features import ReferenceFeatures, ReferenceNeed
from fhpt_eval.pairing.naming import parse_deepfashion, without_suffix
from fhpt_eval.pairing.pairs import Pair
from fhpt_eval.people.given_keypoints import GivenKeypoints
from fhpt_eval.records import Missing, Result, Role


class ExtractedRecords(Records):
    """Records of the images under evaluation, read from an extraction one at a time, or from what is given.

    Args:
        images: What is evaluated.
        extraction: What was found.
        same: For an extractor, the one that ran in its place.
    """

    def __init__(
        self, images: ImageSets, extraction: Extraction, same: Mapping[Extractor, Extractor] | None = None
    ) -> None:
        self._images = images
        self._extraction = extraction
        self._same = same or {}

    def per_pair(self, extractor: ImageExtractor | PairExtractor, *roles: Role) -> Results:
        """Results in the order of the pairs."""
        # A picture that stands in several strips was extracted from the first of them.
        alone = isinstance(extractor, ImageExtractor)
        first = {ref.name: ref for role in roles for ref in self._images.unique(role)} if alone else {}

        def of_pair(pair: Pair, role: Role) -> ImageRef | Missing:
            ref = self._images.of_pair(pair, role)
            return Missing(f"no {role} image") if ref is None else first.get(ref.name, ref)

        keys = [tuple(of_pair(pair, role) for role in roles) for pair in self._images.pairs]
        return self._results(extractor, roles, keys)

    def unique(self, extractor: ImageExtractor, role: Role) -> Results:
        """Results of each different image of a role, and what pairs lack of it."""
        return self._results(extractor, (role,), [(ref,) for ref in self._keys(role)])

    def unique_groups(self, role: Role) -> Sequence[Hashable]:
        """Return the item of each image of `unique`."""
        role_in_pairs: Role = "target" if role in {"reference", "given"} else role
        items = {
            without_suffix(ref.name): pair.item or pair.pair
            for pair in self._images.pairs
            if (ref := self._images.of_pair(pair, role_in_pairs)) is not None
        }
        if (file := self._file(role)) is not None:
            unnamed = [("reference", i) for i in range(0 if file.names else file.record.images or 0)]
            return [*(_group_of(name, items) for name in file.names), *unnamed]
        return [_group(ref, items) for ref in self._keys(role)]

    def reference_features(self, need: ReferenceNeed) -> ReferenceFeatures:
        """Return the images that are compared with, or what a file has of them."""
        file = self._file(need.role)
        return super().reference_features(need) if file is None else file.reference_features(need)

    def reference(self) -> str:
        """Return what the reference set is."""
        if self._images.given_reference is None:
            return UNIQUE_TARGETS
        return GIVEN_FOLDER if self._images.reference_file is None else GIVEN_FILE

    @property
    def given(self) -> Given:
        """What the user gave."""
        return self._images.given

    def _file(self, role: Role) -> ReferenceFile | None:
        return self._images.reference_file if role in {"reference", "given"} else None

    def _results(
        self,
        extractor: ImageExtractor | PairExtractor,
        roles: Sequence[Role],
        keys: Sequence[tuple[ImageRef | Missing, ...]],
    ) -> Results:
        def read_all(asked: Sequence[tuple[ImageRef | Missing, ...]]) -> Iterator[Result]:
            found = self._extraction.read(self._ran(extractor, roles), asked)
            keypoints = self.given.keypoints.get(roles[0]) if isinstance(extractor, KeypointDetector) else None
            if keypoints is None:
                return found
            return (_of_person(keypoints, roles[0], refs[0], size) for refs, size in zip(asked, found, strict=True))

        return Results(keys, lambda key: next(read_all([key])), read_all)

    def _ran(self, extractor: Any, roles: Sequence[Role]) -> Any:
        asked = self.given.in_place_of(extractor, roles)
        return self._same.get(asked, asked)

    def _keys(self, role: Role) -> list[ImageRef | Missing]:
        refs: list[ImageRef | Missing] = list(self._images.unique(role))
        what = "target" if role == "reference" else role
        return refs + [Missing(f"no {what} image")] * self._images.lacking(role)


def _of_person(keypoints: GivenKeypoints, role: Role, ref: ImageRef | Missing, size: Result) -> Result:
    """Return the keypoints that are given of an image; what ran has measured its size alone."""
    if isinstance(size, Missing) or isinstance(ref, Missing):
        return size
    person = keypoints.person(ref)
    if isinstance(person, Missing):
        return replace(person, reason=f"{role}: {person.reason}") if person.fault else person
    return {**person, **size}


def _group(ref: ImageRef | Missing, items: Mapping[str, str]) -> Hashable:
    if isinstance(ref, Missing):
        return ref
    return _group_of(ref.name, items)


def _group_of(image: str, items: Mapping[str, str]) -> Hashable:
    name = parse_deepfashion(image)
    own = without_suffix(image)
    return items.get(own) or (name.item if name else own)


def content_hash(refs: Iterable[ImageRef], contents: Contents | Extraction) -> str | None:
    """Hash of what a set of images shows, whatever their files are called; None when some could not be read."""
    return set_hash(map(contents.content, refs))
