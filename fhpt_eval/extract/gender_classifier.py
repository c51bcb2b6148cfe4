"""A binary classifier of the gender that DeepFashion's names give a picture, and the file that holds one.

`fhpt-eval train gender` makes them. The paper says no more than "a VGG network" (§V), so this much is our choice: the
convolutions of VGG-16, their last maps averaged over the image, and one linear layer. Without VGG's three large layers
a file has 59 MB instead of 540, and images keep their size.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from fhpt_eval.errors import UserError
from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0, EfficientNetLite0
from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.extract.weights import Weights
from fhpt_eval.files.given import GivenFile
from fhpt_eval.files.tensors import Arrays, Card, parse
from fhpt_eval.records import Missing, Result

ClassifierNetwork = Literal["vgg16", "efficientnet_lite0"]

WIDTHS: dict[ClassifierNetwork, int] = {"vgg16": 512, "efficientnet_lite0": 1280}
"""How many features an image has before the linear layer."""

SMALLEST = 32
"""Side in pixels below which VGG-16's last pooling would be empty."""

TOO_SMALL = Missing(f"smaller than the network's {SMALLEST} pixels a side")
NO_PERSON = Missing("flat-lay view: no person", "finding")
UNKNOWN_GENDER = Missing("its gender is not known")

FORMAT, VERSION = "fhpt-eval gender classifier", 1

SHIPPED = Path(__file__).resolve().parents[1] / "pretrained" / "gender.safetensors"
"""The classifier on EfficientNet-Lite0's features that comes with the package; docs/models.md tells how it was made."""

_VGG16 = (64, 64, None, 128, 128, None, 256, 256, 256, None, 512, 512, 512, None, 512, 512, 512, None)
"""Channels of VGG-16's convolutions (configuration D); None is a pooling."""


class Checkpoint(NamedTuple):
    """A classifier's file: what its training says of it, and its float32 arrays by name."""

    card: Card
    state: Arrays


def shapes(network: ClassifierNetwork) -> dict[str, tuple[int, ...]]:
    """Return what a checkpoint holds: the linear layer, and for VGG-16 the convolutions under torchvision's names."""
    found: dict[str, tuple[int, ...]] = {"head.weight": (1, WIDTHS[network]), "head.bias": (1,)}
    layer, channels = 0, 3
    for width in _VGG16 if network == "vgg16" else ():
        if width is None:
            layer += 1
            continue
        found[f"features.{layer}.weight"] = (width, channels, 3, 3)
        found[f"features.{layer}.bias"] = (width,)
        # An activation stands between two convolutions.
        layer, channels = layer + 2, width
    return found


def read_checkpoint(file: GivenFile, network: ClassifierNetwork) -> Checkpoint:
    """Read a classifier without running code from its file.

    Raises:
        UserError: It is no such file, was made by another version or for another network, or is damaged.
    """
    try:
        state, card = parse(file.read())
    except ValueError:
        raise _not_ours(file, "it is not a safetensors file") from None
    if card is None or card.get("format") != FORMAT:
        raise _not_ours(file, "it does not say what it is")
    version, its_network = card.get("version"), card.get("network")
    if type(version) is not int:
        raise _not_ours(file, f"its version is {reprlib.repr(version)} instead of a whole number")
    if version != VERSION:
        raise _not_ours(file, f"its format has version {version}, and this fhpt-eval reads {VERSION}")
    if its_network not in tuple(WIDTHS):
        raise _not_ours(file, f"it is on {reprlib.repr(its_network)}, which is no network of this fhpt-eval")
    if its_network != network:
        raise UserError(
            f"{file.path} is a classifier on {its_network} features, and the protocol asks for {network}:"
            f" add --set gender.network={its_network}, or give another."
        )
    if (damage := _damage(state, network)) is not None:
        raise UserError(f"{file.path} is damaged ({damage}): copy it again, or train a classifier again.")
    return Checkpoint(card, state)


def _not_ours(file: GivenFile, why: str) -> UserError:
    return UserError(
        f"{file.path} is not a gender classifier that can be used ({why}):"
        " give the gender.safetensors of a folder that `fhpt-eval train gender -o` wrote."
    )


def _damage(state: Arrays, network: ClassifierNetwork) -> str | None:
    expected = shapes(network)
    if missing := expected.keys() - state:
        return f"tensor {min(missing)} is missing"
    if more := state.keys() - expected:
        return f"tensor {min(more)} is none of its own"
    for name, array in state.items():
        if array.shape != expected[name] or array.dtype != np.float32:
            return f"tensor {name} is {array.dtype} {array.shape} instead of float32 {expected[name]}"
        if not np.isfinite(array).all():
            return f"tensor {name} holds NaN or infinite values"
    return None


@dataclass(frozen=True, kw_only=True)
class GenderClassifier(ImageExtractor):
    """Records ``score``, the logit of "WOMEN" against "MEN" (float32 scalar): above 0 it says WOMEN.

    Attributes:
        network: ``vgg16``: [0, 1] RGB normalised by ImageNet's mean and deviation, images at their own size.
            ``efficientnet_lite0``: a linear layer on the features of `EfficientNetLite0`.
        classifier: The checkpoint; None asks for the one that the user gives.
    """

    name: ClassVar[str] = "gender-classifier"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "timm")
    all_weights: ClassVar[tuple[Weights, ...]] = (EFFICIENTNET_LITE0,)
    network: ClassifierNetwork = "vgg16"
    classifier: GivenFile | None = None

    def weights(self) -> tuple[Weights, ...]:
        """EfficientNet-Lite0's, where the checkpoint holds only the layer on top of it."""
        return self.all_weights if self.network == "efficientnet_lite0" else ()

    def brought(self) -> Mapping[str, GivenFile]:
        """Return the checkpoint."""
        return {} if self.classifier is None else {self.name: self.classifier}

    def check(self) -> None:
        """Refuse a checkpoint that `read_checkpoint` cannot use."""
        if self.classifier is not None:
            read_checkpoint(self.classifier, self.network)

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Read the checkpoint and build the network.

        Raises:
            UserError: There is no checkpoint, or it cannot be used.
        """
        if self.classifier is None:
            raise UserError("no gender classifier is given: give one with --gender-classifier FILE.")
        state = read_checkpoint(self.classifier, self.network).state
        if self.network == "vgg16":
            return _vgg16(state, context)
        return _on_features(EfficientNetLite0(geometry=self.geometry).load(context), state)


def _on_features(
    features: Callable[[Sequence[Pixels]], list[Result]], state: Arrays
) -> Callable[[Sequence[Pixels]], list[Result]]:
    weight, bias = state["head.weight"][0], state["head.bias"][0]

    def extract(images: Sequence[Pixels]) -> list[Result]:
        return [
            r if isinstance(r, Missing) else {"score": np.array(r["features"] @ weight + bias, dtype=np.float32)}
            for r in features(images)
        ]

    return extract


def _vgg16(state: Arrays, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
    import torch

    from fhpt_eval.extract._torch import ready
    from fhpt_eval.extract.gender_network import Vgg16Classifier, load

    network: Any = Vgg16Classifier(context)
    load(network, state)
    ready(network, context)

    @torch.inference_mode()
    def extract(images: Sequence[Pixels]) -> list[Result]:
        results: list[Result] = [TOO_SMALL] * len(images)
        usable = [i for i, image in enumerate(images) if min(image.shape[:2]) >= SMALLEST]
        for i, logit in zip(usable, network([images[i] for i in usable]).cpu().numpy(), strict=True):
            results[i] = {"score": np.asarray(logit)}
        return results

    return extract
