"""LPIPS against the lpips package, with one file of seeded weights for each trunk and the package's learned heads.

Both compute in float32 and agree to 1e-5 of the distance.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import lpips
import numpy as np
import numpy.typing as npt
import pytest
import skimage
import torch
from PIL import Image
from torchvision import models
from toys import compare_two, record_of

from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0
from fhpt_eval.extract.extractor import Context, PairModel
from fhpt_eval.extract.perceptual_distance import HEADS, TRUNKS, PerceptualDistance, TorchTrunk
from fhpt_eval.extract.weights import Store
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.records import Missing

Image8 = npt.NDArray[np.uint8]
# Any, because scikit-image is typed in part only.
data: Any = skimage.data

# (height, width): even, odd, and the least that each trunk can take.
SIZES = [(64, 64), (256, 176), (65, 101), (127, 64)]
SMALLEST = {"alex": 31, "vgg": 16, "squeeze": 17}


class Peer:
    """Our model and the lpips package's, with the same trunk and heads."""

    def __init__(self, net: TorchTrunk, folder: Path) -> None:
        torch.manual_seed(1)
        builders: dict[str, Any] = {"alex": models.alexnet, "vgg": models.vgg16, "squeeze": models.squeezenet1_1}
        trunk = builders[net]()
        for module in trunk.features.modules():
            if isinstance(module, torch.nn.Conv2d) and module.bias is not None:
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                torch.nn.init.normal_(module.bias, 0, 0.1)
        file = folder / f"{net}.pth"
        torch.save({f"features.{name}": tensor for name, tensor in trunk.features.state_dict().items()}, file)
        head = Store(offline=True).find(HEADS[net])
        assert head is not None
        context = Context(weights={TRUNKS[net].name: file, HEADS[net].name: head})
        self.net = net
        self.ours: PairModel = PerceptualDistance(net=net).load(context)
        self.unnormalised: PairModel = PerceptualDistance(net=net, range="0..1").load(context)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "(The parameter 'pretrained'|Arguments other than a weight enum)")
            self.theirs: Any = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
        # The package's slices keep the numbers of torchvision's layers: slice3.5.weight is features.5.weight.
        slices = {name: f"features.{name.split('.', 1)[1]}" for name in self.theirs.net.state_dict()}
        given = torch.load(file, weights_only=True)
        self.theirs.net.load_state_dict({name: given[source] for name, source in slices.items()})

    def distance(self, first: Image8, second: Image8) -> float:
        result = compare_two(self.ours, first, second)
        assert not isinstance(result, Missing)
        assert result["distance"].dtype == np.float64
        return float(result["distance"])

    def expected(self, first: Image8, second: Image8) -> float:
        with torch.inference_mode():
            return float(self.theirs(*(lpips.im2tensor(image) for image in (first, second))))


@pytest.fixture(scope="module", params=get_args(TorchTrunk))
def peer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Peer:
    return Peer(request.param, tmp_path_factory.mktemp("weights"))


def on_unit_interval(image: Image8) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)[None]


def photographs(height: int, width: int) -> list[Image8]:
    return [image[100 : 100 + height, 120 : 120 + width] for image in (data.astronaut(), data.coffee())] + [
        data.chelsea()[30 : 30 + height, 150 : 150 + width]
    ]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_distance_is_that_of_the_lpips_package(peer: Peer, height: int, width: int) -> None:
    first, second, third = photographs(height, width)
    noisy = np.clip(first + np.random.default_rng(2).normal(0, 8, first.shape), 0, 255).astype(np.uint8)
    distances = [peer.distance(a, b) for a, b in ((first, second), (second, third), (first, noisy))]
    expected = [peer.expected(a, b) for a, b in ((first, second), (second, third), (first, noisy))]
    assert distances == pytest.approx(expected, rel=1e-5)
    assert min(distances) > 1e-3
    assert len({round(d, 4) for d in distances}) == 3


def jpeg(image: Image8) -> Image8:
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "JPEG")
    return np.array(Image.open(buffer))


