"""What large self-supervised networks see in an image: DINOv2's class token, and CLIP's image embedding.

Each is fed as the code that made its distances known feeds it: DINOv2 as dgm-eval (Stein et al., NeurIPS 2023), CLIP as
clean-fid (Kynkäänniemi et al., ICLR 2023).
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast, get_args

import numpy as np

from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
from fhpt_eval.extract.weights import Weights, load_state_dict
from fhpt_eval.images.geometry import Crop, Geometry, Resize, Round, Step
from fhpt_eval.records import Result

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

Dinov2Network = Literal["dinov2-vits14", "dinov2-vitb14", "dinov2-vitl14"]
ClipNetwork = Literal["clip-vitb32", "clip-vitl14"]
EmbeddingNetwork = Literal[Dinov2Network, ClipNetwork]

WIDTHS: dict[EmbeddingNetwork, int] = {
    "dinov2-vits14": 384,
    "dinov2-vitb14": 768,
    "dinov2-vitl14": 1024,
    "clip-vitb32": 512,
    "clip-vitl14": 768,
}
"""How many features an image has."""

SIDE = 224
"""Of the square that all of them are shown, in pixels."""

_USED_BY = "fid, kid, prdc, retrieval, similarity where they name it"


def _dinov2(name: Dinov2Network, size: int, sha256: str) -> Weights:
    stem = name.replace("-", "_")
    return Weights(
        name=name,
        filename=f"{stem}_pretrain.pth",
        bytes=size,
        sha256=sha256,
        licence="Apache-2.0",
        used_by=_USED_BY,
        url=f"https://dl.fbaipublicfiles.com/dinov2/{stem}/{stem}_pretrain.pth",
    )


def _clip(name: ClipNetwork, filename: str, size: int, sha256: str) -> Weights:
    return Weights(
        name=name,
        filename=filename,
        bytes=size,
        sha256=sha256,
        licence="MIT",
        used_by=_USED_BY,
        url=f"https://openaipublic.azureedge.net/clip/models/{sha256}/{filename}",
    )


# The official files of DINOv2 tell no hash: these are what several projects pin, independently, for the same address.
# CLIP's addresses hold theirs.
FILES: dict[EmbeddingNetwork, Weights] = {
    "dinov2-vits14": _dinov2(
        "dinov2-vits14", 88_283_115, "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"
    ),
    "dinov2-vitb14": _dinov2(
        "dinov2-vitb14", 346_378_731, "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"
    ),
    "dinov2-vitl14": _dinov2(
        "dinov2-vitl14", 1_217_586_395, "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"
    ),
    "clip-vitb32": _clip(
        "clip-vitb32", "ViT-B-32.pt", 353_976_522, "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"
    ),
    "clip-vitl14": _clip(
        "clip-vitl14", "ViT-L-14.pt", 932_768_134, "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"
    ),
}

_TIMM: dict[Dinov2Network, str] = {
    "dinov2-vits14": "vit_small_patch14_dinov2",
    "dinov2-vitb14": "vit_base_patch14_dinov2",
    "dinov2-vitl14": "vit_large_patch14_dinov2",
}
_PATCH = 14
_OFFSET = 0.1
"""What the official code adds to the number of patches before it divides, so that no position is lost to rounding."""

_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, kw_only=True)
class Dinov2(ImageExtractor):
    """Records ``features`` (384, 768 or 1024 float32): DINOv2's class token (no registers) after the last norm.

    The whole image is squeezed to 224×224 (Pillow's bicubic on uint8, antialiased) and normalised by ImageNet's mean
    and deviation, as dgm-eval's default. Position embeddings are interpolated as the official code does (bicubic, not
    antialiased, scaled by (16 + 0.1)/37), and not as timm does.

    Attributes:
        network: ``dinov2-vits14``, ``dinov2-vitb14`` or ``dinov2-vitl14``.
    """

    name: ClassVar[str] = "dinov2"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "timm")
    all_weights: ClassVar[tuple[Weights, ...]] = tuple(FILES[name] for name in get_args(Dinov2Network))
    network: Dinov2Network = "dinov2-vitl14"

    def weights(self) -> tuple[Weights, ...]:
        """Return the network's weights."""
        return (FILES[self.network],)

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Build timm's network and load the official state dict."""
        import timm
        import torch
        from torch.nn.functional import interpolate

        from fhpt_eval.extract._torch import imagenet_normalisation

        state = load_state_dict(context.weights[FILES[self.network].name])
        state.pop("mask_token", None)
        first, patches = state["pos_embed"][:, :1], state["pos_embed"][:, 1:]
        side = round(patches.shape[1] ** 0.5)
        scale = (SIDE // _PATCH + _OFFSET) / side
        grid = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
        state["pos_embed"] = torch.cat([first, grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
        network = timm.create_model(_TIMM[self.network], pretrained=False, img_size=SIDE)
        network.load_state_dict(state)
        return _on_images(network, imagenet_normalisation(context.device), _squeezed, context)


@dataclass(frozen=True, kw_only=True)
class Clip(ImageExtractor):
    """Records ``features`` (512 or 768 float32): the image embedding of OpenAI's CLIP, projected, not scaled to length.

    The shorter side is resized to 224 (Pillow's bicubic on uint8, antialiased) and the middle 224×224 are cut out, as
    OpenAI and clean-fid do: of a high image top and bottom are not seen. To have all of it seen, squeeze it first, by a
    geometry. Normalised by CLIP's own mean and deviation; float32.

    Attributes:
        network: ``clip-vitb32`` or ``clip-vitl14``.
    """

    name: ClassVar[str] = "clip"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "open-clip-torch")
    extra: ClassVar[str] = "embeddings"
    all_weights: ClassVar[tuple[Weights, ...]] = tuple(FILES[name] for name in get_args(ClipNetwork))
    network: ClipNetwork = "clip-vitb32"

    def weights(self) -> tuple[Weights, ...]:
        """Return the network's weights."""
        return (FILES[self.network],)

    def load(self, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
        """Build open_clip's network and load OpenAI's file."""
        import torch
        from open_clip.model import build_model_from_openai_state_dict

        from fhpt_eval.extract._torch import channel_values

        state = _openai_state(context.weights[FILES[self.network].name])
        network = build_model_from_openai_state_dict(state, cast_dtype=torch.float32).visual.float()
        mean, std = (channel_values(v, context.device) for v in (_CLIP_MEAN, _CLIP_STD))
        return _on_images(network, (mean, std), _middle, context)


def embedding(network: EmbeddingNetwork, geometry: Geometry) -> Dinov2 | Clip:
    """Return the extractor of a network."""
    if network in get_args(ClipNetwork):
        return Clip(network=cast("ClipNetwork", network), geometry=geometry)
    return Dinov2(network=cast("Dinov2Network", network), geometry=geometry)


def _openai_state(file: Path) -> dict[str, Tensor]:
    """Read OpenAI's file, whose hash was verified: it is a TorchScript archive, of which only the tensors are used."""
    import torch

    with zipfile.ZipFile(file) as archive:
        is_script = any(name.endswith("/constants.pkl") for name in archive.namelist())
    if not is_script:
        return load_state_dict(file)
    with warnings.catch_warnings():
        # The file has been as it is since 2021.
        warnings.filterwarnings("ignore", "`torch.jit.*is deprecated")
        load: Any = torch.jit.load
        state: dict[str, Tensor] = load(str(file), map_location="cpu").state_dict()
    return state


def _on_images(
    network: nn.Module, normalisation: tuple[Tensor, Tensor], sized: Callable[[Pixels], Geometry], context: Context
) -> Callable[[Sequence[Pixels]], list[Result]]:
    """Make a network ready for inference, and bring images to what it takes."""
    import torch

    from fhpt_eval.extract._torch import batch, in_bfloat16, ready

    ready(network, context)
    mean, std = normalisation

    @torch.inference_mode()
    def extract(images: Sequence[Pixels]) -> list[Result]:
        x = (batch(images, context, sized) / 255 - mean) / std
        with in_bfloat16(context):
            found = network(x)
        return [{"features": row} for row in found.float().cpu().numpy()]

    return extract


def _resized(image: Pixels, width: int, height: int) -> tuple[Step, ...]:
    resize = Resize(width=width, height=height, filter="pil-bicubic")
    return (resize,) if image.dtype == np.uint8 else (Round(), resize)


def _squeezed(image: Pixels) -> Geometry:
    return Geometry(_resized(image, SIDE, SIDE))


def _middle(image: Pixels) -> Geometry:
    """Resize the shorter side, and cut out the middle, both rounded as torchvision does."""
    height, width = image.shape[:2]
    shorter = min(height, width)
    width, height = (SIDE * side // shorter for side in (width, height))
    left, top = (round((side - SIDE) / 2) for side in (width, height))
    return Geometry((*_resized(image, width, height), Crop(left=left, top=top, width=SIDE, height=SIDE)))
