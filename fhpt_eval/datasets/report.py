"""What preparing a data set gave: counts, what is missing, what the splits share."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from fhpt_eval.datasets.leakage import Leak, Picture
from fhpt_eval.files.csv_table import csv_text
from fhpt_eval.pairing.naming import VIEWS

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")

REPORT, MISSING = "report.json", "missing.csv"


@dataclass(frozen=True)
class MissingRow:
    """A row of a list for which there is no crop.

    Attributes:
        list: ``train``, ``test``, ``pairs-train`` or ``pairs-test``.
        row: Number of its line in that file, from 1.
        name: The picture as the row names it.
        reason: Why, in a phrase.
    """

    list: str
    row: int
    name: str
    reason: str


@dataclass(frozen=True)
class SplitReport:
    """What the folder of a split holds.

    Attributes:
        listed: Names in the list.
        images: Crops in the folder; the other numbers are about these.
        items: Different items (gender, category and id).
        item_colours: Different items in different colours.
        genders: Images of MEN and of WOMEN.
        views: Images of each view.
    """

    listed: int
    images: int
    items: int
    item_colours: int
    genders: Mapping[str, int]
    views: Mapping[str, int]


@dataclass(frozen=True)
class PairsReport:
    """How a list of pairs and the crops meet.

    Attributes:
        listed: Rows of the list.
        complete: Rows whose two images are in the folder of the split.
    """

    listed: int
    complete: int


@dataclass(frozen=True)
class Report:
    """What was prepared.

    Attributes:
        archive: ``low-res`` or ``high-res``.
        source_size: Width and height of the archive's pictures.
        geometry: How crops were made of them, as :class:`fhpt_eval.images.geometry.Geometry` reads it.
        encoding: How they were stored.
        lists: SHA-256 of each list by the name that its copy has.
        splits: What the folders hold.
        pairs: For each list of pairs that was given.
        leakage: What the two folders have in common, one entry a level.
        missing: Every listed image without a crop, then every pair that lacks one.
        made: Crops that this call made; the others were there.
    """

    archive: str
    source_size: tuple[int, int]
    geometry: str
    encoding: str
    lists: Mapping[str, str]
    splits: Mapping[Split, SplitReport]
    pairs: Mapping[Split, PairsReport]
    leakage: tuple[Leak, ...]
    missing: tuple[MissingRow, ...]
    made: int

    def as_json(self) -> str:
        """Return the content of ``report.json``: the same whether or not the work was done in several goes."""
        content = asdict(self)
        del content["made"]
        return json.dumps(content, indent=2, ensure_ascii=False)


def count_pictures(listed: int, pictures: Sequence[Picture]) -> SplitReport:
    """Count what the pictures of a split show; ``listed`` is the number of names in its list."""
    shown = [picture.shows for picture in pictures]
    genders = Counter(name.gender for name in shown)
    views = Counter(name.view for name in shown)
    return SplitReport(
        listed=listed,
        images=len(shown),
        items=len({name.item for name in shown}),
        item_colours=len({name.item_colour for name in shown}),
        genders={"MEN": genders["MEN"], "WOMEN": genders["WOMEN"]},
        views={view: views[view] for view in VIEWS.values()},
    )


def as_csv(missing: Sequence[MissingRow]) -> str:
    """Return the content of ``missing.csv``."""
    return csv_text(
        [("list", "row", "name", "reason"), *((row.list, row.row, row.name, row.reason) for row in missing)]
    )
