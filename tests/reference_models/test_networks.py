"""The building blocks in PATN's configuration have PATN's sizes; the whole network has the shapes of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d
from torch import nn
from torch.nn import functional

from fhpt_eval.errors import UserError
from fhpt_eval.reference_models.drn.attention import PoseGuidedAttention
from fhpt_eval.reference_models.drn.blocks import (
    AdaptiveInstanceNorm,
    InstanceNorm,
    LayerNorm,
    PoseAttentionalTransferBlock,
    SmoothPixelShuffle,
    leaky_relu,
    relu,
    stem,
)
from fhpt_eval.reference_models.drn.config import CONFIGS, SIZES, DrnConfig, named_config
from fhpt_eval.reference_models.drn.detail import StyleEncoder
from fhpt_eval.reference_models.drn.discriminators import Discriminator
from fhpt_eval.reference_models.drn.flow import CarriedPixels
from fhpt_eval.reference_models.drn.network import DetailReplenishingNetwork, face_module
from fhpt_eval.reference_models.drn.transfer import PoseTransferBranch

TINY = DrnConfig(width=4, max_width=8, transfer_blocks=2, style_code=6, discriminator_width=4)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_transfer_branch_in_patns_configuration_has_patns_parameters() -> None:
    assert parameters(PoseTransferBranch(down_samplings=2, activation=relu, dropout=0.5)) == 41_358_019


@pytest.mark.parametrize(("channels", "count"), [(6, 3_928_384), (21, 3_975_424)])
def test_the_discriminators_in_patns_configuration_have_patns_parameters(channels: int, count: int) -> None:
    assert parameters(Discriminator(channels, activation=relu, dropout=0.5)) == count


def test_a_transfer_block_is_patns_formula() -> None:
    torch.manual_seed(0)
    block = PoseAttentionalTransferBlock(4, 8, relu)
    image, pose = torch.randn(2, 4, 6, 5), torch.randn(2, 8, 6, 5)

    def convolve(x: torch.Tensor, layer: Any) -> torch.Tensor:
        weights = layer[1]
        assert isinstance(weights, nn.Conv2d)
        return functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="reflect"), weights.weight, weights.bias)

    def norm(x: torch.Tensor) -> torch.Tensor:
        centred = x - x.mean((2, 3), keepdim=True)
        return centred / (x.var((2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()

    content = norm(convolve(norm(convolve(image, block.image[0])).clamp(min=0), block.image[3]))
    attention = convolve(norm(convolve(pose, block.pose[0])).clamp(min=0), block.pose[3])
    renewed = image + content * attention.sigmoid()
    new_image, new_pose = block(image, pose)
    torch.testing.assert_close(new_image, renewed, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(new_pose, torch.cat([attention, renewed], 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("count", [1, 3])
def test_instance_norm_and_its_gradient_are_group_norms(count: int, memory_format: torch.memory_format) -> None:
    torch.manual_seed(0)
    features = torch.randn(count, 5, 6, 4, dtype=torch.float64).to(memory_format=memory_format).requires_grad_()
    weights = torch.randn(count, 5, 6, 4, dtype=torch.float64)
    own, group = InstanceNorm(5)(features), functional.group_norm(features, 5)
    torch.testing.assert_close(own, group)
    gradients = [torch.autograd.grad((out * weights).sum(), features) for out in (own, group)]
    torch.testing.assert_close(*gradients)


def test_layer_norm_is_torchs_over_channels_and_places() -> None:
    torch.manual_seed(0)
    features = torch.randn(3, 5, 6, 4, dtype=torch.float64) + torch.arange(5)[:, None, None]
    torch.testing.assert_close(LayerNorm(5)(features), functional.layer_norm(features, features.shape[1:]))


def test_attention_is_vaswanis_formula_place_by_place() -> None:
    torch.manual_seed(0)
    attention = PoseGuidedAttention([4, 6], leaky_relu, LayerNorm).double()
    image, poses = torch.randn(2, 6, 8, 6).double(), torch.rand(2, 36, 16, 12).double()
    brought = attention(image, poses)
    assert brought.shape == image.shape

    def at(layer: nn.Conv2d, features: torch.Tensor) -> torch.Tensor:
        assert layer.bias is not None
        return layer.weight[:, :, 0, 0] @ features + layer.bias

    for n, y, x in [(0, 0, 0), (1, 7, 5), (1, 3, 2)]:
        places = [(i, j) for i in range(8) for j in range(6)]
        codes = [attention.pose(pose[None])[0] for pose in (poses[n, :18], poses[n, 18:])]
        source, target = (
            {p: torch.cat([code[:, p[0], p[1]], torch.tensor([p[0] / 3.5 - 1, p[1] / 2.5 - 1])]) for p in places}
            for code in codes
        )
        query = at(attention.query, target[y, x])
        weights = torch.stack([query @ at(attention.key, source[p]) / 3**0.5 for p in places]).softmax(0)
        value = sum(w * at(attention.value, image[n, :, p[0], p[1]]) for w, p in zip(weights, places, strict=True))
        assert isinstance(value, torch.Tensor)
        torch.testing.assert_close(brought[n, :, y, x], at(attention.output, value))


def test_only_the_small_size_has_attention_layer_normalisation_and_carried_pixels() -> None:
    kinds = {
        size: {type(m) for m in DetailReplenishingNetwork(config).transfer.modules()} for size, config in SIZES.items()
    }
    additions = {PoseGuidedAttention, LayerNorm, CarriedPixels}
    assert additions <= kinds["small"]
    assert InstanceNorm not in kinds["small"]
    assert not additions & kinds["full"]
    assert InstanceNorm in kinds["full"]


@pytest.mark.parametrize(("patch", "size"), [(1, 7), (2, 3), (4, 1)])
def test_a_stem_over_patches_sees_about_as_far_as_a_7x7_convolution(patch: int, size: int) -> None:
    for smooth in (False, True):
        layer = stem(3, 5, patch, smooth=smooth)
        weights = [p for name, p in layer.named_parameters() if name.endswith("weight")]
        channels = 3 if smooth else 3 * patch**2
        assert [tuple(w.shape) for w in weights] == [(5, channels, size, size)]
        assert layer(torch.randn(1, 3, 16, 8)).shape == (1, 5, 16 // patch, 8 // patch)


def test_gradients_of_one_image_do_not_depend_on_the_memory_format() -> None:
    gradients = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        branch = PoseTransferBranch(width=4, max_width=8, blocks=1).double().to(memory_format=memory_format)
        source, poses = torch.randn(1, 3, 16, 16).double(), torch.randn(1, 36, 16, 16).double()
        coarse, _ = branch(source.to(memory_format=memory_format), poses.to(memory_format=memory_format))
        coarse.square().sum().backward()
        gradients.append([p.grad for p in branch.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_adaptive_instance_norm_is_equation_4() -> None:
    torch.manual_seed(0)
    layer = AdaptiveInstanceNorm(3, 5)
    features, style = torch.randn(2, 3, 7, 4), torch.randn(2, 5)
    modulation = layer.mlp(style)
    expected = torch.empty_like(features)
    for n, c in np.ndindex(2, 3):
        x = features[n, c]
        weight, bias = 1 + modulation[n, c], modulation[n, 3 + c]
        expected[n, c] = weight * (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt() + bias
    torch.testing.assert_close(layer(features, style), expected, rtol=1e-5, atol=1e-6)
    assert sum(isinstance(part, nn.Linear) for part in layer.mlp) == 3


def test_the_style_code_does_not_depend_on_where_things_are() -> None:
    """Pooled globally: of a periodic picture, a shift by its period leaves the code as it is, borders aside."""
    torch.manual_seed(0)
    encoder = StyleEncoder([4, 8, 8], 6, 6).eval()
    assert encoder(torch.randn(2, 3, 64, 48)).shape == (2, 6)
    flat = torch.full((1, 3, 64, 48), 0.3)
    torch.testing.assert_close(encoder(flat), encoder(flat[:, :, :32]), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(encoder(flat), encoder(-flat), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_named_configuration_gives_images_of_the_sources_size(name: str) -> None:
    config = named_config(name, "small")
    network = DetailReplenishingNetwork(config).eval()
    with torch.inference_mode():
        images = network(torch.randn(1, 3, 64, 48), torch.rand(1, 36, 64, 48))
    assert images.coarse.shape == images.refined.shape == (1, 3, 64, 48)
    assert images.guidance.shape == (1, config.max_width, 8, 6)
    assert (images.residual is None) == (name == "pb-only")
    assert float(images.coarse.abs().max()) <= 1


def test_the_refined_image_starts_as_the_coarse_one() -> None:
    images = DetailReplenishingNetwork(TINY)(torch.randn(2, 3, 32, 24), torch.rand(2, 36, 32, 24))
    torch.testing.assert_close(images.refined, images.coarse, rtol=0, atol=0)


def test_gradients_of_the_refined_image_reach_the_transfer_branch_through_the_guidance_map() -> None:
    network = DetailReplenishingNetwork(TINY)
    assert network.detail is not None
    nn.init.normal_(network.detail.generator.output.weight)
    images = network(torch.randn(1, 3, 32, 24), torch.rand(1, 36, 32, 24))
    images.residual.square().sum().backward()
    block: Any = network.transfer.blocks[0]
    assert all(p.grad is None or not p.grad.any() for p in network.transfer.decoder.parameters())
    assert all(p.grad is not None and p.grad.any() for p in block.image[0].parameters())


def test_the_face_module_makes_a_face_of_the_sources_style() -> None:
    faces = face_module(TINY).eval()
    sketch = torch.zeros(2, 1, 64, 64)
    sketch[:, :, 20:40, 30] = 1
    with torch.inference_mode():
        out = faces(torch.randn(2, 3, 64, 64), sketch)
    assert out.shape == (2, 3, 64, 64)
    assert not torch.equal(out[0], out[1])


def test_sizes_and_ablations_differ_as_the_paper_says() -> None:
    full = named_config()
    assert (full.down_samplings, full.transfer_blocks, full.style_blocks, full.style_code) == (3, 9, 6, 128)
    assert full.learning_rate == 1e-4
    assert full.weight_decay == 1e-5
    weights = (full.adversarial_weight, full.perceptual_weight, full.reconstruction_weight, full.style_weight)
    assert weights == (1, 5, 10, 5)
    assert named_config("texture64").style_code == 64
    assert not named_config("end2end").alternate
    assert named_config("pb-fix").freeze_transfer
    small = sum(parameters(m) for m in (DetailReplenishingNetwork(SIZES["small"]), face_module(SIZES["small"])))
    assert small * 4 < 22e6
    assert SIZES["small"].divisor == full.divisor == 8


def test_unknown_names_are_named() -> None:
    with pytest.raises(UserError, match="Did you mean 'pb-only'"):
        named_config("pbonly")
    with pytest.raises(UserError, match="no size 'huge'"):
        named_config(size="huge")
    with pytest.raises(ValueError, match="patch"):
        DrnConfig(patch=3)
    with pytest.raises(ValueError, match="constant_epochs"):
        DrnConfig(epochs=2, constant_epochs=3)


def test_the_pixels_of_a_patch_start_alike() -> None:
    """An untrained branch paints no checkerboard: before the filter its image is constant on patches."""
    torch.manual_seed(0)
    config = named_config("drn", "small")
    branch = DetailReplenishingNetwork(config).transfer.eval()
    branch.decoder[-1] = nn.PixelShuffle(config.patch)
    with torch.no_grad():
        image, _ = branch(torch.randn(1, 3, 32, 32), torch.rand(1, 36, 32, 32))
    squares = image.unfold(2, config.patch, config.patch).unfold(3, config.patch, config.patch)
    assert torch.equal(squares, squares[..., :1, :1].expand_as(squares))
    assert image.std() > 0


def test_painted_images_are_filtered_by_1_2_1() -> None:
    torch.manual_seed(0)
    channels = torch.randn(2, 12, 5, 4)
    kernel = np.array([1, 2, 1]) / 4
    expected = functional.pixel_shuffle(channels, 2).numpy()
    for axis in (2, 3):
        expected = convolve1d(expected, kernel, axis, mode="nearest")
    assert SmoothPixelShuffle(2)(channels).numpy() == pytest.approx(expected, abs=1e-6)
    assert SmoothPixelShuffle(1)(channels) is channels


def test_no_weave_of_single_pixels_can_be_painted() -> None:
    weave = functional.pixel_unshuffle((torch.arange(12) % 2 * 2.0 - 1).expand(1, 3, 12, 12), 2)
    assert SmoothPixelShuffle(2)(weave)[..., 1:-1, 1:-1].abs().max() < 1e-6
