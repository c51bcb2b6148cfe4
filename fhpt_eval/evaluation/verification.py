"""Whether a record follows from images: they are looked at again, and every number is computed again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fhpt_eval.engine.engine import Engine
from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.image_check import ImageCheck, check_images
from fhpt_eval.evaluation.number_check import NumberCheck, Verdict, check_number, unchecked
from fhpt_eval.evaluation.record_check import check_record
from fhpt_eval.evaluation.reference_file import ReferenceFile
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_record import Environment, ProtocolRecord
from fhpt_eval.extract.insight_face import FaceModels
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.given import GivenFile
from fhpt_eval.measuring.dialects import find_dialects
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.measuring.protocol import Protocol, configure
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.measuring.tolerance import Tolerance
from fhpt_eval.pairing.pairs import Pairs, ReferenceSet
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.people.mask_files import MaskFiles
from fhpt_eval.progress import Progress


@dataclass(frozen=True)
class Verification:
    """What came of it.

    Attributes:
        images: For each role, whether its images are the recorded ones.
        numbers: For each number of the record, whether it follows.
        contradictions: What else the record says and is not so, or should say, one sentence each.
        remarks: What else its reader must know, one sentence each.
    """

    images: tuple[ImageCheck, ...]
    numbers: tuple[NumberCheck, ...]
    contradictions: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def follows(self) -> bool:
        """Whether the images are the recorded ones, and every number and all else follows from them."""
        alike = all(image.same for image in self.images) and all(number.follows for number in self.numbers)
        return alike and not self.contradictions


def verify(
    recorded: Run,
    pairs: Pairs,
    *,
    protocols: Sequence[str] | None = None,
    options: dict[str, dict[str, Any]] | None = None,
    reference: ReferenceSet | ReferenceFile | None = None,
    generated_keypoints: KeypointFiles | None = None,
    target_keypoints: KeypointFiles | None = None,
    target_masks: MaskFiles | None = None,
    gender_classifier: GivenFile | None = None,
    face_models: FaceModels | None = None,
    engine: Engine | None = None,
    store: Store | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Compute the numbers of a record again, by its own recipes, and compare; nothing is written.

    Args:
        recorded: The run.
        pairs: The images that it is said to be of.
        protocols: Protocols or groups, as in `evaluate`; None for all that have a number.
        options: Of protocols, where the recipe has the hash of a file and not the file.
        reference: As in `evaluate`, and so for all that follows.
        generated_keypoints: Of the generated images.
        target_keypoints: Of the targets.
        target_masks: Of the targets, too.
        gender_classifier: The checkpoint that judged genders.
        face_models: The networks that found and embedded faces.
        engine: What computes.
        store: Where weights are looked for.
        progress: Called with a stage, the steps done and their number.

    Raises:
        UserError: The record has no number by one of the protocols, or as `evaluate`.
    """
    chosen = _chosen(recorded, protocols)
    for name, given in (options or {}).items():
        _check_options(chosen, name, given)
    measurements: dict[str, Measurement] = {}
    refused: dict[str, str] = {}
    for protocol in chosen:
        try:
            measurements[protocol.label] = _measurement(protocol, (options or {}).get(protocol.name, {}))
        except UserError as error:
            refused[protocol.label] = str(error)
    found = evaluate(
        pairs,
        list(measurements.values()),
        profile=recorded.record.profile,
        reference=reference,
        generated_keypoints=generated_keypoints,
        target_keypoints=target_keypoints,
        target_masks=target_masks,
        gender_classifier=gender_classifier,
        face_models=face_models,
        engine=engine,
        store=store,
        progress=progress,
    )
    again = dict(zip(measurements, found.record.protocols, strict=True))
    numbers: list[NumberCheck] = []
    for protocol in chosen:
        why = refused.get(protocol.label) or _uncheckable(protocol, again[protocol.label])
        if why is not None:
            numbers += [unchecked(protocol.label, score, why) for score in protocol.scores]
            continue
        elsewhere = protocol.environment or recorded.record.environment
        tolerance = _tolerance(measurements[protocol.label].protocol, elsewhere, found.record.environment)
        other = _other_claim(protocol, again[protocol.label])
        checks = [check_number(protocol.label, score, recorded, found, tolerance) for score in protocol.scores]
        numbers += (
            checks if other is None else [replace(c, verdict=Verdict.DIFFERS, reason=other, pair=None) for c in checks]
        )
    images = check_images(recorded, found)
    contradictions = [*check_record(recorded, found, chosen)]
    if not any(image.role == "generated" and image.recorded for image in images):
        contradictions.append("nothing in the record tells which generated images it is of")
    return Verification(images, tuple(numbers), tuple(contradictions), tuple(_remarks(recorded, found, chosen)))


def _chosen(recorded: Run, names: Sequence[str] | None) -> list[ProtocolRecord]:
    """Return the protocols whose numbers are looked at."""
    measured = [protocol for protocol in recorded.record.protocols if protocol.scores]
    if not measured:
        raise UserError(f"the record '{recorded.record.name}' has no numbers: there is nothing to verify.")
    having = {name for protocol in measured for name in (protocol.name, protocol.group)}
    for name in names or ():
        if name not in having:
            raise UserError(f"--protocols {name}: the record has no number by it.{did_you_mean(name, having)}")
    return [p for p in measured if names is None or {p.name, p.group} & set(names)]


