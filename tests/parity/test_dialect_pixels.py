"""SSIM, PSNR, L1 and PCKh of every dialect against its script, written again from what is documented of it.

On the one side files, file names, and scikit-image, SciPy, OpenCV, Pillow and NumPy of today; on the other the
evaluation of the same files. Twenty pairs agree to 1e-6, one by one: SSIM absolutely, the others relatively.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pytest
import pytorch_msssim
import torch
from dialect_files import (
    COUNT,
    CROP,
    Picture,
    Pixels,
    cubic,
    files_of,
    images_of,
    imitated,
    lay_out,
    scene,
    small,
    white_at_the_sides,
    write,
)
from dialect_people import HEAD, masks, people, silhouettes
from dialect_runs import Runs, assert_agrees, named, per_pair, runs_in
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import metrics as _metrics
from torch.nn import functional
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from fhpt_eval import Pairs, evaluate
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.evaluation.run import Run
from fhpt_eval.measuring.dialects import dialect_named, find_dialects, measurements_of

PROTOCOLS = ("ssim", "ms_ssim", "psnr", "l1", "pckh")
Compare = Callable[[Pixels, Pixels], float]

# Any, because scikit-image is typed in part only.
metrics: Any = _metrics

# What scripts do to a picture


def unit(image: Pixels) -> Pixels:
    """[0, 1] in float64, in which scikit-image before 0.19 reckoned whatever it was given."""
    return image.astype(np.float64) / 255


# What scripts do to a pair: generated image and target, H×W×3 of 0…255


def seen_as(change: Callable[[Pixels], Pixels], compare: Compare) -> Compare:
    return lambda generated, target: compare(change(generated), change(target))


def ssim_51(generated: Pixels, target: Pixels) -> float:
    """GFLA's first."""
    return float(
        metrics.structural_similarity(unit(target), unit(generated), data_range=1, win_size=51, channel_axis=2)
    )


def ssim_256(generated: Pixels, target: Pixels, sigma: float = 1.5) -> float:
    """GFLA's second; PIDM's with σ 1.2."""
    x, y = target.astype(np.float64), generated.astype(np.float64)
    return float(
        metrics.structural_similarity(
            x,
            y,
            gaussian_weights=True,
            sigma=sigma,
            use_sample_covariance=False,
            channel_axis=2,
            data_range=y.max() - y.min(),
        )
    )


def ssim_255(generated: Pixels, target: Pixels) -> float:
    """Ours: Wang et al.'s, as scikit-image's documentation says to match them."""
    return float(
        metrics.structural_similarity(
            target.astype(np.float64),
            generated.astype(np.float64),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=2,
            data_range=255,
        )
    )


def ssim_13(generated: Pixels, target: Pixels) -> float:
    """As scikit-image had it before 0.15: SciPy's Gaussian to 4 σ, and 5 pixels cut off all the same."""
    span = float(generated.max()) - float(generated.min())
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    found = []
    for channel in range(3):
        x, y = (image[..., channel].astype(np.float64) for image in (target, generated))
        mean = partial(gaussian_filter, sigma=1.5, truncate=4.0)
        mx, my = mean(x), mean(y)
        vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
        values = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
        found.append(values[5:-5, 5:-5].mean())
    return float(np.mean(found))


def ssim_float32(generated: Pixels, target: Pixels, first: int = 0, **settings: Any) -> float:
    """CFLD (``first`` for channels first) and PCDMs: float32 in, so float32 all through."""
    x, y = (image.astype(np.float32) / np.float32(255) for image in (target, generated))
    axis = 2
    if first:
        x, y, axis = x.transpose(2, 0, 1), y.transpose(2, 0, 1), 0
    if "sigma" not in settings:
        return float(metrics.structural_similarity(x, y, data_range=1, win_size=51, channel_axis=axis))
    x, y = x * np.float32(255), y * np.float32(255)
    return float(
        metrics.structural_similarity(
            x,
            y,
            gaussian_weights=True,
            use_sample_covariance=False,
            channel_axis=axis,
            data_range=y.max() - y.min(),
            **settings,
        )
    )


