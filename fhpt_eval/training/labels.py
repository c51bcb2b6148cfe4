"""Which pictures a gender classifier learns from, and what they show: from DeepFashion's names, or from a CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.extract.gender_classifier import NO_PERSON, UNKNOWN_GENDER
from fhpt_eval.files.csv_table import CsvTable, read_table
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.listing import list_folder
from fhpt_eval.pairing.lists import GENDERS, view_of
from fhpt_eval.pairing.naming import Gender, one_spelling, parse_deepfashion, without_suffix
from fhpt_eval.records import Missing

_COLUMNS = ("image", "gender", "item", "view")


@dataclass(frozen=True)
class Example:
    """A picture and its label.

    Attributes:
        ref: The picture; its name is the path below the folder.
        gender: What the classifier is to answer.
        item: What it shows; pictures of one item are never on both sides of the split.
    """

    ref: ImageRef
    gender: Gender
    item: str


class Labelled(NamedTuple):
    """What the labels say.

    Attributes:
        examples: The pictures that can be learned from, in the order of names.
        left_out: The others by name, and why.
    """

    examples: list[Example]
    left_out: dict[str, Missing]


def read_labels(images: Path, labels: Path | None = None) -> Labelled:
    """Find the pictures below a folder and their labels; whether they can be decoded is not looked at.

    Args:
        images: The folder.
        labels: A CSV (comma or tab, UTF-8) with the header ``image`` (a path below the folder) and any of ``gender``
            (as in a list of pairs), ``item`` and ``view`` (flat-lay pictures are left out,
            see `fhpt_eval.pairing.lists.view_of`); only the pictures that it lists count. What it leaves out comes from
            DeepFashion's names, as all of it does without a CSV. The item of a picture of which nothing is known is the
            picture itself.

    Raises:
        UserError: The folder or the CSV cannot be read, or a row is not valid.
    """
    if not images.is_dir():
        raise UserError(f"the folder of training images does not exist: {images}; check --images.")
    examples: list[Example] = []
    left_out: dict[str, Missing] = {}
    if labels is None:
        listing = list_folder(images)
        told: dict[str, dict[str, str]] = {name: {} for name in listing.images}
        left_out = {name: Missing(why) for name, why in listing.left_out.items()}
        if not told:
            raise UserError(
                f"no images in the folder of training images, {images}: {listing.no_images()}; check --images."
            )
    else:
        told = dict(_rows(labels, images))
    for name, cells in sorted(told.items()):
        deepfashion = parse_deepfashion(name)
        view = cells.get("view") or (deepfashion.view if deepfashion else None)
        gender = GENDERS.get(cells.get("gender", "").lower()) or (deepfashion.gender if deepfashion else None)
        # Not the whole item: 99 of DeepFashion's ids stand under two categories.
        item = cells.get("item") or (deepfashion.item_id if deepfashion else without_suffix(name))
        if view == "flat":
            left_out[name] = NO_PERSON
        elif gender is None:
            left_out[name] = UNKNOWN_GENDER
        else:
            examples.append(Example(ImageRef(images / name, name=name), gender, item))
    return Labelled(examples, left_out)


def _rows(path: Path, images: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name and the cells of each row."""
    table = read_table(path, "--labels")
    _check_header(table)
    files = {one_spelling(file): file for file in list_folder(images).images}
    seen: set[str] = set()
    for row, cells in table.rows():
        listed = _checked(cells, table.where(row), images)
        name = files.get(listed, listed)
        if name in seen:
            raise UserError(f"{table.where(row)}: '{name}' is listed a second time; keep one row.")
        seen.add(name)
        yield name, cells
    if not seen:
        raise UserError(f"{path} lists no images: below the header {','.join(_COLUMNS)} write a row for each.")


def _check_header(table: CsvTable) -> None:
    path, columns = table.path, table.header
    if "image" not in columns:
        raise UserError(f"{path} has no column 'image': its header should be 'image' with any of 'gender,item,view'.")
    for column in columns:
        if column not in _COLUMNS:
            raise UserError(f"{path} has an unknown column '{column}'.{did_you_mean(column, _COLUMNS)}")
        if columns.count(column) > 1:
            raise UserError(f"{path} has two columns for '{column}'; keep one of them.")


def _checked(row: dict[str, str], where: str, images: Path) -> str:
    gender = row.get("gender", "")
    if gender and gender.lower() not in GENDERS:
        raise UserError(f"{where}: gender '{gender}' is not known; write MEN or WOMEN, or leave it empty.")
    row["view"] = view_of(row.get("view", ""))
    path = PurePosixPath(one_spelling(row["image"]))
    if not row["image"] or path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where}: '{row['image']}' is no path below the folder of images; write it below {images}.")
    return path.as_posix()
