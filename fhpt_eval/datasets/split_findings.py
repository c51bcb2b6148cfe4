"""Images of a folder, by their DeepFashion names, against the lists of the field's splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fhpt_eval.auditing.findings import Finding, of_all
from fhpt_eval.auditing.folder import FolderAudit, images
from fhpt_eval.datasets.leakage import Picture, find_leakage
from fhpt_eval.datasets.lists import SplitList
from fhpt_eval.errors import UserError
from fhpt_eval.pairing.naming import NAMINGS, DeepFashionName, parse_deepfashion


def split_findings(audits: Iterable[FolderAudit], train: SplitList | None, test: SplitList | None) -> Iterator[Finding]:
    """Return what of each folder is in the training list, shows garments that are there, or is not in the test list.

    Raises:
        UserError: No image is named as DeepFashion's are.
    """
    known = False
    for audit in audits:
        shown = {p.name: shows for p in audit.pictures if (shows := _shown(p.name)) is not None}
        known = known or bool(shown)
        if train is not None:
            yield from _of_training(str(audit), shown, train)
        if test is not None:
            listed = _listed(test)
            if others := [name for name, shows in shown.items() if shows.flat_name not in listed]:
                yield Finding(
                    str(audit), "others", f"{of_all(len(others), len(shown))} not named in {test.path}", others
                )
    if not known:
        raise UserError("--train and --test: no image has a name of DeepFashion's; leave the lists out.")
    if train is not None and test is not None:
        yield from _of_training(str(test.path), {image.name: image.shows for image in test.images}, train)


def _of_training(where: str, shown: dict[str, DeepFashionName], train: SplitList) -> Iterator[Finding]:
    listed = _listed(train)
    if trained := [name for name, shows in shown.items() if shows.flat_name in listed]:
        what = f"{of_all(len(trained), len(shown))} named in {train.path}: right for a reference set, not for targets"
        yield Finding(where, "leakage", what, trained)
    others = [Picture(name, shows, "here") for name, shows in shown.items() if shows.flat_name not in listed]
    leaks = find_leakage((Picture(image.name, image.shows, "there") for image in train.images), others)
    for leak in (leak for leak in leaks if leak.level == "item"):
        if leak.shared:
            what = f"{images(leak.test_images)} ({leak.test_share:.1%}) of garments that {train.path} has pictures of"
            yield Finding(where, "leakage", what, [f"{pair.test}: {pair.shared}" for pair in leak.examples])


def _listed(split: SplitList) -> set[str]:
    return {image.shows.flat_name for image in split.images}


def _shown(name: str) -> DeepFashionName | None:
    """Return what an image shows: the picture that it is called after, or of two names the target."""
    if (shows := parse_deepfashion(name)) is not None:
        return shows
    both = (naming.parse(name) for naming in NAMINGS.values() if naming.separator)
    targets = (parse_deepfashion(names[1]) for names in both if names is not None)
    return next((shows for shows in targets if shows is not None), None)
