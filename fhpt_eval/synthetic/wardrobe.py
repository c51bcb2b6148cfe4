"""What people wear: outfits drawn at random, each with the studio in which it is photographed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fhpt_eval.synthetic.fabrics import Colour, Fabric, Pattern
from fhpt_eval.synthetic.garments import WAIST, Cloth, Cut, Neck, Skirt, Top, Trousers
from fhpt_eval.synthetic.light import Studio, draw_studio
from fhpt_eval.synthetic.lots import pick, vary

_CLOTHES: tuple[Colour, ...] = (
    *((0.95, 0.95, 0.93), (0.10, 0.10, 0.11), (0.55, 0.56, 0.58), (0.13, 0.17, 0.32), (0.70, 0.12, 0.15)),
    *((0.85, 0.35, 0.20), (0.93, 0.75, 0.25), (0.20, 0.42, 0.28), (0.35, 0.60, 0.55), (0.30, 0.50, 0.75)),
    *((0.62, 0.78, 0.90), (0.85, 0.55, 0.62), (0.95, 0.80, 0.80), (0.45, 0.25, 0.45), (0.75, 0.68, 0.55)),
    *((0.42, 0.32, 0.24), (0.90, 0.86, 0.76), (0.36, 0.38, 0.24), (0.55, 0.10, 0.28), (0.75, 0.72, 0.85)),
)
_WOMENS = (0, 1, 4, 5, 6, 8, 10, 11, 12, 13, 16, 18, 19)
_MENS = (0, 1, 2, 3, 4, 7, 9, 14, 15, 16, 17)
"""Grounds of their tops among `_CLOTHES`."""
_WOMENS_PATTERNS: tuple[Pattern, ...] = (
    *("plain", "plain", "plain", "striped", "floral", "floral", "floral", "dotted", "dotted", "plaid"),
)
_MENS_PATTERNS: tuple[Pattern, ...] = (
    *("plain", "plain", "plain", "striped", "striped", "checked", "checked", "plaid", "plaid", "logo", "logo"),
)
_DENIMS: tuple[Colour, ...] = ((0.20, 0.28, 0.42), (0.38, 0.50, 0.66), (0.11, 0.14, 0.21), (0.58, 0.68, 0.80))
_TROUSERS: tuple[Colour, ...] = (
    *((0.10, 0.10, 0.11), (0.15, 0.18, 0.28), (0.45, 0.45, 0.47), (0.72, 0.64, 0.50), (0.92, 0.91, 0.88)),
    *((0.33, 0.36, 0.25), (0.40, 0.30, 0.23), (0.50, 0.13, 0.18)),
)
_SHOES: tuple[Colour, ...] = (
    *((0.08, 0.08, 0.08), (0.92, 0.92, 0.92), (0.40, 0.25, 0.15), (0.70, 0.55, 0.40), (0.55, 0.12, 0.14)),
    (0.2, 0.25, 0.4),
)


@dataclass(frozen=True)
class Piece:
    """A garment of a wardrobe.

    Attributes:
        cut: Its form and cloth.
        label: Its class in the masks.
        offset: From the body, metres.
        loose: 0 tight to 1 wide.
    """

    cut: Cut
    label: str
    offset: float
    loose: float


@dataclass(frozen=True)
class Item:
    """Clothes that are photographed together, and what a shop would file them under.

    Attributes:
        category: DeepFashion's word.
        pieces: Innermost first.
        shoe: Colour of the shoes, sRGB.
        sole: Of their soles.
        shaft: Height of the shoes above the ankle, metres.
        studio: Light and background, the same in all photographs, as a shop makes them in one session.
    """

    category: str
    pieces: tuple[Piece, ...]
    shoe: Colour
    sole: Colour
    shaft: float
    studio: Studio


def draw_item(female: bool, rng: np.random.Generator) -> Item:
    """Draw an outfit."""
    pieces: tuple[Piece, ...]
    if female and rng.random() < 0.35:
        category, pieces = "Dresses", _dress(rng)
    else:
        category, top = _top(female, rng)
        bottom_category, bottom = _bottom(female, rng)
        if bottom.label == "skirt" and isinstance(top.cut, Top):
            top = replace(top, cut=replace(top.cut, hem=WAIST - 0.015))
        pieces = (bottom, top)
        if rng.random() < 0.4:
            category = bottom_category
    if rng.random() < (0.15 if female else 0.22):
        pieces = (*pieces, _layer(rng))
        category = "Jackets_Coats" if female else "Jackets_Vests"
    dark = rng.random() < 0.5
    return Item(
        category=category,
        pieces=pieces,
        shoe=vary(pick(_SHOES, rng), 0.02, rng),
        sole=(0.1, 0.1, 0.1) if dark else (0.9, 0.89, 0.87),
        shaft=float(rng.choice([0.035, 0.035, 0.05, 0.1])),
        studio=draw_studio(rng),
    )


def _top(female: bool, rng: np.random.Generator) -> tuple[str, Piece]:
    kind = pick(("tee", "tee", "shirt", "sweater", "tank", "long"), rng)
    hem = float(rng.uniform(0.05, 0.14) if female else rng.uniform(0.01, 0.07))
    loose = float(rng.uniform(0.1, 0.5))
    neck: Neck = "crew"
    depth = 0.035
    if kind in {"tee", "tank", "long"} and rng.random() < (0.85 if female else 0.2):
        neck = pick(("v", "scoop", "boat") if female else ("v",), rng)
        depth = {"v": 0.12, "scoop": 0.1, "boat": 0.04, "crew": 0.035}[neck] * float(rng.uniform(0.7, 1.1))
    cloth = _cloth(_pattern(female, rng), rng, palette=_WOMENS if female else _MENS)
    if female:
        loose *= 0.5
    if kind == "shirt":
        cut = Top(cloth, float(rng.choice([0.25, 0.98])), hem, "v", 0.06, buttons=True)
        return ("Blouses_Shirts" if female else "Shirts_Polos"), Piece(cut, "top", 0.01, loose)
    if kind == "sweater":
        pattern: Pattern = pick(("plain", "striped", "plain"), rng)
        cut = Top(
            _cloth(pattern, rng, folds=0.8, palette=_WOMENS if female else _MENS),
            0.97,
            hem,
            pick(("crew", "high"), rng),
            0.03,
        )
        return "Sweaters", Piece(cut, "top", 0.014, 0.3 + loose)
    if kind == "tank":
        cut = Top(cloth, 0.0, hem, "scoop", depth, straps=bool(female or rng.random() < 0.4))
        return "Tees_Tanks", Piece(cut, "top", 0.007, 0.7 * loose)
    sleeve = float(rng.uniform(0.18, 0.4)) if kind == "tee" else float(rng.uniform(0.6, 0.98))
    return "Tees_Tanks", Piece(Top(cloth, sleeve, hem, neck, depth), "top", 0.008, loose)


def _bottom(female: bool, rng: np.random.Generator) -> tuple[str, Piece]:
    kind = pick(
        ("denim", "trousers", "shorts", "skirt", "skirt", "skirt", "skirt")
        if female
        else ("denim", "trousers", "shorts"),
        rng,
    )
    waist = float(rng.uniform(0.13, 0.19))
    if kind == "skirt":
        pattern: Pattern = pick(("plain", "plaid", "floral", "plain", "dotted", "striped"), rng)
        cut: Cut = Skirt(_cloth(pattern, rng), float(rng.choice([-0.12, -0.22, -0.38, -0.52])), WAIST)
        return "Skirts", Piece(cut, "skirt", 0.0, float(rng.uniform(0, 0.9)))
    if kind == "denim":
        fabric = Fabric("denim", (vary(pick(_DENIMS, rng), 0.02, rng),) * 3, 0.02, False, _seed(rng))
        cut = Trousers(Cloth(fabric, 0.55, 0.02, 0.0), float(rng.choice([1.0, 0.98, 0.34])), waist)
        return "Denim", Piece(cut, "bottom", 0.006, float(rng.uniform(0, 0.4)))
    if kind == "shorts":
        cloth = _cloth(pick(("plain", "plain", "checked"), rng), rng)
        return "Shorts", Piece(Trousers(cloth, float(rng.uniform(0.2, 0.48)), waist), "bottom", 0.009, 0.5)
    fabric = Fabric("plain", (vary(pick(_TROUSERS, rng), 0.02, rng),) * 3, 0.02, False, _seed(rng))
    cut = Trousers(Cloth(fabric, 0.6, 0.015, 0.01), float(rng.uniform(0.9, 1.0)), waist)
    return "Pants", Piece(cut, "bottom", 0.007, float(rng.uniform(0, 0.7)))


def _dress(rng: np.random.Generator) -> tuple[Piece, ...]:
    cloth = _cloth(
        pick(("plain", "floral", "striped", "dotted", "plaid", "floral", "plain"), rng), rng, palette=_WOMENS
    )
    neck: Neck = pick(("crew", "v", "scoop", "boat", "strapless"), rng)
    sleeve = 0.0 if neck == "strapless" else float(rng.choice([0.0, 0.2, 0.55, 0.95]))
    depth = {"v": 0.13, "scoop": 0.1, "boat": 0.03, "crew": 0.035, "strapless": 0.0}[neck]
    straps = sleeve == 0.0 and neck in {"scoop", "v"}
    hem = float(rng.choice([-0.18, -0.28, -0.4, -0.55]))
    upper = Top(cloth, sleeve, WAIST, neck, depth, straps=straps)
    lower = Skirt(cloth, hem, WAIST + 0.03)
    return Piece(lower, "dress", 0.0, float(rng.uniform(0.1, 1))), Piece(upper, "dress", 0.008, 0.08)


def _layer(rng: np.random.Generator) -> Piece:
    """Return a jacket or a cardigan, open in front."""
    cloth = _cloth(pick(("plain", "plain", "plaid", "denim"), rng), rng, folds=0.7)
    cut = Top(cloth, 0.97, float(rng.uniform(-0.1, 0.1)), "crew", 0.06, open=float(rng.uniform(0.045, 0.075)))
    return Piece(cut, "outer", 0.024, 0.5)


def _cloth(
    pattern: Pattern, rng: np.random.Generator, folds: float = 0.6, palette: tuple[int, ...] = tuple(range(20))
) -> Cloth:
    """Draw a cloth whose ground is one of the ``palette`` among `_CLOTHES`."""
    order = [pick(palette, rng), *rng.permutation(len(_CLOTHES))[:2]]
    ground, second, third = (vary(_CLOTHES[int(i)], 0.02, rng) for i in order)
    if np.abs(np.array(ground) - second).max() < 0.3:
        second = (0.95, 0.95, 0.95) if sum(ground) < 1.6 else (0.1, 0.1, 0.14)
    if pattern == "denim":
        ground = vary(pick(_DENIMS, rng), 0.02, rng)
    period = {"striped": 0.045, "checked": 0.035, "plaid": 0.1, "dotted": 0.045, "floral": 0.075}.get(pattern, 0.05)
    fabric = Fabric(
        pattern, (ground, second, third), period * float(rng.uniform(0.8, 1.4)), bool(rng.random() < 0.25), _seed(rng)
    )
    return Cloth(fabric, folds, 0.012, 0.015)


def _pattern(female: bool, rng: np.random.Generator) -> Pattern:
    return pick(_WOMENS_PATTERNS if female else _MENS_PATTERNS, rng)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1, 2**31))
