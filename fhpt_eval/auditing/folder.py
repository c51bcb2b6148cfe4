"""What the images of a folder are: how they are stored, how large they are, which are the same file."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from fhpt_eval.engine.machine import cpu_count
from fhpt_eval.engine.processes import threads
from fhpt_eval.errors import UserError
from fhpt_eval.files.regular import read_regular
from fhpt_eval.files.remote import path_at
from fhpt_eval.images.borders import Borders, white_borders
from fhpt_eval.images.decoding import decode
from fhpt_eval.images.formats import NO_MEMORY, ImageError
from fhpt_eval.images.headers import Header, header_of
from fhpt_eval.images.listing import Listing, list_folder
from fhpt_eval.progress import Progress

_READERS = 4
_NARROW = 2
"""Pixels below which a white border is none."""
_ALMOST_ALL = 0.95
"""Share of the images that have a border which is said of the folder: one night scene must not hide it."""
_SAMPLE = 8
"""Images whose pixels `glance` looks at, to see borders."""
_SMALL = 1_000_000
"""Pixels up to which an image is looked at for that."""


@dataclass(frozen=True)
class Picture:
    """What is known of a file.

    Attributes:
        name: Its path in the folder.
        header: How it is stored; None where it cannot be read.
        unreadable: Why it cannot.
        content: Hash of its bytes; None where nobody asked.
        notes: What had to be done to get its pixels, as `decode` says it; empty where nobody asked.
        borders: Its white borders; None where nobody looked.
    """

    name: str
    header: Header | None = None
    unreadable: str | None = None
    content: str | None = None
    notes: frozenset[str] = frozenset()
    borders: Borders | None = None


@dataclass(frozen=True)
class FolderAudit:
    """What a folder holds.

    Attributes:
        listing: Every entry.
        pictures: Its images, in the order of the listing.
    """

    listing: Listing
    pictures: tuple[Picture, ...]

    def __str__(self) -> str:
        return str(self.listing.folder)

    @cached_property
    def headers(self) -> Mapping[str, Header]:
        """Those of the images that can be read, by name."""
        return {picture.name: picture.header for picture in self.pictures if picture.header is not None}

    @cached_property
    def unreadable(self) -> Mapping[str, str]:
        """Why images cannot be read, by name."""
        return {picture.name: picture.unreadable for picture in self.pictures if picture.unreadable is not None}

    def counted(self, what: Callable[[Header], str]) -> dict[str, int]:
        """Count what headers say, the commonest first."""
        return dict(Counter(map(what, self.headers.values())).most_common())

    @cached_property
    def endings(self) -> dict[str, int]:
        """How many images have which ending."""
        return dict(Counter(PurePosixPath(picture.name).suffix for picture in self.pictures).most_common())

    @cached_property
    def stored(self) -> dict[str, int]:
        """How many images are stored how."""
        return self.counted(lambda header: header.stored)

    @property
    def lossless(self) -> bool:
        """Whether no image is stored with a loss."""
        return not any(header.lossy for header in self.headers.values())

    @cached_property
    def sizes(self) -> dict[str, int]:
        """How many images have which size."""
        return self.counted(lambda header: header.dimensions)

    @cached_property
    def modes(self) -> dict[str, int]:
        """How many images have which colours, with the bits of a sample where these are 16."""
        return self.counted(lambda header: header.mode + (" 16 bit" if header.wide else ""))

    @cached_property
    def borders(self) -> tuple[Borders, int] | None:
        """White borders, and how many of the images have them: almost all, or the commonest of some; None: no borders.

        A white backdrop leaves another border in each picture; only padding leaves the same in many.
        """
        found = [picture.borders for picture in self.pictures if picture.borders is not None]
        if not found:
            return None
        spare = int(len(found) * (1 - _ALMOST_ALL))
        common = Borders(*(_wide(sorted(side)[spare]) for side in zip(*found, strict=True)))
        if any(common):
            return common, sum(all(map(int.__le__, common, borders)) for borders in found)
        framed = Counter(b for b in found if min(b.left, b.right) >= _NARROW or min(b.top, b.bottom) >= _NARROW)
        often, count = framed.most_common(1)[0] if framed else (common, 0)
        return (often, count) if count > 1 and count * 10 >= len(found) else None

    @cached_property
    def duplicates(self) -> tuple[tuple[str, ...], ...]:
        """Names of images that are one file, byte by byte."""
        same: dict[str, list[str]] = defaultdict(list)
        for picture in self.pictures:
            if picture.content is not None:
                same[picture.content].append(picture.name)
        return tuple(tuple(names) for names in same.values() if len(names) > 1)

    @cached_property
    def contents(self) -> frozenset[str]:
        """Hashes of the images' bytes."""
        return frozenset(picture.content for picture in self.pictures if picture.content is not None)

    @property
    def line(self) -> str:
        """All of it in one line."""
        parts = [images(len(self.pictures)), _or_more(self.stored, "formats"), _or_more(self.sizes, "sizes")]
        if self.borders is not None:
            parts[-1] += f" (white borders of {self.borders[0]})"
        parts.append(_or_more(self.modes, "modes") if [*self.modes] != ["RGB"] else "")
        copies = sum(len(names) - 1 for names in self.duplicates)
        counts = {
            "duplicate" if copies == 1 else "duplicates": copies,
            "unreadable": len(self.unreadable),
            "left out": len(self.listing.left_out),
        }
        return f"{self}: " + ", ".join([*filter(None, parts), *(f"{n:,} {what}" for what, n in counts.items() if n)])


