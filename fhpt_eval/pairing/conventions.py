"""Which naming convention the files of a folder follow, told from the other files that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.images.decoding import ImageRef, size_of
from fhpt_eval.images.formats import ImageError
from fhpt_eval.pairing.folders import Folder, Folders
from fhpt_eval.pairing.naming import NAMINGS, Naming


def convention_named(naming: str) -> Naming | None:
    """Return the convention of that name, None for ``auto``.

    Raises:
        UserError: There is none of that name.
    """
    if naming == "auto":
        return None
    if naming not in NAMINGS:
        raise UserError(f"unknown --naming '{naming}'.{did_you_mean(naming, ['auto', *NAMINGS])}")
    return NAMINGS[naming]


def detect_convention(folders: Folders, fitting: Callable[[Naming], int]) -> Naming:
    """Return the convention that ``fitting`` counts most files for, as a strip where the pictures are strips.

    Raises:
        UserError: No convention fits any file, or two fit equally many.
    """
    counts = {key: fitting(tried) for key, tried in NAMINGS.items() if not tried.strip}
    best = max(counts.values())
    if best == 0:
        raise nothing_matches(folders, list(counts))
    winners = [key for key, count in counts.items() if count == best]
    if len(winners) > 1:
        raise UserError(
            f"the names in {folders.generated.path} fit '{winners[0]}' as well as '{winners[1]}'; "
            "choose one with --naming."
        )
    plain = NAMINGS[winners[0]]
    for strip in NAMINGS.values():
        same_names = (strip.separator, strip.suffixed) == (plain.separator, plain.suffixed)
        if strip.strip and same_names and _are_strips(folders.generated, len(strip.strip)):
            return strip
    return plain


def count_fitting(naming: Naming, files: Sequence[str], folders: Folders) -> int:
    """Count the generated files whose target is there (or source, in a run without targets).

    With neither folder only the names speak. Every file fits ``same-name`` then, so that files count twice for a
    convention of two names: it wins where more than half of them follow it.
    """
    for folder, side in ((folders.target, 1), (folders.source, 0)):
        if folder:
            find = folder.find if naming.separator else folder.find_same
            return sum(any(find(split[side]) for split in naming.splits(file)) for file in files)
    return 2 * sum(bool(naming.splits(file)) for file in files) if naming.separator else len(files)


def nothing_matches(folders: Folders, tried: Sequence[str]) -> UserError:
    """Return the error that no pair is complete under the conventions ``tried``."""
    given = [folder for folder in (folders.generated, folders.target, folders.source) if folder]
    names = " and ".join(f"{folder.role} '{folder.files[0]}'" for folder in given)
    return UserError(
        f"no generated image could be paired by its name in {folders.generated.path} "
        f"(first names: {names}; naming tried: {', '.join(tried)}); "
        "choose another --naming, or list them in a CSV with the columns generated,target,source for --pairs."
    )


def _are_strips(folder: Folder, panels: int) -> bool:
    """Look at the first, middle and last file: a strip divides into its panels, and a person is not wider than high."""
    sizes = []
    for file in {folder.files[0], folder.files[len(folder.files) // 2], folder.files[-1]}:
        try:
            sizes.append(size_of(ImageRef(folder.path / file)))
        except (ImageError, OSError):
            continue  # broken files are named when they are evaluated
    return bool(sizes) and all(w % panels == 0 and w > h >= w // panels for w, h in sizes)
