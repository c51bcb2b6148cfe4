"""Algorithm 1: which parameters move in which step, and where gradients come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy_updates import TINY, body, body_batch, features, moved, snapshot

from fhpt_eval.extract.numerics import Precision
from fhpt_eval.reference_models.drn.config import named_config
from fhpt_eval.reference_models.drn.losses import discriminator_loss, least_squares, perceptual_loss, style_loss
from fhpt_eval.reference_models.drn.pose import heatmaps
from fhpt_eval.reference_models.drn.samples import to_images
from fhpt_eval.reference_models.drn.updates import BodyUpdates, FaceUpdates


def seen(batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Source, target, both poses and the target's."""
    source, target = to_images(batch["source_image"]), to_images(batch["target_image"])
    poses = heatmaps(torch.cat([batch["source_body"], batch["target_body"]], 1), 32, 24)
    return source, target, poses, poses[:, 18:]


def face_batch() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    crops = {k: torch.rand(2, 3, 64, 64, generator=random) * 2 - 1 for k in ("source_face", "target_face")}
    return crops | {"target_sketch": torch.rand(2, 1, 64, 64, generator=random)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("drn", {"network.transfer", "network.detail", "discriminators"}),
        ("end2end", {"network.transfer", "network.detail", "discriminators"}),
        ("pb-only", {"network.transfer", "discriminators"}),
        ("pb-fix", {"network.detail", "discriminators"}),
    ],
)
def test_a_step_moves_what_the_configuration_says(name: str, expected: set[str]) -> None:
    config = named_config(name, "small")
    updates = body(config)
    before = snapshot(updates)
    losses = updates.step(body_batch())
    assert moved(before, snapshot(updates)) == expected
    assert ("coarse/reconstruction" in losses) == (name == "drn")
    assert all(torch.isfinite(value) and not value.requires_grad for value in losses.values())


def test_the_three_phases_of_algorithm_1_move_their_own_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = body()
    phases: list[tuple[str, set[str]]] = []
    descend = updates._descend

    def watched(loss: Tensor, optimiser: str) -> None:
        before = snapshot(updates)
        descend(loss, optimiser)
        phases.append((optimiser, moved(before, snapshot(updates))))

    monkeypatch.setattr(updates, "_descend", watched)
    updates.step(body_batch())
    assert phases == [
        ("transfer", {"network.transfer"}),
        ("network", {"network.transfer", "network.detail"}),
        *[("discriminators", {"discriminators"})] * 3,
    ]


def test_the_number_of_discriminator_steps_is_k() -> None:
    losses = {}
    for k in (1, 3):
        updates = body(replace(TINY, discriminator_steps=k))
        updates.step(body_batch())
        losses[k] = {int(state["step"]) for state in updates.optimisers["discriminators"].state.values()}
    assert losses == {1: {1}, 3: {3}}


def test_losses_that_weigh_nothing_are_left_out() -> None:
    updates = body(replace(TINY, adversarial_weight=0.0, style_weight=0.0))
    before = snapshot(updates)
    losses = updates.step(body_batch())
    assert moved(before, snapshot(updates)) == {"network.transfer", "network.detail"}
    assert [name for name in losses if name.startswith(("refined/", "disc"))] == [
        "refined/reconstruction",
        "refined/perceptual",
    ]


def test_phi_sees_nothing_where_no_loss_needs_it() -> None:
    config = replace(TINY, style_weight=0.0, perceptual_weight=0.0)

    def unseen(image: torch.Tensor) -> list[torch.Tensor]:
        raise AssertionError("φ was asked")

    losses = BodyUpdates(config, unseen, "cpu").step(body_batch())
    assert {name for name in losses if not name.startswith("disc")} == {
        "coarse/reconstruction",
        "refined/reconstruction",
        "refined/adversarial",
    }


def test_l2_reaches_the_transfer_branch_through_the_guidance_map_alone() -> None:
    """With the coarse image cut off from the graph, what remains is the way through F_t."""
    updates = body()
    nn.init.normal_(updates.network.detail.generator.output.weight)  # type: ignore[union-attr]
    source, target, poses, pose = seen(body_batch())
    images = updates.network(source, poses)
    refined = images.coarse.detach() + images.residual
    loss, _ = updates._full_loss(refined, target, features(target), source, pose, updates.discriminators)
    loss.backward()
    assert any(p.grad is not None and p.grad.any() for p in updates.network.transfer.blocks.parameters())
    assert all(p.grad is None for p in updates.network.transfer.decoder.parameters())
    assert all(p.grad is None for p in updates.discriminators.parameters())


