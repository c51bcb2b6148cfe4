"""Which measurements a command line asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from fhpt_eval.cli.shared import settings
from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.extract.gender_classifier import GenderClassifier
from fhpt_eval.extract.insight_face import FaceModels, InsightFace
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.measuring.dialects import Dialect, dialect_named, find_dialects, measurements_of
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.measuring.protocol import Profile
from fhpt_eval.measuring.registry import select
from fhpt_eval.people.by_name import Side
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.people.mask_files import MaskFiles


def profile_named(profile: str) -> Profile:
    """Return a profile.

    Raises:
        UserError: There is none of that name.
    """
    if profile == "paper" or profile == "embedded":
        return profile  # type: ignore[return-value]
    raise UserError(f"there is no profile '{profile}'.{did_you_mean(profile, ['paper', 'embedded'])}")


def chosen_dialects(names: Sequence[str], *, everything: bool) -> list[Dialect]:
    """Return the dialects of ``--dialect``, or with ``--all-dialects`` all in which anybody can measure.

    Raises:
        UserError: There is none of a name, one is given twice, or both options are given.
    """
    if everything:
        if names:
            raise UserError("--all-dialects has every dialect: leave --dialect out.")
        return [dialect for dialect in find_dialects().values() if not dialect.refused]
    found = [dialect_named(name) for name in names]
    keys = [dialect.key for dialect in found]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise UserError(f"--dialect: '{twice[0]}' is given twice, by this name or another: keep one.")
    return found


def measurements(
    dialects: Sequence[Dialect], protocols: str | None, profile: Profile, given: Sequence[str]
) -> list[Measurement]:
    """Return what ``--dialect``, ``--protocols``, ``--profile`` and ``--set`` ask for.

    Raises:
        UserError: They ask for what is not there, or contradict each other.
    """
    names, options = names_of(protocols), protocol_options(given)
    if not dialects:
        return [Measurement(protocol) for protocol in select(names, profile, options)]
    if profile != "paper":
        raise UserError("a dialect names its own networks: leave --profile out, or the dialects.")
    if options:
        raise UserError(
            "--set would change what the dialect is: write a file of your own from `fhpt-eval dialects show"
            f" {dialects[-1].key} --toml`, and give it as --dialect FILE."
        )
    return measurements_of(dialects, names)


def names_of(protocols: str | None) -> list[str] | None:
    """Return the names of ``--protocols``; None where it was not given.

    Raises:
        UserError: It names none.
    """
    if protocols is None:
        return None
    names = [name.strip() for name in protocols.split(",") if name.strip()]
    if not names:
        raise UserError(f"--protocols '{protocols}' names none: `fhpt-eval protocols` lists them; or leave it out.")
    return names


def protocol_options(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read ``--set PROTOCOL.OPTION=VALUE``, by protocol.

    Raises:
        UserError: One is not written so, or is given twice.
    """
    options: dict[str, dict[str, Any]] = {}
    for name, value in settings(given, "PROTOCOL.OPTION", "ssim.sigma=1.2").items():
        protocol, _, option = name.partition(".")
        options.setdefault(protocol, {})[option] = value
    return options


def with_geometry(chosen: Sequence[Measurement], option: str, text: str | None, fields: set[str]) -> list[Measurement]:
    """Give a geometry to every protocol that has a field for it: before a dialect's own, or where --set gave none.

    Raises:
        UserError: No protocol has such a field, or the text is not a geometry.
    """
    if text is None:
        return list(chosen)
    first = Geometry.parse(text)
    having = [fields & {f.name for f in dataclasses.fields(m.protocol)} for m in chosen]
    if not any(having):
        raise UserError(f"{option}: none of the chosen protocols looks at such images; leave it out.")
    changed = []
    for measurement, names in zip(chosen, having, strict=True):
        own = {name: getattr(measurement.protocol, name) for name in names}
        steps = {
            name: Geometry((*first.steps, *geometry.steps))
            for name, geometry in own.items()
            if measurement.dialect is not None or geometry == Geometry()
        }
        changed.append(dataclasses.replace(measurement, protocol=dataclasses.replace(measurement.protocol, **steps)))
    return changed


def refuse_unused(
    chosen: Sequence[Measurement],
    keypoints: Mapping[Side, KeypointFiles | None],
    masks: MaskFiles | None = None,
    classifier: GivenFile | None = None,
    face_models: FaceModels | None = None,
) -> None:
    """Refuse what is given beside images where no protocol looks at it.

    Raises:
        UserError: None does.
    """
    protocols = [measurement.protocol for measurement in chosen]
    looked_at = {role for protocol in protocols for role in protocol.keypoint_roles(masks=masks is not None)}
    for side, files in keypoints.items():
        if files is not None and side not in looked_at:
            instead = " where masks come as files" if masks is not None and side == "target" else ""
            raise UserError(
                f"--{side}-keypoints: none of the chosen protocols looks at keypoints of {side} images{instead}; leave"
                " it out."
            )
    if masks is not None and not any(protocol.masked() for protocol in protocols):
        raise UserError("--target-masks: none of the chosen protocols looks through masks; leave it out.")
    needs = [need for protocol in protocols for need in protocol.needs()]
    if classifier is not None and not any(isinstance(need.extractor, GenderClassifier) for need in needs):
        raise UserError("--gender-classifier: none of the chosen protocols judges genders; leave it out.")
    if face_models is not None and not any(isinstance(need.extractor, InsightFace) for need in needs):
        raise UserError("--face-models: none of the chosen protocols looks at faces by InsightFace; leave it out.")
