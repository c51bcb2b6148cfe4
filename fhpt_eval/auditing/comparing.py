"""What stands out in a folder of generated images beside the real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fhpt_eval.auditing.findings import Finding, Found, of_all, tally
from fhpt_eval.auditing.folder import FolderAudit, images
from fhpt_eval.errors import UserError
from fhpt_eval.images.borders import Borders
from fhpt_eval.images.headers import Header
from fhpt_eval.measuring.flaws import Flaw
from fhpt_eval.pairing.pairs import Pairs

_BLURRED = 2
"""Pixels by which a loss may move the edge of a border."""


def differences(audit: FolderAudit, target: FolderAudit) -> list[Finding]:
    """Return in what generated images and their targets are unlike."""
    return [Finding(str(audit), *found) for found in _differences(audit, target)]


def copies(audit: FolderAudit, real: FolderAudit, flaw: Flaw) -> list[Finding]:
    """Return which images are files of a folder of real ones, byte by byte."""
    names = [picture.name for picture in audit.pictures if picture.content in real.contents]
    what = f"{of_all(len(names), len(audit.pictures))} byte by byte the same as one in {real}"
    return [Finding(str(audit), flaw, what, names if len(names) < len(audit.pictures) else ())] if names else []


def same_borders(audit: FolderAudit, target: FolderAudit) -> bool:
    """Whether the white borders of both are equally wide, or neither has any."""
    here, there = (found.borders[0] if found.borders else Borders(0, 0, 0, 0) for found in (audit, target))
    return all(abs(one - other) <= _BLURRED for one, other in zip(here, there, strict=True))


def _differences(audit: FolderAudit, target: FolderAudit) -> Iterator[Found]:
    try:
        pairs = Pairs.from_folders(audit.listing.folder, target.listing.folder)
    except UserError:
        yield "fewer", f"no image could be paired by its name with one in {target}", ()
        return
    if without := [*pairs.report.missing, *pairs.report.ambiguous, *pairs.report.extra]:
        yield "fewer", f"{images(len(without))} without a pair in {target}", without
    both = [
        (one, other)
        for pair in pairs
        if pair.generated and pair.target and pair.generated.panel is None
        if (one := _header(audit, pair.generated.path)) and (other := _header(target, pair.target.path))
    ]
    if not both:
        return
    sizes = Counter((one.dimensions, other.dimensions) for one, other in both if one.size != other.size)
    if sizes:
        (size, targets), count = sizes.most_common(1)[0]
        about = f" with {_borders(audit)}" if audit.borders else ""
        more = f" (and {len(sizes) - 1} other pairs of sizes)" if len(sizes) > 1 else ""
        what = f"{size}{about} and the target {targets} for {of_all(count, len(both))}{more}"
        yield "sizes", f"{what}: `fhpt-eval run` says whether to crop or to resize", ()
    elif not same_borders(audit, target):
        yield "alignment", f"{_borders(audit)} here, {_borders(target)} in {target}", ()
    if audit.lossless and not target.lossless:
        yield "compression", f"{tally(audit.stored)} here, {tally(target.stored)} in {target}", ()
    if {*audit.modes} != {*target.modes}:
        yield "reading", f"{tally(audit.modes)} here, {tally(target.modes)} in {target}", ()


def _header(audit: FolderAudit, path: Path) -> Header | None:
    return audit.headers.get(path.relative_to(audit.listing.folder).as_posix())


def _borders(audit: FolderAudit) -> str:
    return f"white borders of {audit.borders[0]}" if audit.borders else "no white borders"