def ssim_7(generated: Pixels, target: Pixels) -> float:
    """PG²: whatever scikit-image does to uint8 of its own accord."""
    return float(metrics.structural_similarity(generated, target, channel_axis=2))


def ssim_of_grey(generated: Pixels, target: Pixels) -> float:
    """DisCo."""
    x, y = (cv2.cvtColor(np.ascontiguousarray(i[..., ::-1]), cv2.COLOR_BGR2GRAY) for i in (generated, target))
    return float(metrics.structural_similarity(x, y))


def ssim_of_torchmetrics_1_4_1(generated: Pixels, target: Pixels) -> float:
    """CatVTON: the border of 5 pixels is cut off."""
    x, y = ((torch.from_numpy(image).permute(2, 0, 1).float() / 255)[None] for image in (generated, target))
    _, values = structural_similarity_index_measure(x, y, data_range=1.0, return_full_image=True)
    return float(values[..., 5:-5, 5:-5].mean())


def ssim_of_torchmetrics_0_11_4(generated: Pixels, target: Pixels) -> float:
    """LaDI-VTON: its formula in its order; rounding may make variances negative."""
    x, y = (torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255 for image in (generated, target))
    x, y = (functional.pad(image, (5, 5, 5, 5), mode="reflect") for image in (x, y))
    line = torch.exp(-torch.pow(torch.arange(-5.0, 6.0) / 1.5, 2) / 2)[None]
    line = line / line.sum()
    kernel = torch.matmul(line.t(), line).expand(3, 1, 11, 11)
    mx, my, xx, yy, xy = functional.conv2d(torch.cat((x, y, x * x, y * y, x * y)), kernel, groups=3).split(1)
    mx2, my2, mxy = mx.pow(2), my.pow(2), mx * my
    c1, c2 = 0.01**2, 0.03**2
    values = ((2 * mxy + c1) * (2 * (xy - mxy) + c2)) / ((mx2 + my2 + c1) * ((xx - mx2) + (yy - my2) + c2))
    return float(values[..., 5:-5, 5:-5].mean())


def ssim_of_luma(generated: Pixels, target: Pixels) -> float:
    """HR-VITON."""
    x, y = (np.asarray(Image.fromarray(image).convert("L")) for image in (target, generated))
    return float(
        metrics.structural_similarity(x, y, data_range=255, gaussian_weights=True, use_sample_covariance=False)
    )


def mse(generated: Pixels, target: Pixels) -> float:
    """HR-VITON."""
    x, y = (torch.from_numpy(unit(image)) for image in (target, generated))
    return float(functional.mse_loss(x, y))


def by_pytorch_msssim(compare: Any, generated: Pixels, target: Pixels) -> float:
    """upgpt: what ``ToTensor`` gives, without a batch's mean."""
    x, y = (torch.from_numpy(i).permute(2, 0, 1)[None].float().div(255) for i in (generated, target))
    return float(compare(x, y, data_range=1, size_average=False)[0])


