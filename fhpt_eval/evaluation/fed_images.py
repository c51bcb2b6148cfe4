"""Images that are arrays, fed batch by batch, as pairs of files."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from fhpt_eval.errors import UserError
from fhpt_eval.images.decoding import ImageRef, Rgb
from fhpt_eval.pairing.lists import GENDERS, view_of
from fhpt_eval.pairing.matching import NamedPair, pair_id
from fhpt_eval.pairing.naming import one_spelling, without_suffix
from fhpt_eval.pairing.pairs import Pair, PairReport, Pairs
from fhpt_eval.pairing.rows import with_images
from fhpt_eval.text import unsafe

ROLES = ("generated", "target", "source")


@dataclass
class _Fed:
    """What was fed so far.

    Attributes:
        pairs: By their identity.
        pictures: For each role, the picture of each name.
        called: For each role, what a picture is called, by its file; of pictures that were given no name.
    """

    pairs: dict[str, Pair] = field(default_factory=dict)
    pictures: dict[str, dict[str, ImageRef]] = field(default_factory=lambda: {role: {} for role in ROLES})
    called: dict[str, dict[Path, str]] = field(default_factory=lambda: {role: {} for role in ROLES})

    def add(self, other: _Fed) -> None:
        """Take in what was fed besides."""
        self.pairs |= other.pairs
        for role in ROLES:
            self.pictures[role] |= other.pictures[role]
            self.called[role] |= other.called[role]

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that every pair has; empty before the first."""
        return tuple(role for role in ROLES if self.pictures[role])


_Self = TypeVar("_Self", bound="FedImages")