def _check_options(chosen: Sequence[ProtocolRecord], name: str, given: Iterable[str]) -> None:
    """Refuse options of a protocol that were no files when it was recorded: they come from the record.

    Raises:
        UserError: There is one, or none of the numbers is by such a protocol.
    """
    if name not in (known := {protocol.name for protocol in chosen}):
        raise UserError(f"--set {name}: none of the numbers is by it.{did_you_mean(name, known)}")
    parameters = [protocol.recipe.parameters for protocol in chosen if protocol.name == name]
    for option in given:
        if option not in (recorded := {key for of in parameters for key in of}):
            raise UserError(f"--set {name}.{option}: the record has no such option.{did_you_mean(option, recorded)}")
        if not any(_is_hash(of.get(option)) for of in parameters):
            raise UserError(f"--set {name}.{option}: it was no file, and comes from the record; leave it out.")


def _is_hash(value: object) -> bool:
    """Whether a recorded option was a file."""
    return str(value).startswith("sha256:")


def _measurement(protocol: ProtocolRecord, options: dict[str, Any]) -> Measurement:
    """Return what a recipe says was measured.

    Raises:
        UserError: It cannot be measured here.
    """
    recipe = protocol.recipe
    known = find_protocols().classes
    if recipe.protocol not in known:
        raise UserError(f"no protocol '{recipe.protocol}' is installed here")
    kind = known[recipe.protocol]
    if kind.version != recipe.version:
        raise UserError(
            f"it is by version {recipe.version} of {recipe.protocol}, and this fhpt-eval has version {kind.version}:"
            " use the fhpt-eval that wrote it"
        )
    for name, value in recipe.parameters.items():
        if _is_hash(value) and name not in options:
            raise UserError(
                f"its option {name} is a file, of which the record has the hash: give it with"
                f" --set {recipe.protocol}.{name}=FILE"
            )
    files = {name: file for name, file in options.items() if _is_hash(recipe.parameters.get(name))}
    configured = configure(kind, "paper", {**recipe.parameters, **files})
    if protocol.metric is None:
        return Measurement(configured)
    _check_dialect(protocol, configured)
    return Measurement(configured, protocol.dialect, protocol.metric, protocol.note)


def _check_dialect(protocol: ProtocolRecord, configured: Protocol) -> None:
    """Refuse a number that is not what its dialect measures; nothing is known of dialects from users' files."""
    key, _, version = str(protocol.dialect).partition("@")
    dialect = find_dialects().get(key)
    if dialect is None:
        return
    if str(dialect.version) != version:
        raise UserError(f"it is in the dialect {protocol.dialect}, and this fhpt-eval has {dialect.id}")
    named = {m.metric: m.protocol for m in dialect.measurements()}
    own = named.get(protocol.metric)

    def plain(of: Protocol) -> dict[str, Any]:
        # --generated-geometry and its like go before the dialect's own.
        return {key: value for key, value in of.parameters().items() if not key.endswith("_geometry")}

    if own is None or type(own) is not type(configured) or plain(own) != plain(configured):
        raise UserError(f"its options are not those of {protocol.label}")


def _uncheckable(recorded: ProtocolRecord, found: ProtocolRecord) -> str | None:
    """Return why a protocol's numbers cannot be compared; None where they can."""
    if not found.scores:
        return found.reason or found.status
    if found.recipe.options != recorded.recipe.options:
        differing = recorded.recipe.difference(found.recipe)
        return f"{differing}: give the recorded one with --set"
    if found.recipe.precision != recorded.recipe.precision:
        return f"its networks computed in {recorded.recipe.precision}: give --precision {recorded.recipe.precision}"
    for name, version in recorded.recipe.extractors.items():
        if found.recipe.extractors.get(name) != version:
            here = found.recipe.extractors.get(name, "none")
            return f"it rests on version {version} of {name}, and this fhpt-eval has {here}"
    return None


def _other_claim(recorded: ProtocolRecord, found: ProtocolRecord) -> str | None:
    """Return what the record claims of how it was measured, and is not so; None where all is."""
    if (what := recorded.recipe.difference(found.recipe)) is not None:
        return what
    if recorded.dialect != found.dialect:
        return f"recorded as measured in {recorded.dialect or 'no dialect'}, which is {found.dialect or 'none'}"
    return None


def _tolerance(protocol: Protocol, recorded: Environment, here: Environment) -> Tolerance:
    """Return the tolerance of a protocol: wider where a library that it knows of has another version here."""
    others = [t for name, t in protocol.tolerance_of.items() if recorded.packages.get(name) != here.packages.get(name)]
    return max([protocol.tolerance, *others], key=lambda tolerance: tolerance.relative)


def _remarks(recorded: Run, found: Run, chosen: Sequence[ProtocolRecord]) -> list[str]:
    record, here = recorded.record, found.record
    remarks = []
    if record.pairs.hash != here.pairs.hash:
        remarks.append("these are other pairs than the recorded ones: look at --pairs, --naming and --source")
    if recorded.image_list is None:
        remarks.append(
            "the record is of before images were listed one by one: which of them differ, and what was left out,"
            " cannot be told"
        )
    differing = {text for p in chosen for text in _elsewhere(p.environment or record.environment, here.environment)}
    if differing:
        remarks.append(f"recorded with other versions: {', '.join(sorted(differing))}")
    without = [p.label for p in record.protocols if not p.scores]
    if without:
        remarks.append(f"without a number in the record: {', '.join(without)}")
    mine = {score.metric for p in record.protocols for score in p.scores}
    if more := [metric for metric in found.scores if metric not in mine]:
        remarks.append(f"not in the record, although its recipes give it: {', '.join(more)}")
    return [*remarks, *here.doubts]


def _elsewhere(recorded: Environment, here: Environment) -> list[str]:
    """Return what was another version where the record was made."""
    both = {name: (version, here.packages.get(name)) for name, version in recorded.packages.items()}
    told = [f"{name} {there} (here {now or 'absent'})" for name, (there, now) in both.items() if there != now]
    device = [f"{recorded.device} (here {here.device})"] if recorded.device != here.device else []
    return told + device
