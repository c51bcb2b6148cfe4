"""Normalisation and padding for a GPU against PyTorch's own, on a CPU: values, gradients, and the layout in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from fhpt_eval.reference_models.drn import layout
from fhpt_eval.reference_models.drn.config import named_config
from fhpt_eval.reference_models.drn.discriminators import Discriminators
from fhpt_eval.reference_models.drn.network import DetailReplenishingNetwork

LAST = torch.channels_last
SHAPES = [(1, 3, 5, 7), (2, 4, 8, 6), (3, 1, 4, 4), (2, 5, 9, 4)]
EPS = 1e-5

Both = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
CASES: dict[str, Both] = {
    "instance": (lambda x: layout.instance_norm(x, EPS), lambda x: functional.group_norm(x, x.shape[1], eps=EPS)),
    "layer": (lambda x: layout.layer_norm(x, EPS), lambda x: functional.group_norm(x, 1, eps=EPS)),
    "pad1": (lambda x: layout.reflection_pad(x, 1), lambda x: functional.pad(x, (1,) * 4, mode="reflect")),
    "pad3": (lambda x: layout.reflection_pad(x, 3), lambda x: functional.pad(x, (3,) * 4, mode="reflect")),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients_are_pytorchs_to_six_digits(case: str, shape: tuple[int, ...]) -> None:
    ours, theirs = CASES[case]
    random = torch.Generator().manual_seed(len(case))
    start = (torch.randn(shape, generator=random) * 3 + 1).contiguous(memory_format=LAST)
    one, other = (start.clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
    # PyTorch's in the layout whose gradients are right (see `InstanceNorm`).
    made, expected = ours(one), theirs(other.contiguous())
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=2e-6)
    weights = torch.randn(expected.shape, generator=random)
    made.backward(weights.contiguous(memory_format=LAST))
    expected.backward(weights)
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=5e-6)
    assert one.grad is not None
    assert made.is_contiguous(memory_format=LAST)
    assert one.grad.is_contiguous(memory_format=LAST)


@pytest.mark.parametrize("case", ["instance", "layer"])
def test_normalisation_of_bfloat16_is_in_float32(case: str) -> None:
    rounded = torch.randn(2, 3, 4, 5).bfloat16()
    made = CASES[case][0](rounded)
    assert made.dtype == torch.float32
    assert torch.equal(made, CASES[case][0](rounded.float()))


@pytest.mark.parametrize("size", ["small", "full"])
def test_on_a_gpu_no_convolution_has_to_turn_what_it_is_given(size: str) -> None:
    """By what PyTorch says of shapes and layouts of CUDA tensors without having any."""
    config = named_config("drn", size)
    given: dict[str, bool] = {}

    def watched(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _module, images: given.update({name: images[0].is_contiguous(memory_format=LAST)})

    with FakeTensorMode(), torch.device("cuda"):
        network, discriminators = DetailReplenishingNetwork(config), Discriminators(18, config)
        for name, module in [*network.named_modules(), *discriminators.named_modules()]:
            for own, parameter in list(module.named_parameters(recurse=False)):
                if parameter.ndim == 4:
                    setattr(module, own, nn.Parameter(parameter.contiguous(memory_format=LAST)))
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.register_forward_pre_hook(watched(name))
        source, poses = torch.empty(2, 64, 48, 3).permute(0, 3, 1, 2), torch.empty(2, 36, 64, 48)
        discriminators(network(source, poses).refined, source, poses[:, 18:])
    assert len(given) > 60
    assert [name for name, last in given.items() if not last] == []
