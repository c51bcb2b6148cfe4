"""What a user gives of pictures beside their pixels, joined to them by their names: one rule, whatever it is.

A picture takes the entry that its name means (`Named.key`). An entry that different pictures would take belongs to none
of them; copies of one picture share it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, Literal, TypeAlias, TypeVar

from fhpt_eval.errors import UserError
from fhpt_eval.extract.weights import file_sha256
from fhpt_eval.images.decoding import ImageRef, read_image
from fhpt_eval.pairing.folders import file_name, same_tail
from fhpt_eval.pairing.naming import one_spelling, picture_key, without_suffix
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing

T = TypeVar("T")

Side: TypeAlias = Literal["generated", "target"]
"""A role of images of which something may be given."""


@dataclass(frozen=True)
class Named(Generic[T]):
    """Things that belong to pictures.

    Attributes:
        things: By `fhpt_eval.pairing.naming.picture_key` of the picture's name.
        path: Where they come from.
        what: They are called.
        where: The same in words, for what is missing.
    """

    things: Mapping[str, T]
    path: Path
    what: str
    where: str

    def key(self, name: str) -> str | None:
        """Return the key that a picture's name means, which is a relative path; None where there is none.

        That of the name itself; or the only one with the same last part whose folders do not contradict the name's.
        """
        key, stem = picture_key(name), without_suffix(one_spelling(name))
        if key in self.things:
            return key
        near = [other for other in self._by_last_part.get(file_name(stem), ()) if same_tail(stem, other)]
        return near[0] if len(near) == 1 else None

    def of_pairs(self, pairs: Pairs, side: Side) -> dict[ImageRef, T | Missing]:
        """Return what each image of a side has, by its name, or else by that in the list of pairs.

        Raises:
            UserError: There is nothing of any of them.
        """
        images = {ref.name: ref for ref in pairs.unique(side)}
        names = {ref: list[str]() for ref in images.values()}
        for row in pairs:
            for name in row.names(side):
                names[images[row.names(side)[0]]].append(name)
        entries = self.of_images(names, f"{side} ")
        refs = (row.generated if side == "generated" else row.target for row in pairs)
        # A picture that stands in several strips is one image.
        return {ref: entries[images[ref.name]] for ref in refs if ref is not None}

    def of_images(self, images: Mapping[ImageRef, Sequence[str]], side: str = "") -> dict[ImageRef, T | Missing]:
        """Return what each image has, which goes by several names.

        Raises:
            UserError: There is nothing of any of them.
        """
        keys = {ref: next(filter(None, map(self.key, names)), None) for ref, names in images.items()}
        takers: dict[str, list[ImageRef]] = defaultdict(list)
        for ref, key in keys.items():
            if key is not None:
                takers[key].append(ref)
        if images and not takers:
            raise UserError(
                f"{self.path} tells of none of the {side}images (it has '{next(iter(self.things))}', they are called"
                f" like '{next(iter(images)).name}'): give {self.what} of these images."
            )
        contested = {key for key, refs in takers.items() if len(refs) > 1 and len(set(map(_content, refs))) > 1}
        not_told, ambiguous = (
            Missing(f"not in {self.where}"),
            Missing(f"several images fit one name in {self.where}"),
        )

        def entry(key: str | None) -> T | Missing:
            if key is None:
                return not_told
            return ambiguous if key in contested else self.things[key]

        return {ref: entry(key) for ref, key in keys.items()}

    @cached_property
    def _by_last_part(self) -> Mapping[str, Sequence[str]]:
        groups = defaultdict(list)
        for key in self.things:
            groups[file_name(key)].append(key)
        return groups


def _content(ref: ImageRef) -> str:
    """Return a hash of what an image shows: the file's bytes, or the panel's pixels; its place if it is unreadable."""
    try:
        if ref.panel is None:
            return file_sha256(ref.path)
        return hashlib.sha256(read_image(ref).tobytes()).hexdigest()
    except UserError:
        return str(ref)
