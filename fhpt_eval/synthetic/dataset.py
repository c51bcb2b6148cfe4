"""Writing a data set of rendered people: DeepFashion's tree and names, and all that is known in the field's formats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fhpt_eval._version import __version__
from fhpt_eval.datasets.leakage import Picture, find_leakage
from fhpt_eval.datasets.lists import read_list_of_pairs
from fhpt_eval.datasets.report import SPLITS, Split
from fhpt_eval.errors import UserError
from fhpt_eval.files.csv_table import csv_text
from fhpt_eval.pairing.naming import DeepFashionName, parse_deepfashion
from fhpt_eval.progress import Progress
from fhpt_eval.synthetic.card import Counts, count_photographs, data_card
from fhpt_eval.synthetic.dataset_folder import ANNOTATIONS, CARD, LABELLED, PAIRS, TRUTH, DataSetFolder, read_truth
from fhpt_eval.synthetic.rendering import PICTURES, Renderer, Shoot, find_renderer, make_all
from fhpt_eval.synthetic.shots import Shot, pairs_of, plan_shots
from fhpt_eval.synthetic.truth import ANNOTATION_HEADER, Truth

_SMALLEST, _LARGEST = 32, 4096
"""Pixels of a side: below, nobody is seen; above, an image takes hours."""

_PAIR_COLUMNS = ("from", "to", "identity", "item", "gender", "view")
_LABEL_COLUMNS = ("image", "gender", "item", "view")


@dataclass(frozen=True)
class Made:
    """What came of a command.

    Attributes:
        made: Photographs that were made now.
        kept: Photographs that an earlier command had made.
        splits: What each split holds.
    """

    made: int
    kept: int
    splits: Mapping[Split, Counts]


def make(
    output: str | Path,
    *,
    identities: int,
    views: int,
    seed: int,
    size: tuple[int, int],
    workers: int,
    photographic: bool = False,
    overwrite: bool = False,
    renderer: Renderer | None = None,
    progress: Progress | None = None,
) -> Made:
    """Render a data set and write down what is known of it; the bytes do not depend on the number of workers.

    The folder gets ``img/`` (JPEG), ``masks/`` (PNG, classes of pixels) and ``openpose/`` (JSON) with the same paths
    inside, lists of annotations and pairs for each split, ``truth.jsonl`` with everything, a data card, and
    ``recipe.json``, by which it is known. Nothing is written outside of it. A call that was stopped goes on when it is
    repeated: a photograph is kept while its files are whole.

    Args:
        output: Folder that is new, empty, or from an earlier call.
        identities: How many people.
        views: Photographs of each, at least 2.
        seed: Of all that is random, from 0.
        size: Height and width of the images in pixels.
        workers: How many processes.
        photographic: Whether images get the blur, noise and JPEG of real photographs.
        overwrite: Whether to delete what an earlier call made, and make it again.
        renderer: What makes the photographs; the package's where it is None.
        progress: Called often.

    Raises:
        UserError: A number cannot be; the folder holds something else; the disk is full; workers cannot start.
        RuntimeError: The written splits have a person or an image in common.
    """
    output = Path(output)
    if not all(_SMALLEST <= side <= _LARGEST for side in size):
        raise UserError(
            f"--size cannot be {size[0]}x{size[1]}: give height and width from {_SMALLEST} to {_LARGEST} pixels."
        )
    if seed < 0 or workers < 1:
        raise UserError("--seed begins at 0, and --workers at 1: give such numbers.")
    renderer = renderer or find_renderer()
    shots = plan_shots(partial(renderer.sample_identity, seed), identities, views, seed)
    options = {"identities": identities, "views": views, "seed": seed, "size": f"{size[0]}x{size[1]}"}
    options |= {"photographic": photographic}
    folder = DataSetFolder(
        output,
        {"version": __version__, "pictures": PICTURES, **options},
        [shot.stem for shot in shots],
        overwrite=overwrite,
    )
    rows = folder.known()
    kept = len(rows)
    shoot = Shoot(renderer, output, seed, size, photographic)
    _photograph(shoot, [shot for shot in shots if shot.name not in rows], workers, folder, rows, progress)

    for name, content in _lists(shots, rows).items():
        folder.write_if_other(name, content)
    _check(output, shots)
    counts = {split: count_photographs(_truths(shots, rows, split), _pairs(shots, split)) for split in SPLITS}
    if not (output / CARD).exists():
        # One that is there may have got measured numbers since.
        folder.write(CARD, data_card(options, counts, renderer.labels))
    folder.finish()
    return Made(len(shots) - kept, kept, counts)


def _photograph(
    shoot: Shoot,
    todo: Sequence[Shot],
    workers: int,
    folder: DataSetFolder,
    rows: dict[str, str],
    progress: Progress | None,
) -> None:
    """Make what is to be done, and add its rows."""
    if not todo:
        return
    with folder.journal(rows.values()) as add, closing(make_all(shoot, todo, min(workers, len(todo)))) as made:
        for done, (name, row) in enumerate(made, 1):
            add(row)
            rows[name] = row
            if progress:
                progress("rendering", done, len(todo))


def _lists(shots: Sequence[Shot], rows: Mapping[str, str]) -> dict[str, str]:
    lists = {TRUTH: "".join(f"{rows[shot.name]}\n" for shot in shots)}
    for split in SPLITS:
        annotations = (truth.annotation() for truth in _truths(shots, rows, split))
        lists[ANNOTATIONS[split]] = "".join(f"{line}\n" for line in (ANNOTATION_HEADER, *annotations))
        lists[PAIRS[split]] = csv_text([_PAIR_COLUMNS, *_pairs(shots, split)])
        shown = ((s.name, s.shows.gender, s.shows.item, s.view) for s in shots if s.split == split)
        lists[LABELLED[split]] = csv_text([_LABEL_COLUMNS, *shown])
    return lists


def _pairs(shots: Iterable[Shot], split: Split) -> list[tuple[str | int, ...]]:
    return [
        (source.name, target.name, target.identity, target.shows.item, target.shows.gender, target.view)
        for source, target in pairs_of(shot for shot in shots if shot.split == split)
    ]


def _truths(shots: Iterable[Shot], rows: Mapping[str, str], split: Split) -> Iterator[Truth]:
    for shot in shots:
        if shot.split == split:
            truth = Truth.parse(rows[shot.name])
            if truth is None:
                raise RuntimeError(f"the renderer told something of {shot.name} that the truth cannot hold")
            yield truth


def _check(output: Path, shots: Sequence[Shot]) -> None:
    """Read the lists back: no person, garment or image may be in both splits, no pair may leave its garment."""
    pictures: dict[Split, list[Picture]] = {split: [] for split in SPLITS}
    people: dict[Split, set[int]] = {split: set() for split in SPLITS}
    for truth in read_truth(output):
        pictures[truth.split].append(Picture(truth.name, _named(truth.name), truth.sha256["img"]))
        people[truth.split].add(truth.identity)
    shared = [leak.level for leak in find_leakage(pictures["train"], pictures["test"]) if leak.shared]
    if people["train"] & people["test"]:
        shared.append("identity")
    if shared or sum(map(len, pictures.values())) != len(shots):
        raise RuntimeError(f"the splits in {output} are not what was planned: shared are {shared or 'none'}")
    for split in SPLITS:
        names = {picture.name for picture in pictures[split]}
        for source, target in read_list_of_pairs(output / PAIRS[split], "-o").pairs if names else ():
            if source.shows.item != target.shows.item or not {source.name, target.name} <= names:
                raise RuntimeError(f"{output / PAIRS[split]} pairs {source.name} with {target.name}")


def _named(name: str) -> DeepFashionName:
    shows = parse_deepfashion(name)
    if shows is None:
        raise RuntimeError(f"{name} is no name of DeepFashion's")
    return shows
