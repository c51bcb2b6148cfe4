"""DeepFashion's In-shop benchmark as the field of pose transfer uses it: 176×256 (width × height), train and test.

What is made from which archive:

* low-res, ``img``, 256×256: columns 40…215, no resizing, as PATN's ``tool/generate_fashion_datasets.py`` does
  (``img.crop((40, 0, 216, 256))``). ADGAN, DPTN, PISE, SPGNet and DRN take these crops.
* high-res, ``img_highres``, 750×1101: the whole picture, brought to 176×256 by Pillow's bicubic filter, as NTED's
  ``scripts/prepare_data.py`` does (sizes 256×176 and 512×352) and CFLD's data set does for its ground truth. Here the
  field disagrees: GFLA and PIDM stretch it to 256×256. The aspect ratio changes from 0.681 to 0.6875.

The two are not alike pixel for pixel, and scores against the one cannot be compared with scores against the other. A
folder is therefore made from one archive, and its report says which, with the geometry in the words of
:mod:`fhpt_eval.images.geometry`.

PNG, the default, keeps the pixels of the crop. PATN saved its crops as JPEG of Pillow's default quality, a second loss
after the data set's own; ``jpg`` gives its files.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from PIL import Image

from fhpt_eval.datasets.crops_folder import CropFolder, earlier_copy
from fhpt_eval.datasets.leakage import Picture, find_leakage
from fhpt_eval.datasets.lists import Listed, ListOfPairs, SplitList, read_list_of_pairs, read_split_list
from fhpt_eval.datasets.origins import Origin
from fhpt_eval.datasets.report import (
    MISSING,
    REPORT,
    SPLITS,
    MissingRow,
    PairsReport,
    Report,
    Split,
    as_csv,
    count_pictures,
)
from fhpt_eval.engine.processes import threads
from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.files.regular import read_regular
from fhpt_eval.images.decoding import ImageRef, Rgb, decode, size_of
from fhpt_eval.images.formats import ImageError
from fhpt_eval.images.geometry import Crop, Geometry, Resize
from fhpt_eval.images.listing import list_folder
from fhpt_eval.pairing.naming import parse_deepfashion
from fhpt_eval.progress import Progress

FORMATS: Mapping[str, str] = MappingProxyType({"png": "PNG", "jpg": "JPEG (quality 75, 4:2:0)"})
"""Suffix of the crops, and how they are stored; the JPEG is what Pillow's ``save`` writes by default."""

_SAMPLE = 50
"""Pictures that are looked at to tell the archive: one of a wrong size must not decide."""

_BETWEEN = 1000
"""Crops that are made again, at most, after a call that was killed."""


@dataclass(frozen=True)
class Archive:
    """One of the two archives of the benchmark.

    Attributes:
        name: What the field calls it.
        folder: What its folder of images is called.
        size: Width and height of its pictures.
        geometry: How they become crops of 176×256.
    """

    name: str
    folder: str
    size: tuple[int, int]
    geometry: Geometry

    @property
    def pixels(self) -> str:
        """The size for people."""
        return f"{self.size[0]}×{self.size[1]}"


ARCHIVES = (
    Archive("low-res", "img", (256, 256), Geometry((Crop(left=40, top=0, width=176, height=256),))),
    Archive("high-res", "img_highres", (750, 1101), Geometry((Resize(width=176, height=256, filter="pil-bicubic"),))),
)


_Lists: TypeAlias = Mapping[Split, SplitList]


class _Task(NamedTuple):
    split: Split
    listed: Listed
    source: str
    destination: str


class _Outcome(NamedTuple):
    origin: Origin | None
    """None for a crop that cannot be made."""
    failure: str = ""
    made: bool = False


