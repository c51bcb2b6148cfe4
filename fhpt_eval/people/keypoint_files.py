"""Keypoints read from files that a user names: OpenPose's JSON, the field's annotation lists, candidate/subset text.

In all of them the centre of the first pixel is 0; here it is 0.5 (see :mod:`fhpt_eval.maths.keypoints`). This module is
the only place where the one becomes the other.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fhpt_eval.engine.contents import READERS_OF_REMOTE
from fhpt_eval.engine.processes import threads
from fhpt_eval.errors import UserError
from fhpt_eval.files.csv_table import as_text, parse_json
from fhpt_eval.files.regular import read_head
from fhpt_eval.files.remote import RemotePath, path_at
from fhpt_eval.maths.keypoints import PARTS, Floats, Part, Points, found
from fhpt_eval.pairing.naming import picture_key
from fhpt_eval.people.by_name import Named
from fhpt_eval.records import Record

Form: TypeAlias = Literal["openpose-json", "annotations", "candidate-subset"]
Eyes: TypeAlias = Literal["right-first", "left-first"]
"""Which of the eyes and ears an annotation list names first."""

LIST_LIMIT, FILE_LIMIT = 100, 10
"""Megabytes above which an annotation list, and one file of a folder, are refused."""

FARTHEST = 2.0**20
"""No image is that wide: a larger number, or one that is not finite, means that a file is something else or broken."""

_JSON, _PLAIN_JSON, _CANDIDATE, _SUBSET = "_keypoints.json", ".json", "_candidate.txt", "_subset.txt"
_HEADER = ["name", "keypoints_y", "keypoints_x"]
_INDEX = re.compile(r"^\s*\d+\s*:")
_ABSENT = -1
_JOINTS = len(PARTS["body"])
_SCORE = _JOINTS
"""The column of a subset that holds a person's score, after the joints."""

_RIGHT_FIRST, _LEFT_FIRST = [*range(18)], [*range(14), 15, 14, 17, 16]
"""Where an annotation list has the joints of `BODY_JOINTS`."""

_BODY_25 = [*range(8), *range(9, 19)]
"""OpenPose's 18 joints in its model of 25: without the middle of the hips and the feet."""


