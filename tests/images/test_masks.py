"""Masks from keypoints: where they are, what is seen through them, and what is said where they cannot be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion
from skimage.metrics import structural_similarity

from fhpt_eval.evaluation.run import Run
from fhpt_eval.images.masks import Joint, Mask
from fhpt_eval.people.keypoint_files import KeypointFiles

if TYPE_CHECKING:
    from conftest import Command, Draw

LIMBS = (
    *([2, 3], [2, 6], [3, 4], [4, 5], [6, 7], [7, 8], [2, 9], [9, 10], [10, 11], [2, 12], [12, 13], [13, 14]),
    *([2, 1], [1, 15], [15, 17], [1, 16], [16, 18], [2, 17], [2, 18], [9, 12], [12, 6], [9, 3], [17, 18]),
)
"""As the field's code has them, counted from 1."""


def joints(seed: int, width: int, height: int, missing: float = 0.2) -> tuple[Joint, ...]:
    random = np.random.default_rng(seed)
    return tuple(
        None if random.random() < missing else (float(random.integers(width)), float(random.integers(height)))
        for _ in range(18)
    )


def drawn(points: tuple[Joint, ...], height: int, width: int) -> npt.NDArray[np.bool_]:
    """By distances along and across each limb, without drawing anything."""
    y, x = np.mgrid[:height, :width]
    mask = np.zeros((height, width), dtype=bool)
    for a, b in LIMBS:
        first, second = points[a - 1], points[b - 1]
        if first is None or second is None or first == second:
            continue
        along = np.subtract(second, first)
        length = np.linalg.norm(along)
        along = along / length
        reach = (x - first[0]) * along[0] + (y - first[1]) * along[1]
        aside = (x - first[0]) * along[1] - (y - first[1]) * along[0]
        mask |= (reach > -1e-9) & (reach < length + 1e-9) & (abs(aside) < 4 + 1e-9)
    for point in points:
        if point is not None:
            mask |= np.hypot(x - point[0], y - point[1]) < 4
    grown = binary_dilation(np.pad(mask, 4), np.ones((5, 5)))[4:-4, 4:-4]
    return np.asarray(binary_erosion(np.pad(grown, 4, mode="reflect"), np.ones((5, 5)))[4:-4, 4:-4])


@pytest.mark.parametrize("seed", range(8))
def test_a_mask_covers_limbs_and_joints(seed: int) -> None:
    points = joints(seed, 64, 128)
    mask = Mask(points, "black").draw(128, 64)
    expected = drawn(points, 128, 64)
    assert 0.1 < mask.mean() < 0.9
    # A pixel whose middle lies on an edge to 1e-9 may fall on either side.
    assert (mask != expected).mean() < 0.001


def test_what_lies_outside_is_black_or_grey() -> None:
    pixels = np.full((128, 64, 3), 200, dtype=np.uint8)
    points = joints(1, 64, 128)
    inside = Mask(points, "black").draw(128, 64)
    black, grey = (Mask(points, fill).apply(pixels) for fill in ("black", "grey"))
    assert black.dtype == np.uint8
    assert grey.dtype == np.float32
    assert set(black[~inside].ravel()) == {0}
    assert set(grey[~inside].ravel()) == {127.5}
    assert set(black[inside].ravel()) == set(grey[inside].ravel()) == {200}


def test_nobody_is_seen_through_a_mask_of_nothing() -> None:
    assert not Mask((None,) * 18, "black").draw(40, 30).any()


# Through the command


@pytest.fixture
def images(draw: Draw) -> tuple[str, ...]:
    return "-g", str(draw("mine", "abc", 1, (128, 64))), "-t", str(draw("real", "abc", 2, (128, 64)))


