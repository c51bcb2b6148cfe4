"""What a user gives to an evaluation beside images, and what runs where it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.extract.gender_classifier import GenderClassifier
from fhpt_eval.extract.insight_face import FaceModels, InsightFace
from fhpt_eval.extract.keypoint_detector import KeypointDetector
from fhpt_eval.extract.pixels import FrameSize
from fhpt_eval.files.given import GivenFile
from fhpt_eval.people.given_keypoints import GivenKeypoints
from fhpt_eval.people.mask_files import GivenMasks
from fhpt_eval.records import Role


@dataclass(frozen=True)
class Given:
    """What is known beside the images.

    Attributes:
        keypoints: Of the images of a role, to take instead of detected ones.
        gender_classifier: The checkpoint that judges genders.
        face_models: The networks that find and embed faces.
        masks: Of the targets, to take instead of drawn ones.
    """

    keypoints: Mapping[Role, GivenKeypoints] = field(default_factory=dict)
    gender_classifier: GivenFile | None = None
    face_models: FaceModels | None = None
    masks: GivenMasks | None = None

    def in_place_of(self, extractor: Extractor, roles: Sequence[Role]) -> Extractor:
        """Return the extractor that runs where a protocol asks for one.

        Of images whose keypoints are given only the size is measured; a gender classifier and InsightFace get their
        networks.
        """
        if isinstance(extractor, KeypointDetector) and roles[0] in self.keypoints:
            return FrameSize(geometry=extractor.geometry)
        if isinstance(extractor, GenderClassifier) and extractor.classifier is None:
            return replace(extractor, classifier=self.gender_classifier)
        if isinstance(extractor, InsightFace) and extractor.models is None:
            return replace(extractor, models=self.face_models)
        return extractor