@dataclass(frozen=True)
class KeypointFiles:
    """Keypoints of many images; two sets of files with the same content are equal, wherever they lie.

    Attributes:
        sha256: Hash of the list, or of the names inside of the folder and the content of its keypoint files.
        form: How they are written.
        eyes: Which of the eyes and ears the list names first; ``right-first`` in the other forms, where it is known.
        path: The list or the folder.
        parts: What they tell of; of OpenPose's JSON, face and hands where any file has them.
        records: For each image, by `fhpt_eval.pairing.naming.picture_key` of its name: the parts as float32 arrays of
            the layouts of `fhpt_eval.maths.keypoints` (a point that was not found is NaN, NaN, 0; the score is the
            file's confidence, 1 in an annotation list), and ``persons`` (int32 scalar). Of several persons it is the
            one of the highest score, the first of equals; OpenPose's have the sum of their joints' for a score.
    """

    sha256: str
    form: Form
    eyes: Eyes
    path: Path = field(compare=False)
    parts: tuple[Part, ...] = field(compare=False, repr=False)
    records: Mapping[str, Record] = field(compare=False, repr=False)

    @classmethod
    def at(cls, path: str | Path, eyes: Eyes = "right-first") -> KeypointFiles:
        """Read an annotation list (``name:keypoints_y:keypoints_x``), or all keypoint files below a folder.

        A folder holds ``NAME_keypoints.json`` files, or ``NAME_candidate.txt`` and ``NAME_subset.txt``, or else
        ``NAME.json``. Other files and hidden ones are ignored.

        Args:
            path: The list or the folder.
            eyes: The order in an annotation list: ``right-first``, as OpenPose has it and hence the lists of the field,
                or ``left-first``, as the field's code labels them. The other forms have one order only.

        Raises:
            UserError: There are none, or both; or one cannot be read or is not what it should be.
        """
        path = path_at(path)
        if not path.is_dir():
            data = _read(path, LIST_LIMIT)
            images = _annotations(path, data, _RIGHT_FIRST if eyes == "right-first" else _LEFT_FIRST)
            return cls._of(hashlib.sha256(data).hexdigest(), "annotations", eyes, path, images)
        names = _below(path)
        names = [name for name in names if not f"/{name}".count("/.")]
        json_names = [name for name in names if name.endswith(_JSON)]
        text_names = [name for name in names if name.endswith((_CANDIDATE, _SUBSET))]
        if not (json_names or text_names):
            json_names = [name for name in names if name.endswith(_PLAIN_JSON)]
        if bool(json_names) == bool(text_names):
            both = "both" if json_names else "neither"
            raise UserError(
                f"{path} holds {both} *{_JSON} {'and' if json_names else 'nor'} *{_CANDIDATE} with *{_SUBSET}: give a "
                "folder with one of them, or a CSV file of annotations."
            )
        read = json_names or text_names
        with threads(READERS_OF_REMOTE if isinstance(path, RemotePath) else 1) as readers:
            contents = dict(zip(read, readers.map(lambda name: _read(path / name, FILE_LIMIT), read), strict=True))
        lines = (f"{hashlib.sha256(data).hexdigest()} {name}" for name, data in contents.items())
        sha256 = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        if json_names:
            return cls._of(sha256, "openpose-json", "right-first", path, _openpose(path, contents))
        return cls._of(sha256, "candidate-subset", "right-first", path, _candidate_subset(path, contents))

    @classmethod
    def _of(cls, sha256: str, form: Form, eyes: Eyes, path: Path, images: Iterable[_Image]) -> KeypointFiles:
        images = list(images)
        _require_pixels(path, images)
        told = {part for image in images for person in image.people for part in person.points}
        parts = tuple(part for part in PARTS if part == "body" or part in told)
        first: dict[str, _Image] = {}
        records: dict[str, Record] = {}
        for image in images:
            key, record = picture_key(image.name), _record(image.people, parts)
            other = first.setdefault(key, image)
            if not _same(records.setdefault(key, record), record):
                raise UserError(
                    f"{image.where} and {other.where} tell of one picture, '{key}', and not the same: keep one of them."
                )
        return cls(sha256, form, eyes, path, parts, records)

    @cached_property
    def named(self) -> Named[Record]:
        """The records, found by the names of images."""
        return Named(self.records, self.path, "keypoints", "the keypoint files")

    def key(self, name: str) -> str | None:
        """Return the key in `records` that an image's name means; None where there is none."""
        return self.named.key(name)

    @property
    def convention(self) -> str:
        """How they are written, without what they say: ``annotations left-first``."""
        return self.form if self.eyes == "right-first" else f"{self.form} {self.eyes}"

    def __str__(self) -> str:
        return f"{self.convention} sha256:{self.sha256}"


def as_written(points: Points) -> list[tuple[float, float] | None]:
    """Return points as files count them, from 0 in the middle of the first pixel; None for one that was not found."""
    places = [(float(x) - 0.5, float(y) - 0.5) for x, y, _ in points]
    return [place if there else None for place, there in zip(places, found(points), strict=True)]


class _Person(NamedTuple):
    score: float
    points: Mapping[Part, Points]


class _Image(NamedTuple):
    name: str
    where: str
    people: Sequence[_Person]


def _record(people: Sequence[_Person], parts: Sequence[Part]) -> Record:
    there = [person for person in people if any(found(points).any() for points in person.points.values())]
    best = max(there, key=lambda person: person.score, default=_Person(0, {}))
    record: dict[str, npt.NDArray[Any]] = {"persons": np.array(len(there), np.int32)}
    for part in parts:
        points = best.points.get(part)
        record[part] = _nothing(len(PARTS[part])) if points is None else points
    if "hands" in record:
        record["hands"] = record["hands"].reshape(2, -1, 3)
    return record


def _require_pixels(path: Path, images: Iterable[_Image]) -> None:
    """Refuse shares of an image's sides, which would score as persons of one pixel."""
    every = (points for image in images for person in image.people for points in person.points.values())
    farthest = max((float(np.abs(points[found(points), :2] - 0.5).max(initial=0)) for points in every), default=0)
    if 0 < farthest <= 1:
        raise UserError(
            f"all coordinates in {path} lie between -1 and 1, so they are not pixels: run OpenPose with "
            "--keypoint_scale 0, or multiply them by the image's width and height."
        )


