"""Which protocols can run on these images, and what the engine is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fhpt_eval.engine.contract import Plan
from fhpt_eval.errors import Unavailable, UserError
from fhpt_eval.evaluation.reference_file import ReferenceFile
from fhpt_eval.extract.extractor import Extractor, ImageExtractor, PairExtractor
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.extract.weights import Store, Weights
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.images.listing import Listing
from fhpt_eval.images.sizes import common_size
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import Need, Protocol
from fhpt_eval.measuring.reference_features import ReferenceNeed
from fhpt_eval.measuring.requirements import lacks_packages
from fhpt_eval.pairing.pairs import Pair, Pairs, ReferenceSet
from fhpt_eval.progress import Progress
from fhpt_eval.records import Role


@dataclass(frozen=True)
class ImageSets:
    """The images under evaluation, by role.

    Attributes:
        pairs: Generated images with their targets and sources.
        given_reference: The reference set, or a file made of it; None for the unique targets of the pairs.
        given: What is known beside the images.
    """

    pairs: Pairs
    given_reference: Sequence[ImageRef] | ReferenceFile | None = None
    given: Given = field(default_factory=Given)

    @property
    def reference_file(self) -> ReferenceFile | None:
        """The file that stands for a reference set, if there is one: no image of it is here."""
        return self.given_reference if isinstance(self.given_reference, ReferenceFile) else None

    @property
    def reference_images(self) -> Sequence[ImageRef]:
        """The images of the given reference set."""
        return () if isinstance(self.given_reference, ReferenceFile) else self.given_reference or ()

    def reference_need(self, protocol: Protocol) -> ReferenceNeed | None:
        """Return what a protocol looks at of the given reference set, or would if there were one."""
        need = protocol.reference_need()
        return None if need is None or need.role == "target" else need

    def unique(self, role: Role) -> Sequence[ImageRef]:
        """Return the different images of a role, in the order of their names."""
        if role == "given":
            return self.reference_images
        if role != "reference":
            return self.pairs.unique(role)
        return self.pairs.unique("target") if self.given_reference is None else self.reference_images

    @property
    def listings(self) -> tuple[Listing, ...]:
        """All that the folders of these images hold, each folder once."""
        reference = self.given_reference
        more = [reference.listing] if isinstance(reference, ReferenceSet) else []
        return tuple({listing.folder: listing for listing in (*self.pairs.listings, *more)}.values())

    @property
    def left_out(self) -> dict[str, str]:
        """What may be an image in these folders and is not looked at, by its path, and why."""
        return {str(listing.folder / name): why for listing in self.listings for name, why in listing.left_out.items()}

    def seen_by(self, protocol: Protocol) -> ImageSets:
        """Return the images as a protocol looks at them."""
        return replace(self, pairs=protocol.seen(self.pairs, self.given))

    def needs(self, protocol: Protocol) -> tuple[Need, ...]:
        """Return what runs for a protocol on these images, with what is given taken into account."""
        return tuple(Need(self.given.in_place_of(n.extractor, n.roles), n.roles) for n in protocol.needs())

    @staticmethod
    def of_pair(pair: Pair, role: Role) -> ImageRef | None:
        """Return the image that a pair has in a role."""
        return None if role in {"reference", "given"} else getattr(pair, role)

    def lacking(self, role: Role) -> int:
        """How many pairs have no image in a role although such images were given."""
        given = role if role != "reference" else "target"
        if role == "given" or (role == "reference" and self.given_reference is not None):
            return 0
        lacks = [self.of_pair(pair, given) is None for pair in self.pairs]
        return 0 if all(lacks) else sum(lacks)


@dataclass(frozen=True)
class Prepared:
    """What an evaluation would do, before anything is computed.

    Attributes:
        ready: Protocols that can run.
        unavailable: For each other protocol, why it cannot and what would enable it.
        plan: What the engine is asked for.
        weights: The verified file of each weights name.
        same: For extractors whose geometry leaves these images as they are, the one without it: computed once.
        downloads: Weights that would have to be downloaded first; empty once they have been.
        warnings: What the reader of the numbers must know, one sentence each.
    """

    ready: tuple[Protocol, ...]
    unavailable: Mapping[Protocol, str]
    plan: Plan
    weights: Mapping[str, Path]
    same: Mapping[Extractor, Extractor] = field(default_factory=dict)
    downloads: tuple[Weights, ...] = ()
    warnings: tuple[str, ...] = ()

    def ran(self, extractor: Extractor) -> Extractor:
        """Return the extractor that the plan has in the place of one that a protocol asks for."""
        return self.same.get(extractor, extractor)


def prepare(
    images: ImageSets,
    protocols: Sequence[Protocol],
    store: Store,
    progress: Progress | None = None,
    *,
    fetch: bool = True,
    numerics: Numerics | None = None,
) -> Prepared:
    """Find out which protocols can run, and plan the extraction.

    Args:
        images: What is evaluated.
        protocols: What is wanted.
        store: Where weights are looked for.
        progress: Called while weights are downloaded.
        fetch: Download what is absent; False only tells what would be downloaded.
        numerics: How it will be computed, which a file of a reference set must fit.
    """
    weights: dict[str, Path] = {}
    downloads: dict[str, Weights] = {}
    unavailable: dict[Protocol, str] = {}
    ready = []
    for protocol in protocols:
        wanted = {file.name: file for need in images.needs(protocol) for file in need.extractor.weights()}
        try:
            if (lacking := lacks_packages(protocol) or protocol.lacks(images.given)) is not None:
                raise Unavailable(lacking)
            _check_roles(protocol, images)
            _check_reference(protocol, images, numerics)
            for name, file in wanted.items():
                if name in weights or name in downloads:
                    continue
                if not fetch and not store.forbidden and file.url is not None and store.find(file) is None:
                    downloads[name] = file
                else:
                    weights[name] = store.get(file, _reporter(progress, name))
        except UserError as error:
            unavailable[protocol] = str(error)
        else:
            ready.append(protocol)
    same = _same(ready, images)
    plan = _plan(ready, images, same)
    warnings = _other_versions(ready, images, numerics or Numerics())
    return Prepared(tuple(ready), unavailable, plan, weights, same, tuple(downloads.values()), tuple(warnings))


def _reporter(progress: Progress | None, name: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(f"downloading {name}", done, total)


def _check_roles(protocol: Protocol, images: ImageSets) -> None:
    for role in sorted({role for need in protocol.needs() for role in need.roles}):
        if images.unique(role) or (images.reference_file is not None and role in {"reference", "given"}):
            continue
        if role == "given":
            raise Unavailable(
                "it compares with a set of real images, such as the whole training split: give their folder with"
                " --reference DIR"
            )
        if role == "reference":
            raise Unavailable("real images are needed: give --target DIR or --reference DIR")
        raise Unavailable(f"{role} images are needed: give --{role} DIR")


def _check_reference(protocol: Protocol, images: ImageSets, numerics: Numerics | None) -> None:
    need = images.reference_need(protocol)
    if images.reference_file is None or need is None:
        return
    if (why := images.reference_file.why_not(need, numerics, protocol.name)) is not None:
        raise Unavailable(why)


def _other_versions(protocols: Iterable[Protocol], images: ImageSets, numerics: Numerics) -> Iterator[str]:
    if (file := images.reference_file) is None:
        return
    needs = [need for protocol in protocols if (need := images.reference_need(protocol)) is not None]
    if others := dict.fromkeys(remark for need in needs for remark in file.remarks(need, numerics)):
        told = ", ".join(others)
        yield f"the file of the reference set was made with other versions, which changes last digits: {told}"


def _same(protocols: Iterable[Protocol], images: ImageSets) -> dict[Extractor, Extractor]:
    """Extractors whose geometry begins with steps that leave the images as they are, and the same without these."""
    sizes: dict[Role, tuple[int, int] | None] = {}

    def on(geometry: Geometry, role: Role) -> Geometry:
        if not geometry.steps:
            return geometry
        if role not in sizes:
            of_pairs = (images.of_pair(pair, role) for pair in images.pairs)
            sizes[role] = common_size({*images.unique(role), *(ref for ref in of_pairs if ref is not None)})
        size = sizes[role]
        return geometry if size is None else geometry.on(*size)

    plain: dict[Extractor, set[Extractor]] = {}
    for need in (need for protocol in protocols for need in images.needs(protocol)):
        if not any(map(images.unique, need.roles)):
            continue
        geometries = map(on, need.extractor.geometries, need.roles)
        plain.setdefault(need.extractor, set()).add(need.extractor.in_geometries(*geometries))
    # One that is asked for in two roles, of pictures of two sizes, is another extractor in each.
    return {extractor: found.pop() for extractor, found in plain.items() if len(found) == 1}


def _plan(protocols: Iterable[Protocol], images: ImageSets, same: Mapping[Extractor, Extractor]) -> Plan:
    singles: dict[ImageExtractor, dict[ImageRef, None]] = {}
    compared: dict[PairExtractor, dict[tuple[ImageRef, ImageRef], None]] = {}
    needs = [(need, images.seen_by(protocol)) for protocol in protocols for need in images.needs(protocol)]
    for need, seen in needs:
        extractor = same.get(need.extractor, need.extractor)
        if isinstance(extractor, PairExtractor):
            one, other = need.roles
            both = ((seen.of_pair(pair, one), seen.of_pair(pair, other)) for pair in seen.pairs)
            compared.setdefault(extractor, {}).update(
                ((a, b), None) for a, b in both if a is not None and b is not None
            )
        elif isinstance(extractor, ImageExtractor) and (refs := seen.unique(need.roles[0])):
            singles.setdefault(extractor, {}).update(dict.fromkeys(refs))
    return Plan(
        {e: tuple(refs) for e, refs in singles.items()},
        {e: tuple(refs) for e, refs in compared.items()},
        hashed=tuple(dict.fromkeys([*images.pairs.unique("generated"), *images.pairs.unique("target")])),
    )
