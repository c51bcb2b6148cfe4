"""Feature maps for losses against the networks run by hand; gradients reach the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models

from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0, build_network
from fhpt_eval.extract.feature_maps import VGG19, FeatureNetwork, build_feature_maps
from fhpt_eval.extract.weights import Store


@pytest.fixture(scope="module")
def embedded() -> Path:
    file = Store(offline=True).find(EFFICIENTNET_LITE0)
    assert file is not None
    return file


@pytest.fixture(scope="module")
def vgg19(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    torch.manual_seed(0)
    network = models.vgg19(weights=None)
    file = tmp_path_factory.mktemp("weights") / "vgg19.pth"
    kept = {name: value for name, value in network.state_dict().items() if name.startswith("features.")}
    torch.save(kept, file)
    return file, network.eval()


def images(size: int = 64) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_vgg19_gives_what_torchvisions_layers_give_by_name(vgg19: tuple[Path, Any]) -> None:
    file, network = vgg19
    x = (images() / 2 + 0.5 - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    # relu1_2, relu2_2, relu3_2, relu4_2: the second convolution of each of the first four blocks, rectified.
    expected, block, convolution = [], 1, 0
    with torch.no_grad():
        for layer in network.features:
            x = layer(x)
            if isinstance(layer, torch.nn.Conv2d):
                convolution += 1
            elif isinstance(layer, torch.nn.MaxPool2d):
                block, convolution = block + 1, 0
            elif convolution == 2 and block <= 4:
                expected.append(x.clone())
        found = build_feature_maps("vgg19", file, "cpu")(images())
    assert [m.shape[1] for m in found] == [64, 128, 256, 512]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_efficientnet_gives_its_stages_of_softened_images_brought_to_one_scale(embedded: Path) -> None:
    network = build_network(embedded).eval()
    weights = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1])) / 16
    soft = torch.nn.functional.conv2d(images(), weights.expand(3, 1, 3, 3), groups=3)
    with torch.no_grad():
        stages = network.forward_intermediates(((soft + 1) * 127.5 - 127) / 128, intermediates_only=True)
        found = build_feature_maps("efficientnet_lite0", embedded, "cpu")(images())
    for one, stage in zip(found, stages, strict=True):
        ratio = stage.norm() / one.norm()
        assert 2 < float(ratio) < 9
        torch.testing.assert_close(one * ratio, stage, rtol=1e-3, atol=1e-3)


def test_efficientnet_does_not_see_a_weave_of_single_pixels(embedded: Path) -> None:
    maps = build_feature_maps("efficientnet_lite0", embedded, "cpu")
    plain = torch.nn.functional.avg_pool2d(images(), 5, stride=1)
    weave = 0.2 * (-1.0) ** (torch.arange(60)[:, None] + torch.arange(60))
    for one, other in zip(maps(plain), maps(plain + weave), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["vgg19", "efficientnet_lite0"])
def test_gradients_reach_the_image_and_the_network_stays(
    name: FeatureNetwork, embedded: Path, vgg19: tuple[Path, Any]
) -> None:
    maps = build_feature_maps(name, vgg19[0] if name == "vgg19" else embedded, "cpu")
    image = images().requires_grad_()
    torch.stack([m.square().mean() for m in maps(image)]).sum().backward()
    assert image.grad is not None
    assert float(image.grad.abs().max()) > 0


def test_vgg19_is_registered_with_its_whole_hash() -> None:
    assert VGG19.sha256.startswith("dcbb9e9d")
    assert VGG19.filename == "vgg19-dcbb9e9d.pth"
    assert VGG19.bytes == 574_673_361
