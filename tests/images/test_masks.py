"""Masks from keypoints: where they are, what is seen through them, and what is said where they cannot be drawn."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fhpt_eval import Pairs, evaluate
from fhpt_eval.evaluation.run import Run
from fhpt_eval.files.given import GivenFile
from fhpt_eval.images.masks import Joint, Mask
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.people.mask_files import GivenMasks, MaskFiles
from fhpt_eval.protocols.psnr import Psnr

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


# Masks that come as files


Change = Callable[[npt.NDArray[np.uint8]], Image.Image]

WAYS: dict[str, Change] = {
    ".png": Image.fromarray,
    "_sil.png": lambda mask: Image.fromarray(mask).convert("1"),
    "_mask.bmp": lambda mask: Image.fromarray(mask).convert("RGB"),
}
"""How one and the same mask may be stored, by the end of its name."""


def silhouette(seed: int, width: int = 64, height: int = 128) -> npt.NDArray[np.uint8]:
    """White where the person is; edges are soft, at 127 and 128."""
    mask = np.where(Mask(joints(seed, width, height), "black").draw(height, width), 255, 0).astype(np.uint8)
    mask[:3], mask[3:6] = 127, 128
    return mask


def stored(names: str, end: str = ".png", folder: str = "masks") -> str:
    Path(folder).mkdir(exist_ok=True)
    for seed, name in enumerate(names):
        mask = silhouette(seed)
        # Black and white has no 127.
        WAYS[end](np.where(mask >= 128, 255, 0).astype(np.uint8) if end == "_sil.png" else mask).save(
            Path(folder, name + end)
        )
    return folder


@pytest.mark.parametrize("end", WAYS)
def test_masks_from_files_take_the_place_of_drawn_ones(command: Command, images: tuple[str, ...], end: str) -> None:
    drawn = annotation_list({name: joints(seed + 7, 64, 128) for seed, name in enumerate("abc")})
    masks = stored("abc", end)
    asked = ("--set", "ssim.mask=black", "--set", "psnr.mask=silhouette")
    outcome = command("run", *images, "-p", "ssim,psnr", *asked, "--target-masks", masks, "-o", "out")
    assert outcome.code == 0
    assert "masks of target images: sha256:" in outcome.out
    run = Run.load(Path("out"))
    assert set(run.scores) == {"mask_ssim", "mask_psnr"}
    for seed, name in enumerate(run.per_pair["pair"]):
        inside = (silhouette(seed) >= 128)[..., None]
        generated, target = (np.asarray(Image.open(f"{folder}/{name}.png")) * inside for folder in ("mine", "real"))
        expected = structural_similarity(
            target, generated, gaussian_weights=True, use_sample_covariance=False, channel_axis=2, data_range=255
        )
        assert run.per_pair["mask_ssim"][seed] == pytest.approx(expected, abs=1e-6)
        assert run.per_pair["mask_psnr"][seed] == pytest.approx(peak_signal_noise_ratio(target, generated), abs=1e-9)
    assert {record.recipe.masks for record in run.record.protocols} == {str(MaskFiles.at(masks))}
    assert run.image_list is not None
    assert run.image_list.of("target masks") == {"silhouettes": MaskFiles.at(masks).sha256}
    # Where keypoints are given, too, and only masks would be drawn from them, nothing looks at them.
    both = command(
        "run", *images, "-p", "ssim", "--set", "ssim.mask=black", "--target-masks", masks, "--target-keypoints", drawn
    )
    assert (both.code, "of target images where masks come as files" in both.sentence) == (2, True)


def test_a_record_of_drawn_masks_is_of_another_recipe(command: Command, images: tuple[str, ...]) -> None:
    asked = ("run", *images, "-p", "ssim", "--set", "ssim.mask=black", "-o", "out")
    drawn = annotation_list({name: joints(seed, 64, 128) for seed, name in enumerate("abc")})
    assert command(*asked, "--target-keypoints", drawn).code == 0
    outcome = command(*asked, "--target-masks", stored("abc"))
    assert outcome.code == 2
    assert "ssim by another recipe" in outcome.sentence


def test_a_record_of_before_there_was_a_mask_is_of_the_same_recipe(command: Command, images: tuple[str, ...]) -> None:
    assert command("run", *images, "-p", "psnr", "-o", "out").code == 0
    record = json.loads(Path("out/run.json").read_text(encoding="utf-8"))
    (protocol,) = record["protocols"]
    del protocol["recipe"]["parameters"]["mask"], protocol["recipe"]["masks"]
    Path("out/run.json").write_text(json.dumps(record), encoding="utf-8")
    assert command("verify", "out", *images).code == 0
    assert command("run", *images, "-p", "psnr,l1", "-o", "out").code == 0
    assert set(Run.load(Path("out")).scores) == {"psnr", "l1"}


def test_masks_are_verified_and_packed(command: Command, images: tuple[str, ...]) -> None:
    masks = stored("abc")
    asked = ("-p", "psnr", "--set", "psnr.mask=black", "--target-masks", masks)
    assert command("run", *images, *asked, "-o", "out").code == 0
    assert command("pack", "out", "-o", "claim.zip").code == 0
    with zipfile.ZipFile("claim.zip") as archive:
        assert "--target-masks TARGET_MASKS" in archive.read("README.md").decode()
    right = command("verify", "claim.zip", *images, "--target-masks", masks)
    assert (right.code, "all follow" in right.out or "1 of 1 numbers follow" in right.out) == (0, True)
    assert command("verify", "claim.zip", *images).code == 3
    stored("ab", folder="others")
    Image.fromarray(silhouette(9)).save("others/c.png")
    wrong = command("verify", "claim.zip", *images, "--target-masks", "others")
    assert wrong.code == 3
    assert "masks are sha256:" in wrong.out


def test_a_mask_that_no_protocol_looks_at_is_refused(command: Command, images: tuple[str, ...]) -> None:
    refused = command("run", *images, "-p", "ssim,psnr", "--target-masks", stored("abc"), "--dry-run")
    assert refused.code == 2
    assert refused.sentence == "--target-masks: none of the chosen protocols looks through masks; leave it out."
    asked = ("--set", "ssim.mask=black", "--target-masks", "masks", "--dry-run")
    told = command("run", *images, "-p", "ssim", *asked)
    assert (told.code, "protocol ssim: ready" in told.out) == (0, True)
    silhouettes = command("run", *images, "-p", "ssim", "--set", "ssim.mask=silhouette", "--dry-run")
    assert "its masks come as files: give them with --target-masks DIR" in silhouettes.out


def test_what_a_mask_is_worth_is_measured_with_masks(command: Command, images: tuple[str, ...]) -> None:
    outcome = command("dialects", "diff", "pocold", "pose-with-style", *images, "--target-masks", stored("abc"))
    assert "pocold@2:psnr → pose-with-style@1:psnr" in outcome.out
    worth = [line.split()[-1] for line in outcome.out.splitlines() if line.startswith("  mask: none → silhouette ")]
    assert len(worth) == 3
    assert all(float(effect) > 0.05 for effect in worth)


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("", "--target-masks '' is empty"),
        ("nowhere", "nowhere is not a folder: give the folder of the targets' masks"),
        ("empty", "no masks in empty: files ending in"),
        ("strange", "strange tells of none of the target images (it has 'x', they are called like 'a.png')"),
        ("twice", "are masks of one picture, 'a', and not the same: keep one of them."),
    ],
)
def test_folders_that_are_none_of_masks(command: Command, images: tuple[str, ...], folder: str, sentence: str) -> None:
    Path("empty").mkdir()
    stored("abc", folder="twice")
    Image.fromarray(silhouette(5)).save("twice/a_sil.png")
    Path("strange").mkdir()
    Image.fromarray(silhouette(5)).save("strange/x.png")
    outcome = command("run", *images, "-p", "ssim", "--set", "ssim.mask=black", "--target-masks", folder)
    assert outcome.code == 2
    assert sentence in outcome.sentence


def broken_masks() -> dict[str, tuple[Callable[[Path], object], str]]:
    """What stands in the place of a mask, and what is said of it."""
    white = np.full((128, 64), 255, np.uint8)
    coloured = np.dstack([white, white, np.zeros_like(white)])
    transparent = np.dstack([white, white, white, silhouette(0)])

    def saved(pixels: npt.NDArray[np.uint8]) -> Callable[[Path], object]:
        return lambda path: Image.fromarray(pixels).save(path)

    return {
        "absent": (Path.unlink, "its target's mask is not in the folder of masks"),
        "of another size": (saved(silhouette(0, 32, 64)), "its mask is 32×64, and it is 64×128: bring masks to its"),
        "labels": (saved(np.where(white, 1, 0).astype(np.uint8)), "its mask has no pixel of 128 or more"),
        "colours": (saved(coloured), "its mask has colours"),
        "transparent": (saved(transparent), "its mask is transparent in places"),
        "text": (lambda path: path.write_text("no image"), "its mask cannot be read: "),
        "truncated": (lambda path: path.write_bytes(path.read_bytes()[:-200]), "its mask cannot be read: truncated"),
        "too large": (
            lambda path: path.write_bytes(HUGE),
            "its mask cannot be read: 60000×60000 pixels, over the limit of",
        ),
    }


def huge_png() -> bytes:
    """A PNG that says that it is 60,000 pixels wide and high."""
    stream = io.BytesIO()
    Image.fromarray(silhouette(0)).save(stream, "PNG")
    head = b"IHDR" + struct.pack(">II", 60_000, 60_000) + stream.getvalue()[24:29]
    return stream.getvalue()[:12] + head + struct.pack(">I", zlib.crc32(head)) + stream.getvalue()[33:]


HUGE = huge_png()


@pytest.mark.parametrize("what", broken_masks())
def test_a_mask_that_is_none_of_its_target_is_a_fault_of_its_pair(
    command: Command, images: tuple[str, ...], what: str
) -> None:
    make, reason = broken_masks()[what]
    make(Path(stored("abc"), "b.png"))
    asked = ("--set", "psnr.mask=black", "--target-masks", "masks", "-o", "out")
    assert command("run", *images, "-p", "psnr", *asked).code == 3
    run = Run.load(Path("out"))
    score = run.scores["mask_psnr"]
    assert (score.n, sum(score.missing.values()), score.faults) == (2, 1, 1)
    assert reason in next(iter(score.missing))
    assert list(run.missing["pair"]) == ["b"]


def test_masks_of_deepfashion_are_joined_in_either_spelling(draw: Draw) -> None:
    flat = "fashionWOMENTees_Tanksid0000762403_1front"
    Path("sil").mkdir()
    Image.fromarray(silhouette(0)).save(f"sil/{flat}_sil.png")
    target = draw("real", ["img/WOMEN/Tees_Tanks/id_00007624/03_1_front"], 1, (128, 64))
    generated = draw("mine", ["img/WOMEN/Tees_Tanks/id_00007624/03_1_front"], 2, (128, 64))
    pairs = Pairs.from_folders(generated, target)
    (mask,) = GivenMasks.of_pairs(MaskFiles.at("sil"), pairs).entries.values()
    assert isinstance(mask, GivenFile)
    assert mask.path.name == f"{flat}_sil.png"
    run = evaluate(pairs, [Psnr(mask="silhouette")], target_masks="sil")
    assert run.scores["mask_psnr"].n == 1
