"""The record of a run before its first score: what is evaluated, how, and where."""

from __future__ import annotations

import datetime
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from fhpt_eval.engine.contents import Contents
from fhpt_eval.engine.opening import hash_file
from fhpt_eval.engine.reading import Extraction
from fhpt_eval.evaluation.doubts import Doubts
from fhpt_eval.evaluation.environment import describe_environment
from fhpt_eval.evaluation.extracted_records import content_hash
from fhpt_eval.evaluation.giving import own_classifier, used_keypoints, used_masks
from fhpt_eval.evaluation.image_list import ImageList, ListedImage, generated_hash, keypoints_row, masks_row
from fhpt_eval.evaluation.plan import ImageSets, Prepared
from fhpt_eval.evaluation.reference_record import FeatureType
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import (
    ImagesRecord,
    PairsRecord,
    ProtocolRecord,
    Recipe,
    ReferenceFileRecord,
    RunRecord,
)
from fhpt_eval.evaluation.sizes import of_sizes, unusual
from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.extract.numerics import Numerics, Precision
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.images.listing import Listing
from fhpt_eval.measuring.dialects import default_id
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.measuring.protocol import Need, Profile, Protocol, configure
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.records import Missing, Role
from fhpt_eval.text import visible


def plan_record(
    name: str,
    profile: Profile,
    images: ImageSets,
    measurements: Sequence[Measurement],
    prepared: Prepared,
    contents: Contents,
    numerics: Numerics,
    command: Sequence[str] | None = None,
) -> RunRecord:
    """Return the record before anything is decoded; its protocols are pending, or unavailable with the reason."""
    return RunRecord(
        name=visible(name),
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        profile=profile,
        pairs=_pairs_record(images.pairs, contents),
        images=ImagesRecord(sizes={}, notes={}, unreadable={}),
        protocols=[
            _pending(measurement, profile, images, prepared, contents, numerics) for measurement in measurements
        ],
        environment=describe_environment(numerics),
        command=None if command is None else [visible(word) for word in command],
        seconds={},
        warnings=[],
    )


def start_run(
    planned: RunRecord,
    images: ImageSets,
    measurements: Sequence[Measurement],
    prepared: Prepared,
    contents: Contents,
    extraction: Extraction,
    doubts: Doubts,
) -> Run:
    """Return the run with what decoding told, and without scores."""
    targets = content_hash(images.pairs.unique("target"), extraction)
    warnings = [*extraction.warnings, *prepared.warnings]
    if (warning := _copies_of_targets(images.pairs, extraction)) is not None:
        warnings.append(warning)
    warnings += [*doubts.warnings, *of_sizes(images, prepared, extraction)]
    warnings += unusual(images, measurements, prepared, extraction)
    precisions = {pending.recipe.precision for pending in planned.protocols} - {"float32"}
    warnings += [f"networks compute in {p}: the third digit changes, so this is for no paper" for p in precisions]
    listed = ImageList((*_generated(images.pairs, contents), *_others(images, prepared, extraction)))
    record = planned.model_copy(
        update={
            "pairs": planned.pairs.model_copy(update={"content": targets}),
            "images": _images_record(images, prepared, extraction).model_copy(update={"root": listed.hash}),
            "protocols": [
                pending.model_copy(
                    update={"recipe": _recipe(measurement.protocol, images, extraction, pending.recipe.precision)}
                )
                for pending, measurement in zip(planned.protocols, measurements, strict=True)
            ],
            "warnings": warnings,
            "doubts": doubts.grave,
        }
    )
    missing = pd.DataFrame(columns=["metric", "pair", "reason"])
    return Run(record, images.pairs.table, missing, image_list=listed)