def annotation_list(people: dict[str, tuple[Joint, ...]]) -> str:
    lines = ["name:keypoints_y:keypoints_x"]
    for name, points in people.items():
        x, y = ([-1 if p is None else int(p[axis]) for p in points] for axis in (0, 1))
        lines.append(f"{name}.png:{y}:{x}")
    Path("annotation.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "annotation.csv"


def test_masked_ssim_is_that_of_masked_images(command: Command, images: tuple[str, ...]) -> None:
    people = {name: joints(seed, 64, 128) for seed, name in enumerate("abc")}
    outcome = command(
        *("run", *images, "-p", "ssim,psnr", "--set", "ssim.mask=black", "--set", "ssim.data_range=generated"),
        *("--target-keypoints", annotation_list(people), "-o", "out"),
    )
    assert outcome.code == 0
    run = Run.load(Path("out"))
    assert set(run.scores) == {"mask_ssim", "psnr"}
    for name, value in zip(run.per_pair["pair"], run.per_pair["mask_ssim"], strict=True):
        mask = Mask(people[name], "black").draw(128, 64)[..., None]
        generated, target = (np.asarray(Image.open(f"{folder}/{name}.png")) * mask for folder in ("mine", "real"))
        expected = structural_similarity(
            target,
            generated,
            gaussian_weights=True,
            use_sample_covariance=False,
            channel_axis=2,
            data_range=int(generated.max()) - int(generated.min()),
        )
        assert value == pytest.approx(expected, abs=1e-6)
    masked, plain = (record.recipe.keypoints for record in run.record.protocols)
    assert masked == {"target": str(KeypointFiles.at(Path("annotation.csv")))}
    assert plain == {}


def test_a_target_without_keypoints_is_missing(command: Command, images: tuple[str, ...]) -> None:
    file = annotation_list({name: joints(0, 64, 128) for name in "ab"})
    outcome = command("run", *images, "-p", "ssim", "--set", "ssim.mask=black", "--target-keypoints", file, "-o", "out")
    assert outcome.code == 3
    score = Run.load(Path("out")).scores["mask_ssim"]
    assert (score.n, sum(score.missing.values())) == (2, 1)
    assert next(iter(score.missing)).endswith("its target has no keypoints of its own to draw a mask from")


def test_a_grey_mask_leaves_fractions_which_a_uint8_filter_cannot_take(
    command: Command, images: tuple[str, ...]
) -> None:
    file = annotation_list({name: joints(0, 64, 128) for name in "abc"})
    asked = ("run", *images, "-p", "ssim", "--set", "ssim.mask=grey", "--target-keypoints", file)
    same = "resize(width=64, height=128, filter=pil-bicubic)"
    outcome = command(*asked, "--generated-geometry", same)
    assert outcome.code == 2
    assert outcome.sentence.endswith("put round or truncate in front of it.")
    assert command(*asked, "--generated-geometry", f"round > {same}").code == 0


def test_masks_without_keypoints_and_keypoints_without_masks(command: Command, images: tuple[str, ...]) -> None:
    outcome = command("run", *images, "-p", "ssim", "--set", "ssim.mask=black", "-o", "out")
    assert outcome.code == 3
    assert "give them with --target-keypoints FILE" in outcome.err
    file = annotation_list({"a": joints(0, 64, 128)})
    assert (
        "none of the chosen protocols looks at keypoints of target images"
        in command("run", *images, "-p", "ssim", "--target-keypoints", file).sentence
    )
    assert command("run", *images, "-p", "ssim", "--target-keypoints", "no.csv").code == 2


def test_a_dialect_measures_with_and_without_masks_in_one_run(command: Command, images: tuple[str, ...]) -> None:
    file = annotation_list({name: joints(seed, 64, 128) for seed, name in enumerate("abc")})
    outcome = command("run", *images, "--dialect", "patn-market", "-p", "ssim", "--target-keypoints", file, "-o", "out")
    assert outcome.code == 0
    scores = Run.load(Path("out")).scores
    assert set(scores) == {"patn-market@2:ssim", "patn-market@2:mask_ssim"}
    plain, masked = (score.value for score in scores.values())
    assert plain is not None
    assert masked is not None
    assert masked > plain + 0.1
