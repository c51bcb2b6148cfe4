"""What file names say: DeepFashion's names, and how published methods name a generated image.

Only text is looked at here; which files exist is the business of :mod:`fhpt_eval.pairing.pairs`.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from fhpt_eval.images.suffixes import SUFFIXES

Gender = Literal["MEN", "WOMEN"]

CATEGORIES: MappingProxyType[Gender, tuple[str, ...]] = MappingProxyType(
    {
        "MEN": (
            "Denim",
            "Jackets_Vests",
            "Pants",
            "Shirts_Polos",
            "Shorts",
            "Suiting",
            "Sweaters",
            "Sweatshirts_Hoodies",
            "Tees_Tanks",
        ),
        "WOMEN": (
            "Blouses_Shirts",
            "Cardigans",
            "Denim",
            "Dresses",
            "Graphic_Tees",
            "Jackets_Coats",
            "Leggings",
            "Pants",
            "Rompers_Jumpsuits",
            "Shorts",
            "Skirts",
            "Sweaters",
            "Sweatshirts_Hoodies",
            "Tees_Tanks",
        ),
    }
)
"""The 23 (gender, category) classes of DeepFashion's in-shop retrieval set."""

VIEWS = MappingProxyType({"1": "front", "2": "side", "3": "back", "4": "full", "6": "flat", "7": "additional"})
"""Shot digit to view; ``flat`` is normally the garment without a person."""

_SPELLINGS = MappingProxyType(
    {
        (gender, spelling): category
        for gender, categories in CATEGORIES.items()
        for category in categories
        for spelling in (category, category.replace("_", ""))  # pose-gan drops the underscores
    }
)
_FLAT = re.compile(r"(?:.*/)?(?:deep)?fashion(WOMEN|MEN)([A-Za-z_]+?)id(\d{8})(\d{2})_(\d)([a-z]+)", re.ASCII)
# CoCosNet stores the path with "_" for "/".
_PATH = re.compile(r"(?:.*/|img_)?(WOMEN|MEN)[/_]([A-Za-z_]+?)[/_]id_(\d{8})[/_](\d{2})_(\d)_([a-z]+)", re.ASCII)


@dataclass(frozen=True)
class DeepFashionName:
    """What the name of a DeepFashion in-shop image says.

    Attributes:
        gender: ``MEN`` or ``WOMEN``.
        category: One of :data:`CATEGORIES`, e.g. ``Tees_Tanks``.
        item_id: e.g. ``id_00007624``.
        colour: Two digits, the colour or variant of the item.
        shot: The digit before the view.
        view: One of :data:`VIEWS`.
    """

    gender: Gender
    category: str
    item_id: str
    colour: str
    shot: str
    view: str

    @property
    def item(self) -> str:
        """The item, e.g. ``WOMEN/Tees_Tanks/id_00007624`` (99 ids of the full set stand under two categories)."""
        return f"{self.gender}/{self.category}/{self.item_id}"

    @property
    def item_colour(self) -> str:
        """The item in one colour, e.g. ``WOMEN/Tees_Tanks/id_00007624/03``; the group that the pairs are drawn from."""
        return f"{self.item}/{self.colour}"

    @property
    def flat_name(self) -> str:
        """PATN's spelling without suffix: ``fashionWOMENTees_Tanksid0000762403_1front``."""
        digits = self.item_id.removeprefix("id_")
        return f"fashion{self.gender}{self.category}id{digits}{self.colour}_{self.shot}{self.view}"

    @property
    def path_name(self) -> str:
        """DeepFashion's own spelling without suffix: ``WOMEN/Tees_Tanks/id_00007624/03_1_front``."""
        return f"{self.item_colour}_{self.shot}_{self.view}"


@functools.lru_cache(maxsize=1 << 15)
def parse_deepfashion(name: str) -> DeepFashionName | None:
    """Read a DeepFashion name in any spelling of the field, with or without folders before it and image suffix.

    Spellings: flat (PATN and its descendants), flat without the category's underscores (pose-gan), flat with the
    prefix ``deepfashion`` (PIDM's ground truth), the data set's path, and that path with ``_`` for ``/`` (CoCosNet).

    Args:
        name: File name or posix path.

    Returns:
        None where the name is not one of DeepFashion's, or its category or view is unknown.
    """
    stem = without_suffix(one_spelling(name))
    match = _FLAT.fullmatch(stem) or _PATH.fullmatch(stem)
    if match is None:
        return None
    gender: Gender = "MEN" if match[1] == "MEN" else "WOMEN"
    category = _SPELLINGS.get((gender, match[2]))
    if category is None or VIEWS.get(match[5]) != match[6]:
        return None
    return DeepFashionName(gender, category, f"id_{match[3]}", match[4], match[5], match[6])