def _pending(
    measurement: Measurement,
    profile: Profile,
    images: ImageSets,
    prepared: Prepared,
    contents: Contents,
    numerics: Numerics,
) -> ProtocolRecord:
    protocol = measurement.protocol
    ran = [prepared.ran(need.extractor) for need in images.needs(protocol)]
    return ProtocolRecord(
        name=protocol.name,
        dialect=measurement.dialect or _default_dialect(protocol, profile, images),
        metric=measurement.metric,
        note=measurement.note,
        group=protocol.group,
        status="unavailable" if protocol in prepared.unavailable else "pending",
        reason=prepared.unavailable.get(protocol),
        recipe=_recipe(protocol, images, contents, numerics.precision),
        extractors={extractor.id: extractor.fingerprint(numerics) for extractor in ran},
        reference_file=None if protocol in prepared.unavailable else _reference_file(protocol, images),
    )


def _reference_file(protocol: Protocol, images: ImageSets) -> ReferenceFileRecord | None:
    need, file = images.reference_need(protocol), images.reference_file
    if need is None or file is None:
        return None
    return ReferenceFileRecord(
        sha256=file.sha256,
        content=file.record.content,
        images=file.record.images,
        n=file.features(need).n,
        made_by=file.record.made_by,
        created=file.record.created,
        stated=file.record.stated,
    )


def _default_dialect(protocol: Protocol, profile: Profile, images: ImageSets) -> str | None:
    """Ours, or that of another profile, where no option of the protocol was changed and nothing is given to it."""
    if used_keypoints(protocol, images.given) or _brought(images.needs(protocol)) - {own_classifier(profile)}:
        return None
    if protocol == configure(type(protocol), "paper", {}):
        return default_id()
    return profile if protocol == configure(type(protocol), profile, {}) else None


def _copies_of_targets(pairs: Pairs, extraction: Extraction) -> str | None:
    both = [(row.generated, row.target) for row in pairs if row.generated is not None and row.target is not None]
    contents = [(extraction.content(generated), extraction.content(target)) for generated, target in both]
    copies = sum(one is not None and one == other for one, other in contents)
    if copies * 2 <= len(both):
        return None
    return f"{copies} of {len(both)} generated images are their targets, byte by byte: is --generated the right folder?"


def _brought(needs: Iterable[Need]) -> set[GivenFile]:
    """Return the files of the user that are computed with."""
    return {file for need in needs for file in need.extractor.brought().values()}


def _recipe(protocol: Protocol, images: ImageSets, contents: Contents | Extraction, precision: Precision) -> Recipe:
    needs = images.needs(protocol)
    roles = {role for need in needs for role in need.roles}
    return Recipe(
        protocol=protocol.name,
        version=protocol.version,
        parameters=protocol.parameters(),
        extractors={need.extractor.name: need.extractor.version for need in needs},
        weights={name: sha256 for need in needs for name, sha256 in _weights(need.extractor).items()},
        reference=_reference_hash(images, contents) if roles & {"reference", "given"} else None,
        keypoints=used_keypoints(protocol, images.given),
        masks=used_masks(protocol, images.given),
        sources=content_hash(images.unique("source"), contents) if "source" in roles else None,
        precision=precision if any(need.extractor.precision(precision) == precision for need in needs) else "float32",
        reference_precision=_reference_precision(protocol, images),
    )


def _reference_hash(images: ImageSets, contents: Contents | Extraction) -> str | None:
    if images.reference_file is not None:
        return images.reference_file.record.identity
    return content_hash(images.unique("reference"), contents)


def _reference_precision(protocol: Protocol, images: ImageSets) -> FeatureType:
    need, file = images.reference_need(protocol), images.reference_file
    if need is None or file is None or not need.each or file.why_not(need, None, protocol.name) is not None:
        return "float32"
    return file.features(need).each or "float32"


def _weights(extractor: Extractor) -> dict[str, str]:
    """Return name and hash of each file that an extractor's network comes from."""
    weights = {file.name: file.sha256 for file in extractor.weights()}
    return weights | {name: file.sha256 for name, file in extractor.brought().items()}