def _same(one: Record, other: Record) -> bool:
    return all(np.array_equal(one[name], other[name], equal_nan=True) for name in one)


def _nothing(count: int) -> Points:
    return np.tile(np.array([np.nan, np.nan, 0], np.float32), (count, 1))


def _points(values: npt.ArrayLike) -> Points:
    """From N×3 numbers of a file to our pixels, with one way to say that a point was not found."""
    points = np.array(values, dtype=np.float32)
    points[:, :2] += 0.5
    points[~found(points)] = (np.nan, np.nan, 0)
    return points


def _below(folder: Path) -> list[str]:
    """Return the files below a folder, relative to it."""
    if not isinstance(folder, RemotePath):
        return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    try:
        return folder.files_below()
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror}): give a folder of keypoint files.") from None


def _read(path: Path, megabytes: int) -> bytes:
    try:
        data = read_head(path, megabytes * 10**6 + 1)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): give a CSV file of annotations or a folder of keypoint files."
        ) from None
    if len(data) > megabytes * 10**6:
        raise UserError(f"{path} is larger than {megabytes} MB: give keypoint files only.")
    return data


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FARTHEST


# The field's annotation lists


def _annotations(path: Path, data: bytes, order: Sequence[int]) -> Iterator[_Image]:
    lines = as_text(data, path).split("\n")
    header = [cell.strip() for cell in lines[0].split(":")]
    # pandas' index has no name.
    indexed = header[0] == ""
    if header[indexed:] != _HEADER:
        raise UserError(
            f"{path} does not begin with the line '{':'.join(_HEADER)}': give such a list, a folder of *{_JSON}, or a "
            f"folder of *{_CANDIDATE} with *{_SUBSET}."
        )
    if not any(line.strip() for line in lines[1:]):
        raise UserError(f"{path} has a header but no rows: add a row for each image.")
    for row, line in enumerate(lines[1:], start=2):
        if line.strip():
            yield _annotation(_INDEX.sub("", line) if indexed else line, order, f"{path}, row {row}")


def _annotation(line: str, order: Sequence[int], where: str) -> _Image:
    # A name may hold a colon, a list of numbers cannot.
    cells = [cell.strip() for cell in line.rsplit(":", 2)]
    if len(cells) != len(_HEADER) or not cells[0]:
        raise UserError(f"{where}: not a name and two lists with ':' between them; fix the row.")
    y, x = (_numbers(cell, column, where) for cell, column in zip(cells[1:], _HEADER[1:], strict=True))
    if len(y) != len(x):
        raise UserError(f"{where}: {len(y)} values of y and {len(x)} of x; fix the row.")
    if len(x) != _JOINTS:
        raise UserError(f"{where}: {len(x)} points instead of {_JOINTS}; give OpenPose's joints of COCO.")
    rows = [(u, v, _ABSENT not in (u, v)) for u, v in zip(x, y, strict=True)]
    return _Image(cells[0], where, [_Person(0, {"body": _points(rows)[order]})])


def _numbers(cell: str, column: str, where: str) -> list[float]:
    try:
        values = parse_json(cell)
    except ValueError:
        values = None
    if not isinstance(values, list) or not all(map(_is_number, values)):
        raise UserError(f"{where}: {column} is not a list of pixels such as [12, 34, -1]; fix the row.")
    return values


# OpenPose's JSON


def _openpose(folder: Path, contents: Mapping[str, bytes]) -> Iterator[_Image]:
    for name, data in contents.items():
        yield _Image(_of_suffix(name), str(folder / name), list(_people(data, folder / name)))


def _of_suffix(file: str) -> str:
    return file.removesuffix(_JSON if file.endswith(_JSON) else _PLAIN_JSON)


def _people(data: bytes, where: Path) -> Iterator[_Person]:
    def wrong(why: str) -> UserError:
        return UserError(f"{where} is not OpenPose's JSON ({why}): give files that its --write_json wrote.")

    text = as_text(data, where)
    try:
        content = parse_json(text)
    except ValueError as error:
        raise wrong(str(error)) from None
    if isinstance(content, list):
        # ComfyUI writes a list of the pictures of a batch.
        if len(content) != 1:
            raise wrong(f"it is a list of {len(content)} pictures, not of one")
        (content,) = content
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list):
        raise wrong("it has no list 'people'")
    for number, person in enumerate(people, start=1):
        if not isinstance(person, dict):
            raise wrong(f"person {number} is not an object")
        yield _person(person, f"{where}, person {number}")