def test_the_losses_are_the_weighted_sums_of_equations_5_and_7() -> None:
    updates = body()
    source, image, _, pose = seen(body_batch())
    target = source
    loss, _ = updates._coarse_loss(image, target, features(target))
    l1 = (image - target).abs().mean()
    perceptual = perceptual_loss(features(image), features(target))
    torch.testing.assert_close(loss, 10 * l1 + 5 * perceptual)
    loss, _ = updates._full_loss(image, target, features(target), source, pose, updates.discriminators)
    scores = updates.discriminators(image, source, pose)
    adversarial = least_squares(scores[0], real=True) + least_squares(scores[1], real=True)
    style = style_loss(features(image), features(target))
    torch.testing.assert_close(loss, 10 * l1 + 5 * perceptual + 5 * style + adversarial)


def test_the_discriminators_loss_falls_with_k_steps_on_one_batch() -> None:
    updates = body()
    source, target, _, pose = seen(body_batch())
    fake = torch.zeros_like(target)

    @torch.no_grad()
    def loss() -> float:
        real, generated = (updates.discriminators(image, source, pose) for image in (target, fake))
        return sum(float(discriminator_loss(r, g)) for r, g in zip(real, generated, strict=True))

    before = loss()
    for _ in range(5):
        updates._update_discriminators(fake, target, source, pose, updates.discriminators)
    assert loss() < before


def test_the_face_module_is_trained_by_itself() -> None:
    torch.manual_seed(0)
    updates = FaceUpdates(TINY, features, "cpu")
    before = snapshot(updates)
    losses = updates.step(face_batch())
    assert moved(before, snapshot(updates)) == {"face", "discriminators"}
    assert set(losses) == {
        *(f"refined/{part}" for part in ("reconstruction", "perceptual", "style", "adversarial")),
        "discriminator/appearance",
        "discriminator/pose",
    }
    pictures = updates.pictures(face_batch())
    assert list(pictures) == ["source", "sketch", "target", "refined"]
    assert {p.shape[1:] for p in pictures.values()} == {(3, 64, 64)}


def test_a_step_is_deterministic() -> None:
    one, other = body(), body()
    for seed in range(2):
        first, second = one.step(body_batch(seed)), other.step(body_batch(seed))
        assert {k: float(v) for k, v in first.items()} == {k: float(v) for k, v in second.items()}
    assert not moved(snapshot(one), snapshot(other))


def test_the_learning_rate_is_set_everywhere() -> None:
    updates = body()
    updates.set_learning_rate(0.25)
    rates = {group["lr"] for optimiser in updates.optimisers.values() for group in optimiser.param_groups}
    assert rates == {0.25}


def loss_gradient(precision: Precision, device: str = "cpu") -> tuple[Tensor, dict[str, Tensor]]:
    """The gradient by L_2 without discriminators of one image, and the losses, through a φ with convolutions."""
    torch.manual_seed(0)
    phi = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2)).requires_grad_(requires_grad=False)
    updates = BodyUpdates(
        replace(TINY, adversarial_weight=0.0), lambda x: [phi[0](x), phi(x)], device, precision=precision
    )
    source, target, _, pose = seen(body_batch())
    image = source.clone().requires_grad_()
    loss, parts = updates._full_loss(image, target, updates._true_maps(target), source, pose, updates.discriminators)
    loss.backward()
    assert image.grad is not None
    return image.grad, parts


def test_phi_and_the_style_loss_are_in_float32_whatever_the_layers_are_in() -> None:
    (exact, losses), (rounded, in_bfloat16) = loss_gradient("float32"), loss_gradient("bfloat16")
    assert torch.equal(exact, rounded)
    assert {"refined/perceptual", "refined/style"} <= losses.keys()
    assert losses == in_bfloat16


def test_phi_sees_float32_in_an_iteration_in_bfloat16_and_layers_see_bfloat16() -> None:
    seen_by_phi: list[tuple[torch.dtype, bool]] = []

    def watching(images: Tensor) -> list[Tensor]:
        seen_by_phi.append((images.dtype, torch.is_autocast_enabled("cpu")))
        return features(images)

    torch.manual_seed(0)
    updates = BodyUpdates(TINY, watching, "cpu", precision="bfloat16")
    layers: set[torch.dtype] = set()
    block: Any = updates.network.transfer.blocks[0]
    block.image[0].register_forward_hook(lambda _m, _in, out: layers.add(out.dtype))
    losses = updates.step(body_batch())
    assert seen_by_phi == [(torch.float32, False)] * 3
    assert layers == {torch.bfloat16}
    assert {value.dtype for value in losses.values()} == {torch.float32}


def test_bfloat16_computes_the_same_losses_to_two_digits() -> None:
    exact = body().step(body_batch())
    torch.manual_seed(0)
    rounded = BodyUpdates(TINY, features, "cpu", precision="bfloat16").step(body_batch())
    for name, value in exact.items():
        assert float(rounded[name]) == pytest.approx(float(value), rel=0.05), name
