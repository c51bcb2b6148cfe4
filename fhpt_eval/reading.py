"""What the engine found, as protocols read it."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence

from fhpt_eval.engine.base import Extraction
from fhpt_eval.extract.base import ImageExtractor, Missing, PairExtractor, Result, Role
from fhpt_eval.images import ImageRef
from fhpt_eval.naming import parse_deepfashion
from fhpt_eval.plan import ImageSets
from fhpt_eval.protocol import Records, Results


class ExtractedRecords(Records):
    """Records of the images under evaluation, read from an extraction one at a time."""

    def __init__(self, images: ImageSets, extraction: Extraction) -> None:
        self._images = images
        self._extraction = extraction

    def per_pair(self, extractor: ImageExtractor | PairExtractor, *roles: Role) -> Results:
        """Results in the order of the pairs."""
        keys = [
            tuple(self._images.of_pair(pair, role) or Missing(f"no {role} image") for role in roles)
            for pair in self._images.pairs
        ]

        def read(refs: tuple[ImageRef | Missing, ...]) -> Result:
            present = [ref for ref in refs if not isinstance(ref, Missing)]
            if len(present) < len(refs):
                return next(ref for ref in refs if isinstance(ref, Missing))
            if isinstance(extractor, PairExtractor):
                return self._extraction.pair(extractor, present[0], present[1])
            return self._extraction.image(extractor, present[0])

        return Results(keys, read)

    def unique(self, extractor: ImageExtractor, role: Role) -> Results:
        """Results of each different image of a role, and what is missing of the generated ones."""
        return Results(
            self._keys(role), lambda ref: ref if isinstance(ref, Missing) else self._extraction.image(extractor, ref)
        )

    def unique_groups(self, role: Role) -> Sequence[Hashable]:
        """The item of each image of `unique`."""
        role_in_pairs: Role = "target" if role == "reference" else role
        items = {
            ref: pair.item or pair.pair
            for pair in self._images.pairs
            if (ref := self._images.of_pair(pair, role_in_pairs)) is not None
        }
        return [_group(ref, items) for ref in self._keys(role)]

    def reference(self) -> str:
        """What the reference set is."""
        given = self._images.given_reference is not None
        return "the folder given with --reference" if given else "unique targets of the evaluated pairs"

    def _keys(self, role: Role) -> list[ImageRef | Missing]:
        refs: list[ImageRef | Missing] = list(self._images.unique(role))
        if role == "generated":
            refs += [Missing("no generated image") for pair in self._images.pairs if pair.generated is None]
        return refs


def _group(ref: ImageRef | Missing, items: Mapping[ImageRef, str]) -> Hashable:
    if isinstance(ref, Missing):
        return ref.reason
    name = parse_deepfashion(ref.name)
    return items.get(ref) or (name.item if name else ref.name)


def content_hash(refs: Iterable[ImageRef], extraction: Extraction) -> str:
    """Hash of the names and bytes of images; the same on every machine and in every folder."""
    digest = hashlib.sha256()
    for ref in sorted(refs, key=lambda r: r.name):
        digest.update(f"{ref.name}\0{extraction.content(ref)}\n".encode())
    return digest.hexdigest()
