"""Draw a small set of people and three "methods" on it, to try fhpt-eval on: python examples/drawn_people.py FOLDER.

Stand-ins until real images are at hand. Names follow DeepFashion, files of methods follow ``A_2_B_vis.png``.
"""

from __future__ import annotations

import math
import random
import sys
from itertools import permutations
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT, OVERSAMPLING = 176, 256, 3
SKINS = ("#8d5524", "#c68642", "#e0ac69", "#f1c27d", "#ffdbac")
CLOTHES = ("#26547c", "#ef476f", "#06d6a0", "#3d405b", "#e07a5f", "#81b29a", "#6d597a", "#bc4749")
VIEWS = ("1front", "2side", "4full")
ITEMS = 12


def draw_person(identity: random.Random, pose: random.Random) -> Image.Image:
    """Draw a person: the look from one generator, the pose from the other."""
    skin, shirt, trousers = identity.choice(SKINS), identity.choice(CLOTHES), identity.choice(CLOTHES)
    hair, striped = identity.choice(("#2b1d0e", "#6b4423", "#b55239", "#d9b380")), identity.random() < 0.5
    image = Image.new("RGB", (WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING), "#f2efe9")
    canvas = ImageDraw.Draw(image)

    def at(x: float, y: float) -> tuple[float, float]:
        return x * OVERSAMPLING, y * OVERSAMPLING

    def limb(start: tuple[float, float], angles: tuple[float, float], length: float, width: float, colour: str) -> None:
        x, y = start
        for angle in angles:
            end = x + length * math.sin(angle), y + length * math.cos(angle)
            canvas.line([at(x, y), at(*end)], colour, int(width * OVERSAMPLING))
            for px, py in ((x, y), end):
                canvas.ellipse([at(px - width / 2, py - width / 2), at(px + width / 2, py + width / 2)], colour)
            x, y = end

    centre = WIDTH / 2 + pose.uniform(-12, 12)
    for side in (-1, 1):
        limb((centre + 9 * side, 140), (pose.uniform(0, 0.3) * side, pose.uniform(-0.2, 0.2)), 50, 15, trousers)
        limb((centre + 21 * side, 78), (pose.uniform(0.1, 1.2) * side, pose.uniform(-0.6, 1.4) * side), 36, 10, skin)
    canvas.rectangle([at(centre - 5, 60), at(centre + 5, 74)], skin)
    canvas.polygon([at(centre - 24, 72), at(centre + 24, 72), at(centre + 18, 145), at(centre - 18, 145)], shirt)
    if striped:
        for y in range(80, 142, 10):
            canvas.line([at(centre - 20, y), at(centre + 20, y)], "#fafafa", 3 * OVERSAMPLING)
    canvas.ellipse([at(centre - 17, 24), at(centre + 17, 62)], hair)
    canvas.ellipse([at(centre - 14, 32), at(centre + 14, 68)], skin)
    turn = pose.uniform(-4, 4)
    for side in (-1, 1):
        eye = centre + 6 * side + turn
        canvas.ellipse([at(eye - 2, 46), at(eye + 2, 50)], "#20201e")
    canvas.arc([at(centre - 6 + turn, 50), at(centre + 6 + turn, 61)], 20, 160, "#9b2c2c", 2 * OVERSAMPLING)
    return image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def main(folder: Path) -> None:
    """Write ``real/`` and one folder a method."""
    for name in ("real", "blurred", "shifted", "copy-source"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for item in range(ITEMS):
        gender = "MEN" if item % 3 == 0 else "WOMEN"
        names = [f"fashion{gender}Tees_Tanksid{item:08}01_{view}" for view in VIEWS]
        people = {
            name: draw_person(random.Random(item), random.Random(f"{item} {view}"))  # noqa: S311 - not for secrets
            for view, name in enumerate(names)
        }
        for name, person in people.items():
            person.save(folder / "real" / f"{name}.png")
        for source, target in permutations(names, 2):
            file = f"{source}_2_{target}_vis.png"
            people[target].filter(ImageFilter.GaussianBlur(2)).save(folder / "blurred" / file)
            ImageChops.offset(people[target], 4, 2).save(folder / "shifted" / file)
            people[source].save(folder / "copy-source" / file)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
