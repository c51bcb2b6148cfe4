"""What an extractor is known by: its id is readable, and its fingerprint changes whenever a record could."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import pytest
from toys import MeanColour

from fhpt_eval.extract import extractor
from fhpt_eval.extract.dlib_face import DlibFace
from fhpt_eval.extract.efficientnet_lite0 import EfficientNetLite0
from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.extract.imagenet_features import ImageNetFeatures
from fhpt_eval.extract.inception import Inception
from fhpt_eval.extract.mediapipe_keypoints import MediapipeKeypoints
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.extract.perceptual_distance import PerceptualDistance
from fhpt_eval.extract.pixels import PixelDifference, StructuralSimilarity
from fhpt_eval.extract.weights import Weights
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.geometry import Geometry

CROP = Geometry.parse("centre-crop(width=8, height=8)")
SINGLE: list[Any] = [DlibFace(), EfficientNetLite0(), ImageNetFeatures(), Inception(), MediapipeKeypoints()]
PAIRED: list[Any] = [PerceptualDistance(), StructuralSimilarity(), PixelDifference()]


@dataclass(frozen=True, kw_only=True)
class WithWeights(MeanColour):
    """An extractor whose network changes."""

    sha256: ClassVar[str] = "0" * 64

    def weights(self) -> tuple[Weights, ...]:
        return (Weights("toy", "toy.pth", 1, self.sha256, "none", "tests"),)


def by_name(extractor: Extractor) -> str:
    return extractor.name


@pytest.mark.parametrize("extractor", [*SINGLE, *PAIRED], ids=by_name)
def test_equal_extractors_have_equal_fingerprints_and_no_two_share_one(extractor: Extractor) -> None:
    assert replace(extractor).fingerprint(Numerics()) == extractor.fingerprint(Numerics())
    assert len({e.fingerprint(Numerics()) for e in [*SINGLE, *PAIRED]}) == len(SINGLE) + len(PAIRED)
    assert extractor.id == extractor.name


@pytest.mark.parametrize("extractor", SINGLE, ids=by_name)
def test_the_geometry_is_in_fingerprint_and_id(extractor: Any) -> None:
    cropped = replace(extractor, geometry=CROP)
    assert cropped.fingerprint(Numerics()) != extractor.fingerprint(Numerics())
    assert cropped.id == f"{extractor.name}[geometry={CROP}]"


@pytest.mark.parametrize("extractor", PAIRED, ids=by_name)
def test_the_geometry_of_either_side_is_in_fingerprint_and_id(extractor: Any) -> None:
    first, second = replace(extractor, first_geometry=CROP), replace(extractor, second_geometry=CROP)
    assert len({e.fingerprint(Numerics()) for e in (extractor, first, second)}) == 3
    assert (first.id, second.id) == tuple(f"{extractor.name}[{s}_geometry={CROP}]" for s in ("first", "second"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PerceptualDistance(), PerceptualDistance(net="vgg")),
        (StructuralSimilarity(), StructuralSimilarity(sigma=1.2)),
        (ImageNetFeatures(), ImageNetFeatures(backbone="vgg16")),
        (DlibFace(), DlibFace(upsample=1)),
    ],
    ids=["net", "sigma", "backbone", "upsample"],
)
def test_parameters_are_in_the_fingerprint(one: Extractor, other: Extractor) -> None:
    assert one.fingerprint(Numerics()) != other.fingerprint(Numerics())


def test_code_weights_libraries_and_decoding_are_in_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {WithWeights().fingerprint(Numerics())}
    monkeypatch.setattr(WithWeights, "version", 2)
    seen.add(WithWeights().fingerprint(Numerics()))
    monkeypatch.setattr(WithWeights, "sha256", "1" * 64)
    seen.add(WithWeights().fingerprint(Numerics()))
    monkeypatch.setattr(extractor, "DECODE_VERSION", "other")
    seen.add(WithWeights().fingerprint(Numerics()))
    monkeypatch.setattr(metadata, "version", lambda _: "99")
    seen.add(WithWeights().fingerprint(Numerics()))
    assert len(seen) == 5


def test_the_kind_of_device_counts_for_networks_only_and_its_number_never() -> None:
    network, detector = EfficientNetLite0(), DlibFace()
    assert (
        network.fingerprint(Numerics("cuda:0"))
        == network.fingerprint(Numerics("cuda:1"))
        != network.fingerprint(Numerics())
    )
    assert detector.fingerprint(Numerics("cuda")) == detector.fingerprint(Numerics())


def test_a_given_file_counts_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"one")
    (tmp_path / "c").write_bytes(b"two")
    a, b, c = (GivenFile.at(tmp_path / name) for name in "abc")
    assert a == b != c
    assert str(a) == f"sha256:{a.sha256}"
    assert a.read() == b"one"