def _person(person: Mapping[str, Any], where: str) -> _Person:
    points: dict[Part, Points] = {}
    # Before OpenPose 1.3, nothing said that the points are of two dimensions.
    ending = "_2d" if "pose_keypoints_2d" in person else ""
    if f"pose_keypoints{ending}" not in person:
        raise UserError(
            f"{where}: no 'pose_keypoints_2d', nor 'pose_keypoints' as before OpenPose 1.3; write the file again."
        )
    if (body := _triples(person, f"pose_keypoints{ending}", (18, 25), where)) is not None:
        points["body"] = body if len(body) == _JOINTS else body[_BODY_25]
    if (face := _triples(person, f"face_keypoints{ending}", (70, 68), where)) is not None:
        # The last two of OpenPose's are the pupils, which iBUG and DWPose do not have.
        points["face"] = face[: len(PARTS["face"])]
    hands = [_triples(person, f"hand_{side}_keypoints{ending}", (21,), where) for side in ("left", "right")]
    if any(hand is not None for hand in hands):
        points["hands"] = np.concatenate([_nothing(21) if hand is None else hand for hand in hands])
    return _Person(float(points["body"][:, 2].sum()) if "body" in points else 0, points)


def _triples(person: Mapping[str, Any], key: str, counts: Sequence[int], where: str) -> Points | None:
    """N×3 points; None where OpenPose did not look for them."""
    values = person.get(key)
    if values is None or values == []:
        return None
    if not isinstance(values, list) or len(values) not in {3 * count for count in counts}:
        what = f"{len(values)} values" if isinstance(values, list) else "no list"
        expected = " or ".join(f"{3 * count} (x, y and score of {count} points)" for count in counts)
        raise UserError(f"{where}: '{key}' has {what} instead of {expected}; give files of OpenPose's COCO or BODY_25.")
    if not all(map(_is_number, values)):
        raise UserError(f"{where}: '{key}' holds something that is not a pixel or a score; write the file again.")
    return _points(np.reshape(values, (-1, 3)))


# Candidates of all joints, and subsets of them that make a person


def _candidate_subset(folder: Path, contents: Mapping[str, bytes]) -> Iterator[_Image]:
    names = dict.fromkeys(name.removesuffix(_CANDIDATE).removesuffix(_SUBSET) for name in contents)
    for name in names:
        for ending in (_CANDIDATE, _SUBSET):
            if name + ending not in contents:
                raise UserError(f"{folder / (name + ending)} is not there: *{_CANDIDATE} and *{_SUBSET} go together.")
        candidate, subset = folder / (name + _CANDIDATE), folder / (name + _SUBSET)
        points = _points(_table(contents[name + _CANDIDATE], candidate, 4)[:, :3])
        people = _table(contents[name + _SUBSET], subset, _JOINTS + 2)
        where = str(subset)
        yield _Image(name, where, [_assembled(row, points, f"{where}, row {i}") for i, row in enumerate(people, 1)])


def _table(data: bytes, where: Path, columns: int) -> Floats:
    rows = []
    for number, line in enumerate(as_text(data, where).split("\n"), start=1):
        cells = line.split()
        if not cells:
            continue
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            row = []
        if len(row) != columns or not all(map(_is_number, row)):
            raise UserError(f"{where}, row {number}: not {columns} pixels, scores or indices; fix the row.")
        rows.append(row)
    return np.reshape(np.array(rows), (-1, columns))


def _assembled(row: Floats, candidates: Points, where: str) -> _Person:
    chosen = row[:_JOINTS]
    if not np.isin(chosen, range(_ABSENT, len(candidates))).all():
        raise UserError(
            f"{where}: a joint is no whole number between -1 and {len(candidates) - 1}, the last row of its "
            f"*{_CANDIDATE}; write both files again."
        )
    # The last row stands for a joint that was not found, which has the index −1.
    return _Person(float(row[_SCORE]), {"body": np.concatenate([candidates, _nothing(1)])[chosen.astype(int)]})
