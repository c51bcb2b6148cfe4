"""Algorithm 1: which parameters move in which step, and where gradients come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from fhpt_eval.reference_models.drn.config import DrnConfig, named_config
from fhpt_eval.reference_models.drn.losses import discriminator_loss, least_squares, perceptual_loss, style_loss
from fhpt_eval.reference_models.drn.updates import BodyUpdates, FaceUpdates, Updates

TINY = DrnConfig(width=4, max_width=8, transfer_blocks=2, style_code=6, discriminator_width=4)


def features(images: Tensor) -> list[Tensor]:
    """Two layers without parameters that stand in for VGG-19."""
    return [images, nn.functional.avg_pool2d(images, 4)]


def body_batch(seed: int = 0, count: int = 2) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    images = {k: torch.rand(count, 3, 32, 24, generator=random) * 2 - 1 for k in ("source", "target")}
    return images | {k: torch.rand(count, 18, 32, 24, generator=random) for k in ("source_pose", "target_pose")}


def face_batch() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    crops = {k: torch.rand(2, 3, 64, 64, generator=random) * 2 - 1 for k in ("source", "target")}
    return crops | {"sketch": torch.rand(2, 1, 64, 64, generator=random)}


def body(config: DrnConfig = TINY) -> BodyUpdates:
    torch.manual_seed(0)
    return BodyUpdates(config, features, "cpu")


def snapshot(updates: Updates) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, network in updates.networks.items()
        for key, value in network.state_dict().items()
    }


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> set[str]:
    """The parts with a parameter that changed."""
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    return {key.split(".")[0] if "network." not in key else ".".join(key.split(".")[:2]) for key in changed}


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
    batch = body_batch()
    images = updates.network(batch["source"], torch.cat([batch["source_pose"], batch["target_pose"]], 1))
    refined = images.coarse.detach() + images.residual
    loss, _ = updates._full_loss(
        refined,
        batch["target"],
        features(batch["target"]),
        batch["source"],
        batch["target_pose"],
        updates.discriminators,
    )
    loss.backward()
    assert any(p.grad is not None and p.grad.any() for p in updates.network.transfer.blocks.parameters())
    assert all(p.grad is None for p in updates.network.transfer.decoder.parameters())
    assert all(p.grad is None for p in updates.discriminators.parameters())


def test_the_losses_are_the_weighted_sums_of_equations_5_and_7() -> None:
    updates = body()
    batch = body_batch()
    image, target, source, pose = (batch[k] for k in ("target", "source", "target", "target_pose"))
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
    batch = body_batch()
    fake = torch.zeros_like(batch["target"])

    @torch.no_grad()
    def loss() -> float:
        real, generated = (
            updates.discriminators(image, batch["source"], batch["target_pose"]) for image in (batch["target"], fake)
        )
        return sum(float(discriminator_loss(r, g)) for r, g in zip(real, generated, strict=True))

    before = loss()
    for _ in range(5):
        updates._update_discriminators(
            fake, batch["target"], batch["source"], batch["target_pose"], updates.discriminators
        )
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
    assert [p.shape[1:] for p in updates.pictures(face_batch())] == [(3, 64, 64)] * 4


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


def test_bfloat16_computes_the_same_losses_to_two_digits() -> None:
    exact = body().step(body_batch())
    torch.manual_seed(0)
    rounded = BodyUpdates(TINY, features, "cpu", bfloat16=True).step(body_batch())
    for name, value in exact.items():
        assert float(rounded[name]) == pytest.approx(float(value), rel=0.05), name
