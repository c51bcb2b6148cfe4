"""What of a folder is worth a look before its numbers are believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from fhpt_eval.auditing.folder import FolderAudit, Picture, images
from fhpt_eval.images.headers import Header
from fhpt_eval.measuring.flaws import Flaw


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    Attributes:
        folder: Where.
        flaw: What kind of flaw it is.
        what: What was found, in a sentence without a full stop.
        files: Images that show it; empty where all do.
    """

    folder: str
    flaw: Flaw
    what: str
    files: Sequence[str] = ()


def findings_of(audit: FolderAudit, *, generated: bool = True) -> list[Finding]:
    """Return what stands out in a folder by itself.

    Args:
        audit: What is in it.
        generated: Whether a model made its images: real ones may be stored with a loss or in borders, as data sets
            are; what is unlike in both is found by `fhpt_eval.auditing.comparing`.
    """
    stored = partial(_stored, generated=generated)
    rules = (_fewer, _sizes, stored, *((_borders,) if generated else ()), _reading, _duplicates)
    return [Finding(str(audit), *found) for rule in rules for found in rule(audit)]


Found = tuple[Flaw, str, Sequence[str]]


def _fewer(audit: FolderAudit) -> Iterator[Found]:
    for files, what in ((audit.unreadable, "cannot be read"), (audit.listing.left_out, "left out")):
        if files:
            yield "fewer", f"{images(len(files))} {what}", [f"{name}: {why}" for name, why in files.items()]


def _sizes(audit: FolderAudit) -> Iterator[Found]:
    if len(audit.sizes) > 1:
        common = next(iter(audit.sizes))
        others = _having(audit, lambda header: header.dimensions != common)
        yield "sizes", f"pictures of several sizes: {tally(audit.sizes)}", others


def _stored(audit: FolderAudit, *, generated: bool) -> Iterator[Found]:
    """Yield a loss, which data sets may have, unless it is not the same for all."""
    if audit.lossless:
        return
    lossy = _having(audit, lambda header: header.lossy)
    disguised = [name for name in lossy if name.lower().endswith(_WITHOUT_LOSS)]
    though = f", though {of_all(len(disguised), len(audit.headers))} end as if without" if disguised else ""
    if len(audit.stored) > 1:
        common = next(iter(audit.stored))
        others = _having(audit, lambda header: header.stored != common)
        yield "compression", f"some are stored with more loss than others{though}: {tally(audit.stored)}", others
    elif generated or disguised:
        yield "compression", f"stored with a loss{though} ({tally(audit.stored)}): save as PNG what a model made", ()


_WITHOUT_LOSS = (".png", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")


def _borders(audit: FolderAudit) -> Iterator[Found]:
    if audit.borders is None:
        return
    borders, count = audit.borders
    looked_at = sum(picture.borders is not None for picture in audit.pictures)
    yield "borders", f"white borders of {borders} about {of_all(count, looked_at)}", ()


def _reading(audit: FolderAudit) -> Iterator[Found]:
    rules: tuple[tuple[str, Callable[[Picture, Header], bool]], ...] = (
        ("an EXIF orientation, which is applied here and ignored elsewhere", lambda _, header: header.turned),
        (
            "transparency, which is put on white here and dropped elsewhere",
            lambda picture, _: "alpha composited on white" in picture.notes,
        ),
        ("samples of 16 bits, of which the high byte counts", lambda _, header: header.wide),
        ("no colours, only grey", lambda _, header: header.mode in {"1", "L", "LA"} or header.mode.startswith("I")),
        ("a palette of 256 colours at most", lambda _, header: header.mode in {"P", "PA"}),
        ("colours for print (CMYK), which tools convert differently", lambda _, header: header.mode == "CMYK"),
    )
    for what, is_so in rules:
        names = [picture.name for picture in audit.pictures if picture.header and is_so(picture, picture.header)]
        if names:
            yield "reading", f"{of_all(len(names), len(audit.headers))} with {what}", _some(audit, names)


def _duplicates(audit: FolderAudit) -> Iterator[Found]:
    if audit.duplicates:
        more = sum(len(names) - 1 for names in audit.duplicates)
        what = f"{images(more)} byte by byte the same as another"
        yield "duplicates", what, [_equal(names) for names in audit.duplicates]


def _equal(names: Sequence[str]) -> str:
    more = len(names) - 3
    return " = ".join(names[:3]) + (f" = {more:,} more" if more > 0 else "")


def _having(audit: FolderAudit, what: Callable[[Header], bool]) -> list[str]:
    return [name for name, header in audit.headers.items() if what(header)]


def _some(audit: FolderAudit, names: Sequence[str]) -> Sequence[str]:
    """Return the names, unless they are all there are."""
    return names if len(names) < len(audit.headers) else ()


def of_all(count: int, total: int) -> str:
    """Return how many of all images, in words."""
    return ("all images" if total > 1 else "the image") if count == total else f"{count:,} of {images(total)}"


def tally(counts: dict[str, int], most: int = 4) -> str:
    """Return counts in words, those of the commonest alone where there are many."""
    if len(counts) == 1:
        return next(iter(counts))
    shown = [f"{what} ({count:,})" for what, count in [*counts.items()][:most]]
    return ", ".join(shown) + (f" and {len(counts) - most} more" if len(counts) > most else "")
