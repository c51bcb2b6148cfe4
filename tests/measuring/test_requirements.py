"""What protocols say about themselves: weights, packages, rank, headlines, order."""

from __future__ import annotations

import dataclasses

import pytest

from fhpt_eval.cli.weights import registered
from fhpt_eval.evaluation.environment import describe_environment
from fhpt_eval.extract.embeddings import WIDTHS
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.libraries import version
from fhpt_eval.measuring import registry
from fhpt_eval.measuring.protocol import Protocol, configure
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.measuring.requirements import packages_of, weights_of
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.protocols.l1 import L1
from fhpt_eval.protocols.lpips import Lpips
from fhpt_eval.protocols.psnr import Psnr
from fhpt_eval.protocols.retrieval import Retrieval
from fhpt_eval.protocols.similarity import Similarity


def test_every_weights_file_that_some_option_asks_for_is_listed() -> None:
    assert list(registered()) == [
        "alexnet",
        "clip-vitb32",
        "clip-vitl14",
        "dinov2-vitb14",
        "dinov2-vitl14",
        "dinov2-vits14",
        "efficientnet-lite0",
        "inception-2015",
        "inception-v3-imagenet",
        "lpips-alex",
        "lpips-squeeze",
        "lpips-vgg",
        "resnet50",
        "squeezenet1_1",
        "vgg16",
        "vgg19",
    ]


@pytest.mark.parametrize(
    ("protocol", "option", "values"),
    [
        (Fid, "network", ("inception-2015", "inception-v3-imagenet", "efficientnet-lite0", *WIDTHS)),
        (Similarity, "networks", tuple(WIDTHS)),
        (Lpips, "net", ("alex", "vgg", "squeeze", "efficientnet_lite0")),
        (Retrieval, "networks", ("resnet50", "vgg16", "efficientnet_lite0", *WIDTHS)),
    ],
)
def test_no_option_asks_for_a_file_that_is_not_listed(
    protocol: type[Protocol], option: str, values: tuple[str, ...]
) -> None:
    listed = {file.name for file in weights_of([protocol])}
    for value in values:
        needs = configure(protocol, "paper", {option: value}).needs()
        assert {file.name for need in needs for file in need.extractor.weights()} <= listed


def test_packages_are_those_of_the_protocols_and_of_their_extractors() -> None:
    assert packages_of([Retrieval]) == ("torch", "torchvision", "timm", "open-clip-torch", "faiss-cpu")
    assert packages_of([L1]) == ("opencv",)
    found = describe_environment(Numerics()).packages
    for package in ("fhpt-eval", "torch", "numpy", "timm", "lpips", "mediapipe", "face-recognition", "faiss-cpu"):
        assert found[package] == version(package)


def test_tables_have_the_protocols_in_the_order_of_the_field() -> None:
    known = find_protocols().classes.items()
    ours = [name for name, p in known if p.__module__.startswith("fhpt_eval.") and not p.on_request]
    assert ours == (
        "fid kid is lpips ssim psnr l1 kec pckh face_identity retrieval gender".split()  # noqa: SIM905
    )


def test_headlines_are_those_of_the_papers_tables() -> None:
    protocols = [protocol for protocol in find_protocols().classes.values() if not protocol.on_request]
    headlines = [metric for protocol in protocols for metric in protocol.headlines]
    recalls = [f"recall@{k}[{network}]" for network in ("resnet50", "vgg16") for k in (3, 5, 10)]
    curves = ["kec_auc_body", "kec_auc_face", "kec_auc_hands"]
    assert headlines == ["fid", "lpips", "ssim", *curves, "face_same@0.6", "face_same@0.7", *recalls, "gender_error"]


def test_a_protocol_says_whether_the_order_of_files_decides() -> None:
    assert not Fid().depends_on_order()
    assert Fid(tail=64).depends_on_order()
    assert Lpips(tail=64).depends_on_order()
    assert Psnr(batch=16).depends_on_order()
    assert not Psnr().depends_on_order()
    assert find_protocols().classes["is"]().depends_on_order()


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ({"headlines": ("l2",)}, "its headline or curve 'l2' is none of its metrics"),
        ({"together": (("form", "shape"),)}, "it says something of 'shape', which is none of its options"),
        ({"selecting": ("tail",)}, "it says something of 'tail', which is none of its options"),
    ],
)
def test_what_a_protocol_says_of_something_that_it_lacks_is_refused(says: dict[str, object], why: str) -> None:
    odd: type[L1] = dataclasses.dataclass(frozen=True, kw_only=True)(type("Odd", (L1,), says))
    with pytest.raises(ValueError, match=why):
        registry._try_out(odd)
