"""What a user gives beside images: joined to the images, checked before anything is computed, and recorded."""

from __future__ import annotations

from collections.abc import Iterable

from fhpt_eval.evaluation.plan import ImageSets
from fhpt_eval.extract.gender_classifier import SHIPPED
from fhpt_eval.extract.insight_face import FaceModels
from fhpt_eval.files.given import GivenFile
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import Profile, Protocol
from fhpt_eval.pairing.pairs import Pairs
from fhpt_eval.people.by_name import Side
from fhpt_eval.people.given_keypoints import GivenKeypoints
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.people.mask_files import GivenMasks, MaskFiles
from fhpt_eval.records import Role


def given_for(
    pairs: Pairs,
    profile: Profile,
    *,
    generated_keypoints: KeypointFiles | None = None,
    target_keypoints: KeypointFiles | None = None,
    target_masks: MaskFiles | None = None,
    gender_classifier: GivenFile | None = None,
    face_models: FaceModels | None = None,
) -> Given:
    """Return what is given, with the profile's own gender classifier where there is no other.

    Raises:
        UserError: Keypoints or masks tell of none of the images that they are given for.
    """
    files: dict[Side, KeypointFiles | None] = {"generated": generated_keypoints, "target": target_keypoints}
    keypoints: dict[Role, GivenKeypoints] = {
        side: GivenKeypoints.of_pairs(of_side, pairs, side) for side, of_side in files.items() if of_side is not None
    }
    masks = None if target_masks is None else GivenMasks.of_pairs(target_masks, pairs)
    return Given(keypoints, gender_classifier or own_classifier(profile), face_models, masks)


def own_classifier(profile: Profile) -> GivenFile | None:
    """Return the gender classifier that a profile has by itself: of ``embedded`` that of the package, if it is here."""
    return GivenFile.at(SHIPPED) if profile == "embedded" and SHIPPED.exists() else None


def check_given(images: ImageSets, protocols: Iterable[Protocol]) -> None:
    """Refuse files of the user that an extractor cannot use.

    Raises:
        UserError: One cannot be used.
    """
    for extractor in {need.extractor: None for protocol in protocols for need in images.needs(protocol)}:
        extractor.check()


def keypoint_roles(protocol: Protocol, given: Given) -> frozenset[Role]:
    """Return the roles of images at whose given keypoints a protocol looks."""
    return protocol.keypoint_roles(masks=given.masks is not None) & given.keypoints.keys()


def used_keypoints(protocol: Protocol, given: Given) -> dict[str, str]:
    """Return what the recipe of a protocol says of given keypoints, by role.

    Of generated images it is the form alone. What their keypoints hold is the method's, as the images are: methods
    could not be compared if it were in the recipe.
    """
    used = {role: given.keypoints[role].files for role in sorted(keypoint_roles(protocol, given))}
    return {role: files.convention if role == "generated" else str(files) for role, files in used.items()}


def used_masks(protocol: Protocol, given: Given) -> str | None:
    """Return what the recipe of a protocol says of masks that come as files."""
    return str(given.masks.files) if given.masks is not None and protocol.masked() else None