def images(count: int) -> str:
    """Return so many images in words."""
    return "1 image" if count == 1 else f"{count:,} images"


def audit_folder(folder: str | Path, progress: Progress | None = None) -> FolderAudit:
    """Read, hash and decode every image of a folder, each once.

    Raises:
        UserError: It is no folder, cannot be read or holds no image.
    """
    folder = path_at(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give one of images.")
    listing = list_folder(folder)
    if not listing.images:
        raise UserError(f"no images in {folder}: {listing.no_images()}.")
    pictures: list[Picture] = []
    with threads(min(_READERS, cpu_count())) as readers:
        for picture in readers.map(lambda name: _look(folder, name), listing.images):
            pictures.append(picture)
            if progress is not None:
                progress(f"looking into {folder}", len(pictures), len(listing.images))
    return FolderAudit(listing, tuple(pictures))


def glance(
    listing: Listing, contents: Mapping[str, str] | None = None, known: Mapping[str, Header] | None = None
) -> FolderAudit:
    """Look at the headers of a folder's images, and at the pixels of a few small ones.

    Args:
        listing: All that is in it.
        contents: Hash of a file's bytes, by its name, where that is known.
        known: Headers by the hash of the bytes that they are of; others are read.
    """
    contents, known = contents or {}, known or {}
    pictures = [_header(listing.folder, name, contents.get(name), known) for name in listing.images]
    small = [p for p in pictures if p.header is not None and p.header.size[0] * p.header.size[1] <= _SMALL]
    sample = {p.name for p in small[:: -(-len(small) // _SAMPLE) or 1]}
    return FolderAudit(listing, tuple(_look(listing.folder, p.name, p) if p.name in sample else p for p in pictures))


def _header(folder: Path, name: str, content: str | None, known: Mapping[str, Header]) -> Picture:
    if content is not None and content in known:
        return Picture(name, known[content], content=content)
    try:
        data = read_regular(folder / name)
        # Hashed again: the file may have been changed since, and a header is kept for these bytes.
        return Picture(name, header_of(data), content=hashlib.sha256(data).hexdigest())
    except (OSError, ImageError, MemoryError) as error:
        return Picture(name, unreadable=_why(error), content=content)


def _look(folder: Path, name: str, known: Picture | None = None) -> Picture:
    """Return what a picture is, with what its pixels tell."""
    content = None if known is None else known.content
    try:
        data = read_regular(folder / name)
        if known is None:
            content = hashlib.sha256(data).hexdigest()
        decoded = decode(data)
        borders = white_borders([decoded.pixels])
        header = header_of(data) if known is None else known.header
        return Picture(name, header, content=content, notes=decoded.notes, borders=borders)
    except (OSError, ImageError, MemoryError) as error:
        return Picture(name, unreadable=_why(error), content=content)


def _why(error: OSError | ImageError | MemoryError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or NO_MEMORY


def _wide(border: int) -> int:
    return border if border >= _NARROW else 0


def _or_more(counts: Iterable[str], what: str) -> str:
    """Return what there is of a kind, or the first where there are many."""
    first = [*counts]
    return " and ".join(first) if len(first) < 3 else f"{first[0]} and {len(first) - 1} other {what}"