def ms_ssim_float64(generated: Pixels, target: Pixels) -> float:
    """Wang et al.'s five scales in float64: SciPy's Gaussian within the frame, means of 2×2, borders of odd sides 0."""
    weights, found = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), []
    for channel in range(3):
        x, y = (unit(image)[..., channel] for image in (target, generated))
        product = 1.0
        for level, weight in enumerate(weights):
            mean = lambda v: gaussian_filter(v, 1.5, radius=5)[5:-5, 5:-5]  # noqa: E731
            mx, my = mean(x), mean(y)
            vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
            structure = (2 * vxy + 9e-4) / (vx + vy + 9e-4)
            whole = structure * (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
            product *= max(float((whole if level == 4 else structure).mean()), 0) ** weight
            x, y = (np.pad(v, [(side % 2, side % 2) for side in v.shape]) for v in (x, y))
            x, y = (v[: v.shape[0] // 2 * 2, : v.shape[1] // 2 * 2] for v in (x, y))
            x, y = (v.reshape(v.shape[0] // 2, 2, v.shape[1] // 2, 2).mean((1, 3)) for v in (x, y))
        found.append(product)
    return float(np.mean(found))


def ssim_of_torchmetrics(generated: Pixels, target: Pixels) -> float:
    """Leffa: what torchmetrics makes of float32, since 1.4.2; before, it cut the border of 5 pixels off."""
    x, y = ((torch.from_numpy(image).permute(2, 0, 1).float() / 255)[None] for image in (generated, target))
    return float(cast("torch.Tensor", structural_similarity_index_measure(x, y, data_range=1.0)))


def psnr(generated: Pixels, target: Pixels) -> float:
    return float(metrics.peak_signal_noise_ratio(unit(target), unit(generated), data_range=1))


def psnr_of_bytes(generated: Pixels, target: Pixels) -> float:
    """PISE: differences and squares wrap around; a target of 256 columns loses 40 on either side."""
    if target.shape[1] == 256:
        target = target[:, 40:-40]
    return float(20 * np.log10(255) - 10 * np.log10(((generated - target) ** 2).mean()))


def psnr_or_100(generated: Pixels, target: Pixels) -> float:
    """DisCo since it was fixed."""
    mse = np.mean((generated.astype(np.float64) - target.astype(np.float64)) ** 2)
    return 100 if mse == 0 else float(20 * np.log10(255 / np.sqrt(mse)))


def l1(generated: Pixels, target: Pixels) -> float:
    return float(np.abs(unit(target) - unit(generated)).mean())


def mae(generated: Pixels, target: Pixels) -> float:
    x, y = unit(target), unit(generated)
    return float(np.abs(x - y).sum() / (x + y).sum())


def l1_from_minus_1(generated: Pixels, target: Pixels) -> float:
    """DSC and PATN."""
    return float(np.abs((2 * unit(target) - 1) - (2 * unit(generated) - 1)).mean())


def l1_of_255(generated: Pixels, target: Pixels) -> float:
    """PG²."""
    return float(np.abs(generated.astype(float) - target.astype(float)).sum() / generated.size)


def l2_of_255(generated: Pixels, target: Pixels) -> float:
    """PG²: a norm over a count."""
    return float(np.linalg.norm((generated.astype(float) - target.astype(float)).ravel()) / generated.size)


def l1_by_area(generated: Pixels, target: Pixels) -> float:
    """DisCo."""
    height, width, _ = generated.shape
    return float((np.abs(generated.astype(float) - target.astype(float)) / (height * width)).mean())


RECONSTRUCTION: dict[str, Compare] = {"ssim": ssim_51, "ssim_256": ssim_256, "psnr": psnr, "l1": l1, "mae": mae}
PCDM: dict[str, Compare] = {
    "ssim_256": partial(ssim_float32, sigma=1.2),
    "psnr": psnr,
    "l1": l1,
    "mae": mae,
}
CFLD: dict[str, Compare] = {
    "ssim": partial(ssim_float32, first=1),
    "ssim_256": partial(ssim_float32, first=1, sigma=1.5),
    "psnr": psnr,
}
SCRIPTS: dict[str, dict[str, Compare]] = {
    "catvton": {"ssim": ssim_of_torchmetrics_1_4_1},
    "clean": {
        "ssim": ssim_255,
        "psnr": psnr,
        "l1": l1,
    },
    "cfld": CFLD,
    "dior": {"ssim": seen_as(white_at_the_sides, ssim_256)},
    "disco": {"ssim": ssim_of_grey, "psnr": psnr_or_100, "l1": l1_by_area},
    "dptn": {name: seen_as(white_at_the_sides, compare) for name, compare in RECONSTRUCTION.items()},
    "dptn-market": RECONSTRUCTION,
    "dsc": {"ssim": ssim_13, "l1": l1_from_minus_1},
    "gfla": RECONSTRUCTION,
    "gfla-market": RECONSTRUCTION,
    "hr-viton": {"ssim": ssim_of_luma, "mse": mse},
    "ladi-vton": {"ssim": seen_as(partial(small, (384, 512)), ssim_of_torchmetrics_0_11_4)},
    "leffa": {"ssim": ssim_of_torchmetrics},
    "mcld": CFLD,
    "mcld-512": CFLD,
    "patn": {
        "ssim": seen_as(white_at_the_sides, ssim_13),
        "l1": seen_as(white_at_the_sides, l1_from_minus_1),
    },
    "patn-market": {"ssim": ssim_13, "l1": l1_from_minus_1},
    "pcdm": {name: seen_as(partial(cubic, (176, 256)), compare) for name, compare in PCDM.items()},
    "pcdm-512": {name: seen_as(partial(cubic, (352, 512)), compare) for name, compare in PCDM.items()},
    "pg2": {"ssim": ssim_7, "psnr": psnr, "l1": l1_of_255, "l2": l2_of_255},
    "pidm": {**RECONSTRUCTION, "ssim_256": partial(ssim_256, sigma=1.2)},
    "pise": {"psnr": psnr_of_bytes},
    "pocold": RECONSTRUCTION,
    "scfm": {**RECONSTRUCTION, "ssim_256": partial(ssim_256, sigma=1.2)},
    "upgpt": {
        "ssim": partial(by_pytorch_msssim, pytorch_msssim.ssim),
        "ms_ssim": partial(by_pytorch_msssim, pytorch_msssim.ms_ssim),
    },
}
"""What each script makes of one pair."""

APART = {
    "clean": {"pckh"},
    "dsc": {"mask_ssim"},
    "leffa": {"psnr"},
    "patn": {"pckh"},
    "patn-market": {"mask_ssim", "pckh"},
    "pose-with-style": {"ssim", "ssim_256", "psnr"},
    "spgnet": {"pckh"},
    "spgnet-market": {"mask_ssim", "pckh"},
}
"""What needs more than one pair of pictures: keypoints, batches, masks."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Each dialect on its own files, once."""
    root = tmp_path_factory.mktemp("dialects")
    return runs_in(root, lay_out, PROTOCOLS, root / "cache", root)


def tolerance_of(metric: str) -> dict[str, float]:
    return {"rel": 0, "abs": 1e-6} if "ssim" in metric else {"rel": 1e-6, "abs": 0}


def test_every_metric_of_every_dialect_is_compared() -> None:
    for key, dialect in find_dialects().items():
        own = {metric.name for metric in dialect.metrics if metric.protocol in PROTOCOLS}
        assert own == {*SCRIPTS.get(key, ()), *APART.get(key, ())}, key


@pytest.mark.parametrize("key", SCRIPTS)
def test_pixels_agree_to_6_digits_in_every_pair(runs: Runs, key: str) -> None:
    folders, run = runs(key)
    dialect, images = dialect_named(key), images_of(folders)
    for metric, compare in SCRIPTS[key].items():
        expected = [compare(*pair) for pair in images]
        assert_agrees(run, named(dialect, metric), expected, **tolerance_of(metric))
        assert np.ptp(expected) > 0.1 * np.mean(expected), "the pairs must not be all alike"


def test_psnr_of_leffa_pools_16_pairs(runs: Runs) -> None:
    folders, run = runs("leffa")
    squares = [((unit(generated) - unit(target)) ** 2).mean() for generated, target in images_of(folders)]
    expected = [-10 * math.log10(np.mean(batch)) for batch in (squares[:16], squares[16:])]
    assert_agrees(run, "leffa@2:psnr", [*[expected[0]] * 16, *[expected[1]] * 4], **tolerance_of("psnr"))


def test_psnr_of_leffa_is_that_of_torchmetrics_in_float32_to_6_digits(runs: Runs) -> None:
    folders, run = runs("leffa")
    stacked = [np.stack(side) for side in zip(*images_of(folders)[:16], strict=True)]
    generated, target = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 for images in stacked)
    expected = float(peak_signal_noise_ratio(generated, target, data_range=1.0))
    assert per_pair(run, "leffa@2:psnr")[:16] == pytest.approx([expected] * 16, rel=1e-6)


@pytest.mark.parametrize(
    ("key", "compare"), [("dsc@2", ssim_13), ("patn-market@2", ssim_13), ("spgnet-market@1", ssim_256)]
)
def test_masked_ssim_agrees_to_6_digits(runs: Runs, key: str, compare: Compare) -> None:
    folders, run = runs(key.partition("@")[0])
    through = masks(folders)
    assert all(0.02 < mask.mean() < 0.95 for mask in through)
    expected = [compare(g * mask, t * mask) for (g, t), mask in zip(images_of(folders), through, strict=True)]
    assert_agrees(run, f"{key}:mask_ssim", expected, **tolerance_of("ssim"))


@pytest.mark.parametrize(("metric", "compare"), [("ssim", ssim_51), ("ssim_256", ssim_256), ("psnr", psnr)])
def test_foreground_of_pose_with_style_agrees_to_6_digits(runs: Runs, metric: str, compare: Compare) -> None:
    folders, run = runs("pose-with-style")
    files = sorted(silhouettes(folders).iterdir())
    through = {file.stem.removesuffix("_sil"): np.array(Image.open(file))[..., None] // 255 for file in files}
    seen = [
        (g * through[t.stem], i * through[t.stem])
        for (g, i), t in zip(images_of(folders), [target for _, target in files_of(folders)], strict=True)
    ]
    expected = [compare(*pair) for pair in seen]
    assert_agrees(run, f"pose-with-style@1:{metric}", expected, **tolerance_of(metric))
    unmasked = np.mean([compare(*pair) for pair in images_of(folders)])
    assert abs(np.mean(expected) - unmasked) > 0.01, "the masks must matter"


def test_ms_ssim_is_that_of_five_scales_to_4_digits(runs: Runs) -> None:
    folders, run = runs("upgpt")
    expected = [ms_ssim_float64(*pair) for pair in images_of(folders)]
    assert per_pair(run, "upgpt@1:ms_ssim") == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("key", ["clean", "patn", "patn-market", "spgnet", "spgnet-market"])
def test_pckh_is_that_of_a_loop_over_joints(runs: Runs, key: str) -> None:
    folders, run = runs(key)
    right = there = bodies = 0
    for generated, target in zip(
        people(folders, "generated").values(), people(folders, "target").values(), strict=True
    ):
        head = [target[joint] for joint in HEAD if target[joint].min() >= 0]
        if len(head) < 2:
            continue
        height, width = np.ptp(head, axis=0)
        bodies += 1
        for (y, x), (own_y, own_x) in zip(target.tolist(), generated.tolist(), strict=True):
            if y < 0:
                continue
            there += 1
            if own_y < 0:
                continue
            if key != "clean":
                right += abs(own_x - x) < width / 2 and abs(own_y - y) < height / 2
            else:  # MPII's head: 0.6 of its box's diagonal
                right += math.dist((x, y), (own_x, own_y)) < 0.6 * math.hypot(width, height) / 2
    score = run.scores[named(dialect_named(key), "pckh")]
    assert score.value == pytest.approx(right / there, rel=1e-12)
    assert 0.1 < right / there < 0.9
    assert (score.n, sum(score.missing.values())) == (bodies, COUNT - bodies) == (19, 1)


REAL = Path(__file__).resolve().parents[2] / "../shared/data/real/methods_figure"


@pytest.mark.skipif(not REAL.is_dir(), reason="the real outputs of a published figure are not here")
def test_pixels_of_real_outputs_agree_to_6_digits(tmp_path: Path) -> None:
    names = [(f"{m}/row{i}.png", f"row{i}.png") for m in ("DSC", "PATN", "PG2", "VUNet") for i in (1, 2, 3, 4)]
    csv = tmp_path / "pairs.csv"
    csv.write_text("\n".join(["generated,target", *(",".join(pair) for pair in names)]) + "\n", encoding="utf-8")
    pairs = Pairs.from_csv(csv, REAL / "generated", REAL / "target")
    images = [[np.array(Image.open(REAL / f)) for f in (f"generated/{g}", f"target/{t}")] for g, t in names]
    # PCDMs' other size is only larger.
    dialects = [dialect_named(key) for key in SCRIPTS if key != "pcdm-512"]
    apart = {named(dialect, metric) for dialect in dialects for metric in APART.get(dialect.key, ())}
    chosen = [m for m in measurements_of(dialects, ("ssim", "ms_ssim", "psnr", "l1")) if m.name not in apart]
    with Cache(tmp_path / "cache") as opened:
        run = evaluate(pairs, chosen, engine=open_engine("local", opened, device="cpu"))
    assert {m.name for m in chosen} == {named(d, metric) for d in dialects for metric in SCRIPTS[d.key]}
    for dialect in dialects:
        for metric, compare in SCRIPTS[dialect.key].items():
            assert_agrees(run, named(dialect, metric), [compare(*pair) for pair in images], **tolerance_of(metric))
    # As the scripts themselves were seen to print.
    assert run.scores["dsc@2:l1"].value == pytest.approx(0.171167, abs=5e-7)
    assert run.scores["leffa@2:ssim"].value == pytest.approx(0.673066, abs=5e-7)


def flat_picture(value: int) -> Pixels:
    return np.full((256, 176, 3), value, np.uint8)


DEGENERATE = {
    "constant": (flat_picture(128), scene(1, *CROP)),
    "white": (flat_picture(255), scene(1, *CROP)),
    "black": (flat_picture(0), flat_picture(0)),
    "identical": (scene(1, *CROP), scene(1, *CROP)),
}
"""Generated image and target."""


@pytest.mark.parametrize("kind", DEGENERATE)
@pytest.mark.filterwarnings("ignore:(invalid value|divide by zero) encountered:RuntimeWarning")
def test_degenerate_images_count_as_in_the_script_to_6_digits(kind: str, tmp_path: Path) -> None:
    images = [DEGENERATE[kind], (imitated(scene(2, *CROP), 2), scene(2, *CROP))]
    for name, pair in zip("ab", images, strict=True):
        for role, image in zip(("generated", "target"), pair, strict=True):
            write(tmp_path / role / name, Picture.of(image, ".png"))
    dialects = [dialect_named(key) for key in SCRIPTS if key not in {"clean", "pcdm-512"}]
    apart = {named(dialect, metric) for dialect in dialects for metric in APART.get(dialect.key, ())}
    chosen = [m for m in measurements_of(dialects, ("ssim", "ms_ssim", "psnr", "l1")) if m.name not in apart]
    pairs = Pairs.from_folders(tmp_path / "generated", tmp_path / "target", naming="same-name")
    with Cache(tmp_path / "cache") as opened:
        evaluate(pairs, chosen, engine=open_engine("local", opened, device="cpu"), output=tmp_path / "run")
    run = Run.load(tmp_path / "run")
    found = set()
    for dialect in dialects:
        for metric, compare in SCRIPTS[dialect.key].items():
            name = named(dialect, metric)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = [compare(*pair) for pair in images]
            score, mean = run.scores[name], float(np.mean(expected))
            found.add(kind_of(mean))
            if math.isfinite(mean):
                assert_agrees(run, name, expected, **tolerance_of(metric))
                continue
            assert (score.value, score.not_finite) == (None, kind_of(mean)), name
            assert (score.n, sum(score.missing.values()), score.faults) == (1, 1, 0)
            assert per_pair(run, name)[1] == pytest.approx(expected[1], rel=1e-6)
            assert any(told.startswith(f"{name}: {kind_of(mean)}, because of 1 × ") for told in run.record.warnings)
    assert (
        found
        == {
            "constant": {"finite"},
            "white": {"finite", "NaN"},
            "black": {"finite", "NaN", "inf"},
            "identical": {"finite", "inf"},
        }[kind]
    )


def kind_of(value: float) -> str:
    return "finite" if math.isfinite(value) else "NaN" if math.isnan(value) else "inf"


def test_a_constant_generated_image_counts_about_0_in_gflas_ssim_and_it_is_said(tmp_path: Path) -> None:
    for role, image in zip(("generated", "target"), DEGENERATE["constant"], strict=True):
        write(tmp_path / role / "a", Picture.of(image, ".png"))
    pairs = Pairs.from_folders(tmp_path / "generated", tmp_path / "target", naming="same-name")
    chosen = measurements_of([dialect_named("gfla")], ("ssim",))
    with Cache(tmp_path / "cache") as opened:
        run = evaluate(pairs, chosen, engine=open_engine("local", opened, device="cpu"))
    assert run.scores["gfla@2:ssim_256"].value == pytest.approx(0, abs=1e-6)
    told = "gfla@2:ssim_256: 1 × constant generated image, whose data range is 0: rounding decides what becomes of it,"
    assert any(warning.startswith(told) for warning in run.record.warnings)