def prepare_deepfashion(
    images: str | Path,
    train: str | Path,
    test: str | Path,
    output: str | Path,
    *,
    train_pairs: str | Path | None = None,
    test_pairs: str | Path | None = None,
    image_format: str = "png",
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Make the crops of both splits, and compare the splits.

    The output gets ``train/`` and ``test/`` with the crops under the names of the lists (with the suffix of the
    format), copies of the lists (``train.lst``, ``test.lst``, ``pairs-train.csv``, ``pairs-test.csv``),
    ``missing.csv``, ``report.json``, ``crops.csv`` (the hashes of each crop and its source), and ``recipe.json``, by
    which the folder is known. Nothing is written outside of it. A call that was stopped goes on when it is repeated: a
    crop is kept while it is whole and its source is what it was.

    Args:
        images: The folder ``img`` or ``img_highres`` of the archive. A picture is found by what its name says, in any
            spelling that :func:`fhpt_eval.pairing.naming.parse_deepfashion` knows.
        train: List of the training split, one flat name a line.
        test: List of the test split.
        output: Folder that is new, empty, or from an earlier call.
        train_pairs: CSV of the pairs of the training split, header ``from,to``; None for what an earlier call copied
            into the output, unless that is overwritten.
        test_pairs: CSV of the pairs of the test split, likewise.
        image_format: One of :data:`FORMATS`.
        overwrite: Whether to delete what an earlier call made, and make it again.
        progress: Called often.

    Returns:
        The report. Images that are not there, cannot be read or have another size than the archive's are named in it
        and have no crop; they are never replaced by others.

    Raises:
        UserError: A folder or list cannot be read or is not what it should be; the output holds something else, or was
            made by another recipe; the disk is full.
    """
    if image_format not in FORMATS:
        raise UserError(f"there is no --format '{image_format}'.{did_you_mean(image_format, FORMATS)}")
    images, output = Path(images), Path(output)
    lists: _Lists = {"train": read_split_list(Path(train), "--train"), "test": read_split_list(Path(test), "--test")}
    given: dict[Split, Path | None] = {
        "train": None if train_pairs is None else Path(train_pairs),
        "test": None if test_pairs is None else Path(test_pairs),
    }
    pairs = _read_pairs(given, None if overwrite else output)
    files = _find(images, output, lists)
    archive = _tell_archive(images, [paths[0] for paths in files.values()])
    folder, copies = _claim(output, archive, lists, pairs, image_format, overwrite=overwrite)

    missing: list[MissingRow] = []
    tasks = list(_tasks(lists, files, folder, image_format, missing))
    with closing(_crop_all(tasks, images, archive, folder, image_format, progress)) as outcomes:
        pictures, failed, made = _keep_account(tasks, outcomes, folder)
    missing = sorted((*missing, *failed), key=lambda row: (row.list != "train", row.row))
    lacking = {split: _lacking_pairs(split, pairs[split], lists[split], pictures[split]) for split in pairs}
    report = Report(
        archive=archive.name,
        source_size=archive.size,
        geometry=str(archive.geometry),
        encoding=FORMATS[image_format],
        lists=_hashes(copies),
        splits={split: count_pictures(len(lists[split].images), pictures[split]) for split in SPLITS},
        pairs={
            split: PairsReport(len(pairs[split].pairs), len(pairs[split].pairs) - len({row.row for row in rows}))
            for split, rows in lacking.items()
        },
        leakage=find_leakage(pictures["train"], pictures["test"]),
        missing=(*missing, *(row for rows in lacking.values() for row in rows)),
        made=made,
    )
    folder.write(MISSING, as_csv(report.missing))
    folder.write(REPORT, report.as_json())
    return report


def _read_pairs(given: Mapping[Split, Path | None], earlier: Path | None) -> dict[Split, ListOfPairs]:
    """Read the lists of pairs that are given, and for the others what an earlier call copied into its folder."""
    pairs: dict[Split, ListOfPairs] = {}
    for split, path in given.items():
        path = path or (earlier_copy(earlier, f"pairs-{split}.csv") if earlier else None)
        if path is not None:
            pairs[split] = read_list_of_pairs(path, f"--{split}-pairs")
    return pairs


def _claim(
    output: Path,
    archive: Archive,
    lists: _Lists,
    pairs: Mapping[Split, ListOfPairs],
    image_format: str,
    *,
    overwrite: bool,
) -> tuple[CropFolder, dict[str, bytes]]:
    """Make or take over the folder, and copy the lists into it.

    Returns:
        The folder, and what was copied by its name there.
    """
    copies = {f"{split}.lst": lists[split].content for split in SPLITS}
    recipe = {"geometry": str(archive.geometry), "encoding": FORMATS[image_format], **_hashes(copies)}
    copies |= {f"pairs-{split}.csv": pairs[split].content for split in pairs}
    folder = CropFolder(
        output,
        recipe,
        {split: frozenset(f"{i.stem}.{image_format}" for i in lists[split].images) for split in SPLITS},
        [f"{split}.lst" for split in SPLITS] + [f"pairs-{split}.csv" for split in SPLITS] + [MISSING, REPORT],
        kept=copies,
        overwrite=overwrite,
    )
    for name, content in copies.items():
        folder.write(name, content)
    return folder, copies


def _hashes(contents: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def _keep_account(
    tasks: Sequence[_Task], outcomes: Iterable[_Outcome], folder: CropFolder
) -> tuple[dict[Split, list[Picture]], list[MissingRow], int]:
    """Write down what the crops are made of, now and then, and whatever ends this call.

    Returns:
        What each split holds, what cannot be made, and how many crops were made now.
    """
    # Those of crops that are looked at only later are known, too, when this call is stopped.
    there = {task.destination for task in tasks}
    origins = {crop: origin for crop, origin in folder.origins.items() if crop in there}
    pictures: dict[Split, list[Picture]] = {"train": [], "test": []}
    failed: list[MissingRow] = []
    made = 0
    try:
        for done, (task, outcome) in enumerate(zip(tasks, outcomes, strict=True), 1):
            if outcome.origin is None:
                failed.append(MissingRow(task.split, task.listed.row, task.listed.name, outcome.failure))
                origins.pop(task.destination, None)
            else:
                pictures[task.split].append(Picture(task.listed.name, task.listed.shows, outcome.origin.source))
                origins[task.destination] = outcome.origin
                made += outcome.made
            if done % _BETWEEN == 0:
                folder.write_origins(origins)
    except BaseException:
        # The first error is the one to tell.
        with suppress(UserError):
            folder.write_origins(origins)
        raise
    folder.write_origins(origins)
    return pictures, failed, made


def _find(images: Path, output: Path, lists: _Lists) -> dict[str, tuple[str, ...]]:
    """Return the relative paths of every listed picture, by its flat name; those without a file are left out."""
    expected = (
        "--images expects the folder img or img_highres of DeepFashion's In-shop benchmark, with files like"
        " WOMEN/Dresses/id_00000203/03_1_front.jpg"
    )
    if not images.is_dir():
        raise UserError(f"{images} is no folder: {expected}.")
    if output.resolve().is_relative_to(images.resolve()):
        raise UserError(f"{output} lies in the folder of images, {images}: choose a folder outside of it with -o.")
    found: dict[str, list[str]] = defaultdict(list)
    for file in list_folder(images).images:
        name = parse_deepfashion(file)
        if name is not None:
            found[name.flat_name].append(file)
    if not found:
        raise UserError(f"{images} holds no DeepFashion images: {expected}.")
    listed = (image.shows.flat_name for split in SPLITS for image in lists[split].images)
    files = {name: tuple(found[name]) for name in listed if name in found}
    if not files:
        first = lists["train"].images[0].name
        raise UserError(f"{images} holds none of the listed images, '{first}' for example: check --images and --train.")
    return files


def _tell_archive(images: Path, files: Sequence[str]) -> Archive:
    """Tell from which archive the pictures are; most of a sample decide."""
    sizes: Counter[tuple[int, int]] = Counter()
    for file in files[:: max(1, len(files) // _SAMPLE)]:
        try:
            sizes[size_of(ImageRef(images / file))] += 1
        except (ImageError, OSError):
            continue
    best = max(ARCHIVES, key=lambda archive: sizes[archive.size])
    if not sizes[best.size]:
        seen = ", ".join(f"{width}×{height}" for (width, height), _ in sizes.most_common(3)) or "unreadable"
        known = " nor ".join(f"{archive.pixels} ({archive.folder})" for archive in ARCHIVES)
        raise UserError(f"the images in {images} are {seen}, neither {known}: give the folder of an archive as it is.")
    return best


def _tasks(
    lists: _Lists,
    files: Mapping[str, tuple[str, ...]],
    folder: CropFolder,
    image_format: str,
    missing: list[MissingRow],
) -> Iterator[_Task]:
    """Yield what can be done, and add to ``missing`` what cannot."""
    for split in SPLITS:
        for listed in lists[split].images:
            sources = files.get(listed.shows.flat_name, ())
            file = f"{listed.stem}.{image_format}"
            if len(sources) == 1:
                yield _Task(split, listed, sources[0], f"{split}/{file}")
                continue
            # What the folder holds is what the report counts.
            folder.remove(f"{split}/{file}")
            reason = f"several files show it: {sources[0]} and {sources[1]}" if sources else "no file shows it"
            missing.append(MissingRow(split, listed.row, listed.name, reason))


def _crop_all(
    tasks: Sequence[_Task],
    images: Path,
    archive: Archive,
    folder: CropFolder,
    image_format: str,
    progress: Progress | None,
) -> Generator[_Outcome, None, None]:
    """Do the tasks in several threads (Pillow, zlib and the hash leave the others running); yield in their order."""
    with threads() as pool:
        outcomes = pool.map(lambda task: _crop(task, images, archive, folder, image_format), tasks)
        for done, outcome in enumerate(outcomes, 1):
            if progress:
                progress("cropping", done, len(tasks))
            yield outcome


def _crop(task: _Task, images: Path, archive: Archive, folder: CropFolder, image_format: str) -> _Outcome:
    try:
        data = read_regular(images / task.source)
        source = hashlib.sha256(data).hexdigest()
        if folder.holds(task.destination, source):
            return _Outcome(folder.origins[task.destination])
        pixels = decode(data).pixels
        height, width = pixels.shape[:2]
        if (width, height) != archive.size:
            raise ImageError(f"{width}×{height} pixels, not the {archive.pixels} of the {archive.name} archive")
    except (ImageError, OSError) as error:
        folder.remove(task.destination)
        reason = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
        return _Outcome(None, failure=reason)
    crop = _encode(archive.geometry.apply(pixels), image_format)
    folder.write(task.destination, crop)
    return _Outcome(Origin(source, hashlib.sha256(crop).hexdigest()), made=True)


def _encode(pixels: Rgb, image_format: str) -> bytes:
    stream = BytesIO()
    image = Image.fromarray(pixels)
    if image_format == "png":
        # On these pictures level 3 takes half the time of Pillow's 6, for files that are 3 % larger.
        image.save(stream, "PNG", compress_level=3)
    else:
        image.save(stream, "JPEG", quality=75, subsampling="4:2:0")
    return stream.getvalue()


def _lacking_pairs(
    split: Split, pairs: ListOfPairs, listed: SplitList, pictures: Sequence[Picture]
) -> list[MissingRow]:
    in_list = {image.shows for image in listed.images}
    in_folder = {picture.shows for picture in pictures}
    rows = []
    for pair in pairs.pairs:
        for image in dict.fromkeys(pair):
            if image.shows not in in_folder:
                reason = f"no crop, see {split}" if image.shows in in_list else f"not in {split}.lst"
                rows.append(MissingRow(f"pairs-{split}", image.row, image.name, reason))
    return rows
