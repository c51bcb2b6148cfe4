"""What is measured: our command beside the programs that compute the same, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_FIDELITY = (
    *("--set", "fid.preprocess=torch-fidelity", "--set", "kid.preprocess=torch-fidelity"),
    *("--set", "is.preprocess=torch-fidelity", "--set", "kid.subsets=100"),
)


@dataclass(frozen=True)
class Stage:
    """One command of ours.

    Attributes:
        name: What it is called; of a part with one stage "cold".
        args: A whole command where ``method`` is None, else the options of `fhpt-eval run` beside its folders.
        method: Whose images are scored.
    """

    name: str
    args: tuple[str, ...]
    method: int | None = 1


@dataclass(frozen=True)
class Part:
    """What is measured together.

    Attributes:
        title: For the page.
        stages: Our commands, one after the other on one cache that is empty at first.
        peers: Programs of `beside.peers`, each computing all of it.
        sum_of: Instead: other parts, whose first peers one after the other compute all of it.
        weights: Names of networks.
        counts: Numbers of pairs where they are not those of the command line.
        size: Height and width, likewise.
        apart: Why a number of a peer is another one, by peer.
    """

    title: str
    stages: tuple[Stage, ...]
    peers: tuple[str, ...] = ()
    sum_of: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    size: tuple[int, int] | None = None
    apart: Mapping[str, str] | None = None


def _run(*args: str) -> tuple[Stage, ...]:
    return (Stage("cold", args),)


_ALL = ("-p", "fid,kid,is,lpips,ssim,psnr,face_identity,kec,retrieval", *_FIDELITY)

PARTS: Mapping[str, Part] = {
    "fid": Part("FID", _run("-p", "fid"), ("pytorch-fid",), weights=("inception-2015",)),
    "fid_kid_is": Part(
        "FID, KID, IS", _run("-p", "fid,kid,is", *_FIDELITY), ("torch-fidelity",), weights=("inception-2015",)
    ),
    "clean_fid": Part(
        "clean FID",
        _run("-p", "fid", "--set", "fid.preprocess=clean-fid"),
        ("clean-fid",),
        weights=("inception-2015",),
    ),
    "lpips": Part("LPIPS", _run("-p", "lpips"), ("lpips",), weights=("alexnet",)),
    "ssim": Part(
        "SSIM, PSNR",
        _run("-p", "ssim,psnr"),
        ("scikit-image", "torchmetrics", "piq"),
        apart={"torchmetrics": "its SSIM counts a border that it fills by reflection"},
    ),
    "face_identity": Part("face identity", _run("-p", "face_identity"), ("face_recognition loop",)),
    "kec": Part("keypoints", _run("-p", "kec"), ("MediaPipe Holistic loop",)),
    "retrieval": Part("retrieval", _run("-p", "retrieval"), ("NumPy and torchvision",), weights=("resnet50", "vgg16")),
    "suite": Part(
        "all of these",
        (Stage("cold", _ALL), Stage("second method", _ALL, 2), Stage("repeated", _ALL, 1)),
        sum_of=("fid_kid_is", "lpips", "ssim", "face_identity", "kec", "retrieval"),
        weights=("inception-2015", "alexnet", "resnet50", "vgg16"),
    ),
    "pixels": Part(
        "SSIM, PSNR, L1 again",
        tuple(
            Stage(name, ("-p", "ssim,psnr,l1"), method)
            for name, method in (("cold", 1), ("second method", 2), ("repeated", 1))
        ),
        sum_of=("ssim",),
    ),
    "commands": Part(
        "commands that compute nothing",
        tuple(Stage(" ".join(args), args, None) for args in (("doctor",), ("weights", "list"), ("protocols",))),
        counts=(3,),
    ),
    "memory": Part("memory", (Stage("cold", ("-p", "ssim,psnr,l1")),), counts=(1000, 20_000), size=(64, 48)),
}
