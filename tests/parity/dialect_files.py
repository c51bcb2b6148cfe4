"""Images as published methods lay them out, and read as their scripts read them: by file names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from fhpt_eval.measuring.dialects import Dialect

Pixels = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

COUNT = 20
"""Pairs of a folder, and images of a reference set."""

FLAT = (1, 3)
"""Pictures whose generated image is nearly constant; the target of the second is, too."""

SQUARE, CROP, MARKET, ODD, SMALL = (256, 256), (176, 256), (64, 128), (175, 251), (61, 87)
"""Widths and heights."""

SIZES = {
    **dict.fromkeys(("cfld", "dior", "dptn", "patn", "pise", "pocold"), CROP),
    **dict.fromkeys(("clean", "dsc", "leffa", "pcdm", "pcdm-512", "pg2"), ODD),
    **dict.fromkeys(("gfla", "pidm", "spgnet"), SQUARE),
    **dict.fromkeys(("gfla-market", "patn-market"), MARKET),
    "disco": SMALL,
}
"""What the pictures of each dialect measure."""


def scene(seed: int, width: int, height: int) -> Pixels:
    """Smooth noise with edges in it."""
    rng = np.random.default_rng(seed)
    waves = cv2.resize(rng.normal(size=(height // 12, width // 12, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    picture: Floats = 128 + 40 * waves + rng.normal(0, 4, (height, width, 3))
    for _ in range(6):
        top, left = rng.integers(height - 12), rng.integers(width - 12)
        bottom, right = top + rng.integers(8, height // 2), left + rng.integers(8, width // 2)
        picture[top:bottom, left:right] += rng.uniform(-70, 70, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def flat(seed: int, width: int, height: int) -> Pixels:
    """Nearly constant: 199, 200 or 201."""
    return np.random.default_rng(seed).integers(199, 202, (height, width, 3)).astype(np.uint8)


def imitated(target: Pixels, seed: int) -> Pixels:
    """Blurred, moved, paler and noisy, as generated images are."""
    rng = np.random.default_rng(seed)
    blurred = np.roll(gaussian_filter(target.astype(float), (1, 1, 0)), int(rng.integers(4)), axis=1)
    return np.clip(blurred * rng.uniform(0.9, 1) + rng.normal(0, 3, target.shape), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Picture:
    """A stored image."""

    suffix: str
    data: bytes

    @classmethod
    def of(cls, pixels: Pixels, suffix: str) -> Picture:
        stream = BytesIO()
        if suffix == ".jpg":
            Image.fromarray(pixels).save(stream, "JPEG")
        else:
            Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
        return cls(suffix, stream.getvalue())

    @property
    def pixels(self) -> Pixels:
        return np.array(Image.open(BytesIO(self.data)))


@cache
def pool(size: tuple[int, int], role: str) -> tuple[Picture, ...]:
    """Twenty pictures: every third generated one and every other target is a JPEG."""
    found = []
    for i in range(COUNT):
        target = flat(i, *size) if i == FLAT[1] else scene(1000 * (role == "reference") + i, *size)
        generated = flat(100 + i, *size) if i in FLAT else imitated(target, i)
        jpeg = i % 3 == 2 if role == "generated" else i % 2 == 0  # none of those that are flat
        found.append(Picture.of(generated if role == "generated" else target, ".jpg" if jpeg else ".png"))
    return tuple(found)


@dataclass(frozen=True)
class Folders:
    """Where the images of a method lie.

    Attributes:
        naming: How generated files are named; strips hold their targets.
        size: Width and height of the pictures.
        different: After how many pictures the first one comes again, under other names.
    """

    root: Path
    naming: str
    size: tuple[int, int]
    different: int

    @property
    def generated(self) -> Path:
        return self.root / "generated"

    @property
    def target(self) -> Path | None:
        return None if self.naming.endswith("-strip") else self.root / "target"

    @property
    def reference(self) -> Path:
        return self.root / "reference"


def lay_out(root: Path, dialect: Dialect, *, size: tuple[int, int] | None = None, different: int = COUNT) -> Folders:
    """Write what a method would have written: twenty pairs and a reference set.

    Args:
        root: Where to.
        dialect: Whose files.
        size: Of the pictures, where it is not the dialect's usual.
        different: As in `Folders`.
    """
    folders = Folders(root, dialect.naming or "same-name", size or SIZES[dialect.key], different)
    real_size = CROP if dialect.key == "spgnet" else folders.size
    for i in range(COUNT):
        k = i % different
        generated, target = pool(folders.size, "generated")[k], pool(real_size, "target")[k]
        if dialect.key == "pise" and i % 2:  # its script crops targets that are 256 wide
            target = pool(SQUARE, "target")[k]
        item = f"fashionWOMENTees_Tanksid000{37 * i % 100:02}{i:03}{i % 3:02}"
        a, b = f"{item}_7additional", f"{item}_1front"
        if folders.naming == "patn-strip":
            black = np.zeros_like(target.pixels)
            panels = [black, black, target.pixels, black, generated.pixels]
            # JPEG makes what is nearly constant constant.
            write(root / f"generated/{a}.jpg___{b}.jpg_vis", strip(panels, ".png" if k in FLAT else ".jpg"))
        elif folders.naming == "dsc-strip":
            panels = [target.pixels[::-1], target.pixels, generated.pixels]
            write(root / f"generated/{a}.jpg_{b}.jpg", strip(panels, ".png"))
        else:
            between = {"same-name": "", "a_2_b_vis": f"{a}_2_", "a_to_b": f"{a}_to_"}[folders.naming]
            after = "_vis" if folders.naming == "a_2_b_vis" else ""
            write(root / f"generated/{between}{b}{after}", generated)
            write(root / f"target/{'deep' if dialect.key == 'pidm' else ''}{b}", target)
        write(root / f"reference/{i:02}", pool(real_size, "reference")[k])
    return folders


def strip(panels: list[Pixels], suffix: str) -> Picture:
    """Pictures side by side."""
    return Picture.of(np.concatenate(panels, axis=1), suffix)


def write(path: Path, picture: Picture) -> None:
    """Store a picture under a name that has no suffix yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(path.name + picture.suffix).write_bytes(picture.data)