class TemporaryFolder:
    """A folder that is removed with this object, or at the end of the process, unless that is killed.

    Attributes:
        path: Where it is.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="fhpt-eval-"))
        self._finalizer = weakref.finalize(self, _remove, self.path, os.getpid())

    @property
    def removed(self) -> bool:
        """Whether it is gone."""
        return not self._finalizer.alive

    def clear(self) -> None:
        """Remove its files."""
        for file in self.path.glob("*"):
            file.unlink()

    def remove(self) -> None:
        """Remove it."""
        self._finalizer()


class FedImages:
    """Images that are fed batch by batch, kept as files of a temporary folder, never all in memory."""

    def __init__(self) -> None:
        self._fed = _Fed()
        self._folder = TemporaryFolder()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._fed.pairs)

    def update(
        self,
        generated: Any,
        target: Any = None,
        source: Any = None,
        *,
        names: Sequence[str] | None = None,
        target_names: Sequence[str] | None = None,
        source_names: Sequence[str] | None = None,
        items: Sequence[str] | None = None,
        item_colours: Sequence[str] | None = None,
        genders: Sequence[str] | None = None,
        views: Sequence[str] | None = None,
    ) -> None:
        """Take in a batch; all of it, or where something is wrong, nothing.

        Args:
            generated: Images in RGB: uint8 of N×H×W×3, or H×W×3 for one; NumPy's, or torch's on any device.
            target: As many; images of every call, or of none.
            source: As ``target``.
            names: Of the generated images, as their files would be called; running numbers if not given. They order
                images, where an order matters, and DeepFashion's tell items, genders and views.
            target_names: Of the targets. The same name is the same picture, which counts once in a reference set; if
                not given, equal pixels are.
            source_names: Of the sources, likewise.
            items: Of each pair, as in a list of pairs, and so for all that follows; empty where it is not known.
            item_colours: The item in one colour.
            genders: ``MEN`` or ``WOMEN``, in any usual word.
            views: View of the target.

        Raises:
            UserError: Arrays are no such images, numbers differ, or a name is empty, not unique or not printable.
        """
        if self._folder.removed:
            raise UserError("the evaluator is closed: make another one.")
        given = {"generated": generated, "target": target, "source": source}
        batch = {role: list(_images(role, of)) for role, of in given.items() if of is not None}
        count = len(batch["generated"])
        told: dict[str, Sequence[str] | None] = {
            "names": names,
            "target_names": target_names,
            "source_names": source_names,
            "items": items,
            "item_colours": item_colours,
            "genders": genders,
            "views": views,
        }
        for what, values in (*batch.items(), *told.items()):
            if isinstance(values, str) or (values is not None and len(values) != count):
                raise UserError(f"{what}: one for each of the {count} generated images is expected.")
        if (before := self._fed.roles or tuple(batch)) != tuple(batch):
            raise UserError(f"give images of {' and '.join(before)} in every update, or start again with reset().")
        new = _Fed()
        for index in range(count):
            texts = {what: values[index] for what, values in told.items() if values is not None}
            self._take(new, {role: images[index] for role, images in batch.items()}, texts)
        self._fed.add(new)

    @property
    def pairs(self) -> Pairs:
        """All that was fed since the last `reset`.

        Raises:
            UserError: Nothing was.
        """
        if not self._fed.pairs:
            raise UserError("there are no images to score: feed some with update().")
        rows = tuple(pair for _, pair in sorted(self._fed.pairs.items()))
        return Pairs(rows, PairReport(len(rows)), "arrays")

    def reset(self) -> None:
        """Forget all images."""
        self._fed = _Fed()
        self._folder.clear()

    def close(self) -> None:
        """Forget all images, and remove the temporary folder."""
        self._fed = _Fed()
        self._folder.remove()

    def _hand_over(self) -> tuple[Pairs, TemporaryFolder]:
        """Return all pairs with the folder that their images are in, and start again with another folder."""
        handed = self.pairs, self._folder
        self._fed, self._folder = _Fed(), TemporaryFolder()
        return handed

    def _take(self, new: _Fed, images: dict[str, Rgb], texts: dict[str, str]) -> None:
        """Put one pair to what is new.

        Raises:
            UserError: One of its names cannot be used.
        """
        for what, text in texts.items():
            if not isinstance(text, str) or unsafe(text):
                raise UserError(f"{what}: '{text}' is no printable text.")
            if not text and what in _NAMES.values():
                raise UserError(f"{what}: a name is empty.")
        name = one_spelling(texts.get("names", f"{len(self) + len(new.pairs):06}"))
        other = {role: one_spelling(texts[_NAMES[role]]) for role in ("target", "source") if _NAMES[role] in texts}
        gender = texts.get("genders", "").lower()
        if gender and gender not in GENDERS:
            raise UserError(f"genders: '{gender}' is not known; write MEN or WOMEN, or leave it empty.")
        named = NamedPair(
            pair_id(name, other.get("source", ""), other.get("target", "")) if other else without_suffix(name),
            target=other.get("target", "" if other else name),
            source=other.get("source", "" if other else name),
            item=texts.get("items", ""),
            item_colour=texts.get("item_colours", ""),
            gender=GENDERS.get(gender),
            view=view_of(texts.get("views", "")),
        )
        for fed in (self._fed, new):
            if name in fed.pictures["generated"] or (named.pair in fed.pairs and not other):
                raise UserError(f"names: '{name}' is there already: give each generated image a name of its own.")
            if named.pair in fed.pairs:
                raise UserError(
                    f"the pair '{named.pair}' of '{name}' is there already: a source and a target make one pair."
                )
        refs = {
            role: self._picture(new, role, image, {"generated": name, **other}.get(role), name)
            for role, image in images.items()
        }
        new.pairs[named.pair] = with_images(named, refs["generated"], refs.get("target"), refs.get("source"))

    def _picture(self, new: _Fed, role: str, image: Rgb, given: str | None, pair: str) -> ImageRef:
        """Return the picture that an image is, written to the folder if it is new.

        Args:
            new: Gets it.
            role: Of the image.
            image: The pixels.
            given: What it is called; None where it was given no name: then what an equal one is called, or else the
                pair.
            pair: The name of the generated image.
        """
        path = self._write(image)
        name = given
        if name is None:
            name = self._fed.called[role].get(path) or new.called[role].setdefault(path, pair)
        known = self._fed.pictures[role].get(name) or new.pictures[role].get(name)
        if known is not None and known.path != path:
            raise UserError(f"{_NAMES[role]}: '{name}' is the name of two different pictures.")
        return new.pictures[role].setdefault(name, ImageRef(path, name=name))

    def _write(self, image: Rgb) -> Path:
        """Return the file of an image, which is called by its content: equal images are one file."""
        height, width = image.shape[:2]
        # Binary PPM is a line about the size and then the pixels: nothing is lost, and nothing compressed.
        data = b"P6 %d %d 255\n" % (width, height) + image.tobytes()
        path = self._folder.path / f"{hashlib.sha256(data).hexdigest()}.ppm"
        try:
            if not path.exists():
                path.write_bytes(data)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise UserError(
                f"images cannot be kept in {self._folder.path} ({error.strerror}): name a folder with room by TMPDIR."
            ) from None
        return path


_NAMES = {"generated": "names", "target": "target_names", "source": "source_names"}


def _images(role: str, given: Any) -> Iterator[Rgb]:
    """Yield the images of a batch.

    Raises:
        UserError: It is something else.
    """
    # Of torch, without importing it.
    array = np.asarray(given.detach().cpu().numpy() if hasattr(given, "detach") else given)
    if np.issubdtype(array.dtype, np.floating):
        raise UserError(
            f"{role} images are {array.dtype}, and their range cannot be told: give uint8, from [0, 1] by"
            " (x * 255).round().clip(0, 255), from [-1, 1] by ((x + 1) * 127.5).round().clip(0, 255), then as uint8."
        )
    if array.dtype != np.uint8:
        raise UserError(f"{role} images are {array.dtype}: give uint8, from 0 to 255.")
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[-1] != 3 or 0 in array.shape:
        first = array.ndim == 4 and array.shape[1] == 3
        hint = ": put the channels last, by permute(0, 2, 3, 1) in torch" if first else ""
        shape = "×".join(map(str, np.shape(given)))
        raise UserError(f"{role} images of the shape {shape} are not N×H×W×3, nor H×W×3{hint}.")
    yield from np.ascontiguousarray(array)


def _remove(folder: Path, owner: int) -> None:
    """Remove the folder; never in a process that was forked from its owner, such as a data loader's."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
