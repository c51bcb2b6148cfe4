"""DINOv2 and CLIP against timm and open_clip called plainly, with one file of seeded weights each.

Both sides compute in float32; features agree to 1e-5 of their largest.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import open_clip
import pytest
import timm
import torch
from PIL import Image
from torchvision import transforms
from toys import record_of

from fhpt_eval.extract.embeddings import FILES, WIDTHS, Clip, Dinov2, embedding
from fhpt_eval.extract.extractor import Context
from fhpt_eval.images.geometry import Geometry

Image8 = npt.NDArray[np.uint8]

SIZES = [(256, 176), (224, 224), (300, 451), (61, 40)]


def image(seed: int, height: int, width: int) -> Image8:
    noise = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    return np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC))


def near(found: Any, expected: Any) -> None:
    assert found == pytest.approx(expected, abs=1e-5 * float(np.abs(expected).max()))


def enliven(network: Any, seed: int) -> None:
    """Weights under which positions, images and layers matter."""
    torch.manual_seed(seed)
    for name, parameter in network.named_parameters():
        with torch.no_grad():
            if "ls1" in name or "ls2" in name or (parameter.ndim == 1 and name.endswith("weight")):
                parameter.uniform_(0.5, 1.5)
            elif parameter.ndim > 1:
                parameter.normal_(0, 1 if "embed" in name or "token" in name else parameter[0].numel() ** -0.5)
            else:
                parameter.normal_(0, 0.1)


class Dino:
    """Our extractor, and timm's network with the official code's positions."""

    def __init__(self, folder: Path) -> None:
        whole = timm.create_model("vit_small_patch14_dinov2", pretrained=False)
        enliven(whole, 1)
        # The official file has a token for masks besides.
        state = {**whole.state_dict(), "mask_token": torch.zeros(1, 384)}
        file = folder / FILES["dinov2-vits14"].filename
        torch.save(state, file)
        self.ours = Dinov2(network="dinov2-vits14").load(Context(weights={"dinov2-vits14": file}))
        self.theirs: Any = timm.create_model("vit_small_patch14_dinov2", pretrained=False, dynamic_img_size=True).eval()
        self.theirs.load_state_dict(whole.state_dict())
        self.theirs.pos_embed.data = self.positions(whole.pos_embed.data)
        patches: Any = self.theirs.patch_embed
        patches.strict_img_size, patches.img_size, patches.grid_size = False, (224, 224), (16, 16)

    @staticmethod
    def positions(embedding: Any) -> Any:
        """Sample 16×16 of 37×37 by hand: bicubic with a = −0.75, edges repeated, steps of 37/16.1."""
        grid = embedding[0, 1:].reshape(37, 37, -1).numpy().astype(np.float64)
        weights = np.zeros((16, 37))
        for i in range(16):
            at = (i + 0.5) * 37 / 16.1 - 0.5
            base = int(np.floor(at))
            for tap in range(base - 1, base + 3):
                d, a = abs(at - tap), -0.75
                value = (a + 2) * d**3 - (a + 3) * d**2 + 1 if d <= 1 else a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
                weights[i, min(max(tap, 0), 36)] += value
        sampled = np.einsum("ip,jq,pqd->ijd", weights, weights, grid).reshape(1, 256, -1)
        return torch.cat([embedding[:, :1], torch.from_numpy(sampled).float()], dim=1)

    def expected(self, pixels: Image8) -> Any:
        transform = transforms.Compose(
            [
                transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
                transforms.ToTensor(),
                transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )
        with torch.inference_mode():
            tokens = self.theirs.forward_features(transform(Image.fromarray(pixels)).unsqueeze(0))
        return tokens[0, 0].numpy()


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Dino:
    return Dino(tmp_path_factory.mktemp("dino"))


@pytest.mark.parametrize("size", SIZES)
def test_dinov2_is_timms_with_the_official_positions(dino: Dino, size: tuple[int, int]) -> None:
    pixels = image(1, *size)
    found = record_of(dino.ours([pixels])[0])["features"]
    assert found.shape == (384,)
    near(found, dino.expected(pixels))


def test_a_batch_gives_what_single_images_give(dino: Dino) -> None:
    images = [image(seed, *size) for seed, size in enumerate(SIZES)]
    for one, pixels in zip(dino.ours(images), images, strict=True):
        near(record_of(one)["features"], record_of(dino.ours([pixels])[0])["features"])


def test_floats_are_rounded_before_they_are_resized(dino: Dino) -> None:
    pixels = image(2, 256, 176)
    near(
        record_of(dino.ours([pixels.astype(np.float32) + 0.25])[0])["features"],
        record_of(dino.ours([pixels])[0])["features"],
    )


class Openai:
    """Our extractor, and open_clip's network with OpenAI's preprocessing."""

    def __init__(self, folder: Path) -> None:
        made = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None)
        enliven(made, 2)
        made.half()
        self.file = folder / FILES["clip-vitb32"].filename
        torch.save(made.state_dict(), self.file)
        self.ours = Clip().load(Context(weights={"clip-vitb32": self.file}))
        self.theirs = made.float().eval()
        self.preprocess = open_clip.image_transform(224, is_train=False)

    def expected(self, pixels: Image8) -> Any:
        with torch.inference_mode():
            return self.theirs.encode_image(self.preprocess(Image.fromarray(pixels)).unsqueeze(0))[0].numpy()


@pytest.fixture(scope="module")
def openai(tmp_path_factory: pytest.TempPathFactory) -> Openai:
    return Openai(tmp_path_factory.mktemp("clip"))


@pytest.mark.parametrize("size", SIZES)
def test_clip_is_open_clips(openai: Openai, size: tuple[int, int]) -> None:
    pixels = image(3, *size)
    found = record_of(openai.ours([pixels])[0])["features"]
    assert found.shape == (512,)
    near(found, openai.expected(pixels))


@pytest.mark.slow
def test_clip_reads_openais_archive(openai: Openai, tmp_path: Path) -> None:
    class Holder(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    state = torch.load(openai.file, weights_only=True)
    holder: Any = Holder()
    for name, tensor in state.items():
        *path, last = name.split(".")
        inner = holder
        for part in path:
            if not hasattr(inner, part):
                inner.add_module(part, Holder())
            inner = getattr(inner, part)
        inner.register_buffer(last, tensor)
    file = tmp_path / "ViT-B-32.pt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.*is deprecated")
        torch.jit.save(torch.jit.script(holder), file)
    extract = Clip().load(Context(weights={"clip-vitb32": file}))
    pixels = image(4, 256, 176)
    near(record_of(extract([pixels])[0])["features"], record_of(openai.ours([pixels])[0])["features"])


def test_every_network_has_an_extractor_with_its_own_file() -> None:
    for network in WIDTHS:
        (file,) = embedding(network, Geometry()).weights()
        assert file.name == network