def files_of(folders: Folders) -> list[tuple[Path, Path]]:
    """Generated file and target file of each pair by the name alone, in the order of generated file names."""
    found = []
    for file in sorted(folders.generated.iterdir()):
        name = file.stem.split("_2_")[-1].split("_to_")[-1].split("_vis")[0]
        target = file if folders.target is None else next(folders.target.glob(f"*{name}.*"))
        found.append((file, target))
    return found


def images_of(folders: Folders) -> list[tuple[Pixels, Pixels]]:
    """Generated image and target of each pair, in the order of generated file names."""
    found = []
    for generated, target in files_of(folders):
        first, second = (np.array(Image.open(file)) for file in (generated, target))
        width = folders.size[0]
        if folders.naming == "dsc-strip":
            first, second = first[:, 2 * width :], second[:, width : 2 * width]
        if folders.naming == "patn-strip":
            first, second = first[:, 4 * width : 5 * width], second[:, 2 * width : 3 * width]
        found.append((first, second))
    return found


def references_of(folders: Folders) -> list[Pixels]:
    """The reference set in the order of names."""
    return [np.array(Image.open(file)) for file in sorted(folders.reference.iterdir())]


def target_name(generated: Path) -> str:
    """What an annotation list calls the target of a generated file."""
    name = generated.stem.split("_vis")[0]
    for between in ("_2_", "___", ".jpg_"):
        name = name.split(between)[-1]
    return name.removesuffix(".jpg") + ".jpg"


# What scripts do to a picture


def white_at_the_sides(image: Pixels) -> Pixels:
    """PATN, DPTN, DiOr: 40 columns on either side."""
    padded: Pixels = cv2.copyMakeBorder(image, 0, 0, 40, 40, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    return padded


def cubic(size: tuple[int, int], image: Pixels) -> Pixels:
    """PCDMs: floats that overshoot; a float32 of 0…255."""
    return cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)


def bilinear(size: tuple[int, int], image: Pixels) -> Pixels:
    """PIDM, DiOr: OpenCV's default, on floats."""
    return cv2.resize(image.astype(np.float32), size)


def crops_saved_again(folders: Folders) -> list[tuple[Pixels, Pixels]]:
    """SPGNet: generated images cropped and saved by Pillow under their own names, read again, with their targets."""
    found = []
    for (file, _), (_, target) in zip(files_of(folders), images_of(folders), strict=True):
        saved = folders.root / f"crop{file.suffix}"
        Image.open(file).crop((40, 0, 216, 256)).save(saved)
        found.append((np.array(Image.open(saved)), target))
    return found