def one_spelling(name: str) -> str:
    """Return a name or path with composed characters (macOS writes decomposed ones) and Posix' slashes."""
    return unicodedata.normalize("NFC", name).replace("\\", "/")


def is_picture(name: str) -> bool:
    """Whether a text can be nothing else but the name of a picture: by its suffix, or as a DeepFashion name."""
    return without_suffix(name) != name or parse_deepfashion(name) is not None


def without_suffix(name: str) -> str:
    """Return ``name`` without its image suffix; other dots stay (``a.b.png`` is ``a.b``, ``a.b`` stays)."""
    head, _, tail = name.rpartition(".")
    return head if head and f".{tail.lower()}" in SUFFIXES else name


@functools.lru_cache(maxsize=1 << 15)
def picture_key(name: str) -> str:
    """Return one spelling for one picture: the flat DeepFashion name, otherwise ``name`` without image suffix."""
    deepfashion = parse_deepfashion(name)
    return deepfashion.flat_name if deepfashion else without_suffix(one_spelling(name))


@dataclass(frozen=True)
class Naming:
    """How a method names a generated image.

    Attributes:
        name: Key in :data:`NAMINGS`, the value of ``--naming``.
        description: One line for ``--help``, with the methods that write it.
        separator: Text between source and target name; empty: the generated image has its target's name.
        ending: Text after the target name, taken off where it is there.
        suffixed: Whether both names keep their image suffix, which is then what marks the separator.
        strip: Roles of the panels of one file, from left to right; empty for a plain image.
    """

    name: str
    description: str
    separator: str = ""
    ending: str = ""
    suffixed: bool = False
    strip: tuple[str, ...] = ()

    @property
    def panels(self) -> int | None:
        """Number of equal panels side by side in one file; None for a plain image."""
        return len(self.strip) or None

    def splits(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return every (source name, target name) that a generated file's name can be read as.

        Args:
            name: File name or relative posix path of the generated image. Folders are kept by ``same-name`` only.

        Returns:
            The split at the last separator first; empty where the name does not follow the convention. Names are as
            written, so they have an image suffix only where the convention keeps it.
        """
        if self.separator not in name:
            return ()
        stem = without_suffix(name)
        if not self.separator:
            return ((stem, stem),)
        text = stem.rpartition("/")[2].removesuffix(self.ending)
        if self.suffixed and "." not in text:
            return ()
        found = []
        at = text.rfind(self.separator)
        while at > 0:
            source, target = text[:at], text[at + len(self.separator) :]
            if target and (not self.suffixed or (_has_suffix(source) and _has_suffix(target))):
                found.append((source, target))
            # A run of four underscores holds "___" twice, so the search goes back by one character.
            at = text.rfind(self.separator, 0, at + len(self.separator) - 1)
        return tuple(found)

    def parse(self, name: str) -> tuple[str, str] | None:
        """Return the (source name, target name) of a generated file by its name alone.

        The only split with a DeepFashion name on both sides wins; otherwise the last separator counts, as in the
        metric scripts of GFLA, DPTN, PIDM, PoCoLD and PCDMs (``image.split('_2_')[-1]``).
        """
        splits = self.splits(name)
        if len(splits) > 1:
            known = [split for split in splits if all(parse_deepfashion(side) for side in split)]
            if len(known) == 1:
                return known[0]
        return splits[0] if splits else None


def _has_suffix(name: str) -> bool:
    return without_suffix(name) != name


NAMINGS: MappingProxyType[str, Naming] = MappingProxyType(
    {
        naming.name: naming
        for naming in (
            Naming("same-name", "generated and target have the same name in two folders or trees (CFLD, MCLD, upgpt)"),
            Naming("a___b_vis", "A.jpg___B.jpg_vis.jpg, one picture a file (cut from PATN's strips)", "___", "_vis"),
            Naming("a_2_b_vis", "A_2_B_vis.jpg (GFLA, DPTN, PISE, NTED, PIDM, PoCoLD)", "_2_", "_vis"),
            Naming("a_to_b", "A_to_B.png (PCDMs)", "_to_"),
            Naming("a.jpg_b.jpg", "A.jpg_B.jpg.png, one picture a file (cut from DSC's strips)", "_", suffixed=True),
            Naming(
                "patn-strip",
                "A.jpg___B.jpg_vis.jpg with 5 panels (PATN, ADGAN, XingGAN, CASD)",
                "___",
                "_vis",
                strip=("source", "source-pose", "target", "target-pose", "generated"),
            ),
            Naming(
                "dsc-strip",
                "A.jpg_B.jpg.png with 3 panels (DSC, that is pose-gan)",
                "_",
                suffixed=True,
                strip=("source", "target", "generated"),
            ),
        )
    }
)
"""The conventions that ``--naming`` knows, beside ``auto``."""