def _pairs_record(pairs: Pairs, contents: Contents) -> PairsRecord:
    report = pairs.report
    return PairsRecord(
        hash=pairs.hash,
        content=content_hash(pairs.unique("target"), contents),
        generated=generated_hash((row.name, row.sha256) for row in _generated(pairs, contents)),
        known=_known_hash(pairs),
        naming=pairs.naming,
        total=len(pairs),
        matched=report.matched,
        missing=list(report.missing),
        extra=list(report.extra),
        ambiguous=list(report.ambiguous),
        duplicate=list(report.duplicate),
        listed=pairs.listed,
        list_sha256=pairs.list_sha256,
    )


def _generated(pairs: Pairs, contents: Contents) -> Iterator[ListedImage]:
    """Yield the generated image of each pair, as it is listed."""
    for row in pairs:
        yield ListedImage("generated", row.pair, (row.generated and contents.key(row.generated)) or "")


def _others(images: ImageSets, prepared: Prepared, extraction: Extraction) -> Iterator[ListedImage]:
    """Yield all that is listed beside the generated images: what was looked at, and what was left out."""
    looked_at = {role for protocol in prepared.ready for need in images.needs(protocol) for role in need.roles}
    sets: dict[Role, Sequence[ImageRef]] = {"target": images.pairs.unique("target")}
    sets["source"] = images.pairs.unique("source") if "source" in looked_at else ()
    sets["reference"] = images.reference_images if looked_at & {"reference", "given"} else ()
    for role, refs in sets.items():
        for ref in refs:
            yield ListedImage(role, ref.name, extraction.content(ref) or "")
    if (kept := images.reference_file) is not None and looked_at & {"reference", "given"}:
        for image, sha256 in zip(kept.names, kept.contents, strict=True):
            yield ListedImage("reference", image, sha256)
    for role, keypoints in images.given.keypoints.items():
        yield keypoints_row(role, keypoints.files.convention, keypoints.files.sha256)
    if images.given.masks is not None:
        yield masks_row(images.given.masks.files.sha256)
    for listing in images.listings:
        for name, why in listing.left_out.items():
            content = hash_file(listing.folder / name)
            yield ListedImage(_role_of(listing, images), name, content if isinstance(content, str) else "", why)


def _role_of(listing: Listing, images: ImageSets) -> str:
    """Return the first role whose images lie in a folder, and in no other that lies in it."""
    roles: tuple[Role, ...] = ("generated", "target", "source", "reference")
    for role in roles:
        path = next((ref.path for ref in images.unique(role)), None)
        holding = [other.folder for other in images.listings if path is not None and other.folder in path.parents]
        if holding and max(holding, key=lambda folder: len(folder.parts)) == listing.folder:
            return role
    return "reference"


def _known_hash(pairs: Pairs) -> str:
    lines = "\n".join("\t".join(map(str, (p.pair, p.item, p.item_colour, p.gender, p.view))) for p in pairs)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


def _images_record(images: ImageSets, prepared: Prepared, extraction: Extraction) -> ImagesRecord:
    read = set(prepared.plan.refs())
    roles: dict[str, Sequence[ImageRef]] = {r: images.pairs.unique(r) for r in ("generated", "target", "source")}
    roles["reference"] = images.reference_images
    sizes: dict[str, dict[str, int]] = {}
    notes: dict[ImageRef, frozenset[str]] = {}
    unreadable = {}
    for role, refs in roles.items():
        counts: Counter[str] = Counter()
        for ref in refs:
            if ref not in read:
                continue
            info = extraction.info(ref)
            if isinstance(info, Missing):
                unreadable[visible(str(ref.path))] = info.reason
            else:
                counts[f"{info.width}×{info.height}"] += 1
                notes[ref] = info.notes
        if counts:
            sizes[role] = dict(counts.most_common())
    if (file := images.reference_file) is not None:
        if file.record.sizes:
            sizes["reference"] = dict(file.record.sizes)
        for need in filter(None, map(images.reference_need, prepared.ready)):
            unreadable |= {visible(path): visible(why) for path, why in file.unreadable(need).items()}
    totals = Counter(note for found in notes.values() for note in found)
    return ImagesRecord(
        sizes=sizes, notes=dict(sorted(totals.items())), unreadable=unreadable, left_out=images.left_out
    )
