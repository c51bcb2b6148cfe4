"""Results of the cache in a file that can be carried to a machine without the images, and back into a cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from fhpt_eval.auditing import known_headers
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.cache_file import PREFIX
from fhpt_eval.engine.cache_joining import Joined, count, join, require_room, stored
from fhpt_eval.engine.contract import ImageInfo
from fhpt_eval.engine.opening import DECODING, parse_info
from fhpt_eval.engine.results_file import LARGEST, BadFileError, ResultsFile, Stored, write
from fhpt_eval.engine.serialising import parse_strictly
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.giving import own_classifier
from fhpt_eval.evaluation.named_file import refuse_file_of_run
from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.files.atomic import replacing
from fhpt_eval.files.remote import refuse_address
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.measuring.dialects import find_dialects
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.registry import PROFILES, find_protocols, select
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing, Record

Use = Literal["asked for", "other version", "unknown"]
"""Of an extractor's results: a run on this machine can ask for them; it asks for those of another fingerprint instead;
or an extractor of this name is none that the protocols of this machine have by default or in a dialect."""

_AT_ONCE = 1024
_BYTES_AT_ONCE = 2**24
"""What is written in one transaction: each waits for the disk."""


def export_results(cache: Cache, path: Path, progress: Progress, *, overwrite: bool = False) -> int:
    """Write all results of a cache into a file; return how many.

    Damaged ones are left out and counted by the cache.

    Raises:
        UserError: The file is there and ``overwrite`` is not set, or cannot be written, or the cache cannot be read.
    """
    refuse_address(path, instead="give a file of this machine")
    refuse_file_of_run(path, "another file")
    if not overwrite and (path.exists() or path.is_symlink()):
        raise UserError(f"{path} is there: choose another file, or replace it with --overwrite.")
    total = count(cache)
    with replacing(path, "another place") as stream:
        return write(stream, _counted(stored(cache), "exporting", total, progress))


@dataclass
class OfExtractor:
    """What became of one extractor's results.

    Attributes:
        extractor: Its name.
        fingerprint: The part of its fingerprint that the cache keeps, hexadecimal.
        use: Whether runs on this machine ask for them.
        joined: What became of them.
    """

    extractor: str
    fingerprint: str
    use: Use
    joined: Joined = field(default_factory=Joined)


def import_results(
    cache: Cache, paths: Sequence[Path], numerics: Numerics, progress: Progress
) -> dict[str, OfExtractor]:
    """Add the results in files to a cache; nothing before all files are found whole, and to fit.

    Args:
        cache: Takes them in; what it has stays.
        paths: What `export_results` wrote.
        numerics: How runs compute on this machine.
        progress: Called often; cheap.

    Returns:
        What became of them, by fingerprint.

    Raises:
        UserError: A file is not whole, they do not fit, or the cache cannot be written. A file that others change
            meanwhile is found out at its end; each result of it that was imported has its checksum.
    """
    for path in paths:
        refuse_address(path, "results are not imported from", "copy the file to this machine first")
    room = 0
    for path in paths:
        with ResultsFile(path) as file:
            checked = _checked(file, _counted(file, f"checking {path.name}", file.count, progress))
            room += sum(join(cache, some, write=False).room for some in _in_lots(checked))
    require_room(cache, room)
    uses = _Uses(numerics)
    found: dict[str, OfExtractor] = {}
    for path in paths:
        with ResultsFile(path) as file:
            checked = _checked(file, _counted(file, f"importing {path.name}", file.count, progress))
            for some in _in_lots(checked):
                prefix = some[0].address[:PREFIX]
                of = found.get(prefix.hex())
                if of is None:
                    name = some[0].extractor
                    of = found[prefix.hex()] = OfExtractor(name, prefix.hex(), uses.of(prefix, name))
                of.joined += join(cache, some)
    return found


def _counted(results: Iterable[Stored], stage: str, total: int, progress: Progress) -> Iterator[Stored]:
    progress(stage, 0, total)
    for done, result in enumerate(results, start=1):
        if len(result.data) > LARGEST:
            raise UserError(f"a result of {result.extractor} is larger than {LARGEST // 2**20} MiB: it stays here.")
        yield result
        if done % _AT_ONCE == 0 or done == total:
            progress(stage, done, total)


def _in_lots(results: Iterable[Stored]) -> Iterator[list[Stored]]:
    """Yield results of one extractor that are written together."""
    for _, of_one in groupby(results, key=lambda result: result.address[:PREFIX]):
        lot: list[Stored] = []
        size = 0
        for result in of_one:
            lot.append(result)
            size += len(result.data)
            if len(lot) == _AT_ONCE or size >= _BYTES_AT_ONCE:
                yield lot
                lot, size = [], 0
        if lot:
            yield lot


_INFO = TypeAdapter(ImageInfo)


def _info_of(record: Record) -> ImageInfo:
    return _INFO.validate_python(asdict(parse_info(record)))


_READERS: Mapping[bytes, Callable[[Record], object]] = {
    bytes.fromhex(DECODING)[:PREFIX]: _info_of,
    bytes.fromhex(known_headers.FINGERPRINT)[:PREFIX]: known_headers.parse_strictly,
}
"""Of records that runs look at before any protocol does; what a protocol cannot read costs that protocol alone."""


def _checked(file: ResultsFile, results: Iterable[Stored]) -> Iterator[Stored]:
    """Yield results that are what they should be by their form; that what they say is true, nobody can tell.

    Raises:
        BadFileError: One is not.
    """
    for result in results:
        try:
            told = parse_strictly(result.data)
            if (reader := _READERS.get(result.address[:PREFIX])) is not None and not isinstance(told, Missing):
                reader(told)
        except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
            raise BadFileError(
                f"{file.path} holds a result of {result.extractor} that cannot be read: nobody but `fhpt-eval cache"
                " export` should have written it; export it again."
            ) from None
        yield result


class _Uses:
    """For which results runs on this machine ask."""

    def __init__(self, numerics: Numerics) -> None:
        here = [*_extractors_here()]
        self._names = {extractor.id for extractor in here}
        self._asked = {bytes.fromhex(extractor.fingerprint(numerics))[:PREFIX] for extractor in here}
        self._asked |= {*_READERS}

    def of(self, prefix: bytes, name: str) -> Use:
        if prefix in self._asked:
            return "asked for"
        return "other version" if name in {*self._names, "decode", "header"} else "unknown"


def _extractors_here() -> set[Extractor]:
    """Return the extractors of all protocols, in every profile and dialect."""
    every = [*find_protocols().classes]
    own = Given(gender_classifier=own_classifier("embedded"))
    protocols = [protocol for profile in PROFILES for protocol in select(every, profile)]
    protocols += [m.protocol for d in find_dialects().values() if not d.refused for m in d.measurements()]
    found: set[Extractor] = set()
    for need in (need for protocol in dict.fromkeys(protocols) for need in protocol.needs()):
        for extractor in (need.extractor, own.in_place_of(need.extractor, need.roles)):
            # In a run, a geometry that leaves the images as they are is left out.
            found |= {extractor, extractor.in_geometries(*[Geometry()] * len(extractor.geometries))}
    return found