@pytest.mark.parametrize(("height", "width"), [(65, 101), (128, 88)])
def test_distance_of_images_in_0_to_1_is_that_of_the_lpips_package_without_normalising(
    peer: Peer, height: int, width: int
) -> None:
    first, second, _ = photographs(height, width)
    nearly_constant = np.random.default_rng(3).integers(127, 129, first.shape, dtype=np.uint8)
    for a, b in ((first, second), (jpeg(first), first), (first, nearly_constant)):
        result = compare_two(peer.unnormalised, a, b)
        unit = [on_unit_interval(image) for image in (a, b)]
        with torch.inference_mode():
            expected, normalised = float(peer.theirs(*unit)), float(peer.theirs(*unit, normalize=True))
        actual = float(record_of(result)["distance"])
        assert actual == pytest.approx(expected, rel=1e-4)
        assert peer.distance(a, b) == pytest.approx(normalised, rel=1e-4)
        assert abs(actual - normalised) > 1e-2 * normalised


def test_distance_of_pixels_with_fractions_is_that_of_the_lpips_package(peer: Peer) -> None:
    cubic = Geometry.parse("resize(width=88, height=128, filter=cv2-float-cubic)")
    first, second = (cubic.apply(image) for image in photographs(101, 67)[:2])
    tensors = [torch.from_numpy(i).permute(2, 0, 1)[None] / 127.5 - 1 for i in (first, second)]
    with torch.inference_mode():
        expected = float(peer.theirs(*tensors))
    assert peer.distance(first, second) == pytest.approx(expected, rel=1e-4)


def test_distance_to_itself_is_exactly_zero(peer: Peer) -> None:
    for image in photographs(65, 80):
        assert peer.distance(image, image.copy()) == 0


def test_distance_is_symmetric(peer: Peer) -> None:
    first, second, _ = photographs(64, 64)
    assert peer.distance(first, second) == peer.distance(second, first)


def assert_batches_do_not_matter(model: PairModel) -> None:
    wide, tall = photographs(65, 81), photographs(176, 128)
    images = [*tall, wide[0], *tall[:2]]
    together = model.encode(images)
    in_twos = [code for i in range(0, len(images), 2) for code in model.encode(images[i : i + 2])]
    alone = [model.encode([image])[0] for image in images]
    # Convolutions round a batch of one otherwise than larger ones; that is why the engine's CPU route has no batches.
    for (a, _), (b, _), (c, _) in zip(together, in_twos, alone, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(c, a, rtol=1e-5, atol=1e-7)


def test_encoding_in_a_batch_differs_in_the_last_digits_only(peer: Peer) -> None:
    assert_batches_do_not_matter(peer.ours)


def test_encoding_by_the_embedded_network_in_a_batch_differs_in_the_last_digits_only() -> None:
    weights = Store(offline=True).find(EFFICIENTNET_LITE0)
    assert weights is not None
    context = Context(weights={EFFICIENTNET_LITE0.name: weights})
    assert_batches_do_not_matter(PerceptualDistance(net="efficientnet_lite0").load(context))


def test_smallest_image_is_the_one_that_the_lpips_package_takes(peer: Peer) -> None:
    side = SMALLEST[peer.net]
    first, second, _ = photographs(side, side)
    assert peer.distance(first, second) == pytest.approx(peer.expected(first, second), rel=1e-5)
    first, second, _ = photographs(side + 40, side - 1)
    result = compare_two(peer.ours, first, second)
    assert result == Missing(f"smaller than the network's {side} pixels a side")
    with pytest.raises(RuntimeError, match="Output size is too small"):
        peer.expected(first, second)


def test_images_of_different_sizes_are_missing_whatever_the_size(peer: Peer) -> None:
    image = photographs(80, 70)[0]
    for other, text in ((image[:79], "70×79"), (image[:, :69], "69×80"), (image[:5, :5], "5×5")):
        result = compare_two(peer.ours, image, other)
        assert result == Missing(f"sizes differ: 70×80 against {text} (width×height)")
