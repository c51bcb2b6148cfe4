"""A photograph of an identity, and all that is known about it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fhpt_eval.maths.keypoints import BODY_JOINTS
from fhpt_eval.synthetic.body import Body, Float, Points, load_body
from fhpt_eval.synthetic.camera import Camera, framing
from fhpt_eval.synthetic.garments import Cover, Garment, Shoes, Skirt, shoe_mesh, tailored
from fhpt_eval.synthetic.hair import Hair, hair_mesh
from fhpt_eval.synthetic.identity import Identity
from fhpt_eval.synthetic.light import Studio, shade, to_srgb
from fhpt_eval.synthetic.mesh import Mesh, part
from fhpt_eval.synthetic.poses import KINDS, strike
from fhpt_eval.synthetic.raytrace import Material, Scene, Surface
from fhpt_eval.synthetic.shots import VIEWS
from fhpt_eval.synthetic.skin import Eyes, Lashes, Skin

LABELS = ("background", "skin", "hair", "top", "bottom", "skirt", "dress", "outer", "shoes", "eyes")
"""Classes of the masks, by number."""

_FINE = 2
"""Samples along each side of a pixel."""
_FLOOR = -0.83
_CROPS = MappingProxyType({"full": None, "knee": -0.42, "hip": 0.0})
"""Lower edges, metres of the average body."""

_BODY = tuple(joint.replace(" ", "_") for joint in BODY_JOINTS)
_DEPTHS: Mapping[str, float] = MappingProxyType(
    {"nose": 0.02, "neck": 0.16, "shoulder": 0.16, "elbow": 0.09, "wrist": 0.06}
    | {"hip": 0.17, "knee": 0.11, "ankle": 0.09, "eye": 0.03, "ear": 0.035}
)
"""How deep below the surface that shows it a joint lies at most, metres."""
_FACE_DEPTH, _HAND_DEPTH = 0.012, 0.03


@dataclass(frozen=True)
class Photograph:
    """An image with its ground truth.

    Points are pixels (x to the right, y down; integers are centres of pixels) with a third value: 2 where the point
    is seen, 1 where it is in the frame but hidden, 0 outside of the frame.

    Attributes:
        pixels: H×W×3 uint8.
        labels: H×W uint8, classes of `LABELS`.
        body: 18×3, OpenPose's joints in its order.
        face: 68×3, dlib's landmarks in its order.
        hands: 2×21×3, of the person's left and right hand; the wrist, then thumb to little finger.
        face_box: Left, top, right and bottom about the landmarks, where most of them are seen.
        pose: One of `KINDS`.
        view: One of `shots.VIEWS`.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    body: Float
    face: Float
    hands: Float
    face_box: tuple[float, float, float, float] | None
    pose: str
    view: str


def photograph(identity: Identity, item: int, view: str, seed: int, size: tuple[int, int]) -> Photograph:
    """Take a picture; the same for equal arguments on one machine, in the studio of the outfit.

    Args:
        identity: Who.
        item: Which of their outfits.
        view: One of `shots.VIEWS`.
        seed: Of pose and crop.
        size: Height and width, pixels.
    """
    rng = np.random.default_rng([seed, identity.number, item, VIEWS.index(view)])
    body = load_body()
    rest, skin = _figure(identity)
    kind = str(rng.choice(list(KINDS)))
    transforms = strike(body, rest, skin, kind, _yaw(view, rng), rng)
    surfaces = [
        Surface(name, mesh.posed(transforms), mesh.template, mesh.faces, material, LABELS.index(name))
        for name, mesh, material in _dressed(identity, item)
    ]
    scene = Scene(surfaces)
    posed = body.pose(rest, transforms)
    camera = _camera(view, surfaces, size, rng)
    colours, labels = _render(scene, camera, identity.items[item].studio, size, rng)
    known = _Truth(body, posed, scene, camera, size)
    face = known.points(body.landmarks(posed), np.full(68, _FACE_DEPTH))
    hands = np.stack([known.points(body.hand(posed, side), np.full(21, _HAND_DEPTH)) for side in "LR"])
    return Photograph(colours, labels, known.body(), face, hands, _box(face), kind, view)


def _yaw(view: str, rng: np.random.Generator) -> float:
    """Degrees; positive turns the person to their left."""
    side = float(rng.choice([-1, 1]))
    if view == "front":
        return float(rng.normal(0, 6))
    if view == "back":
        return 180 + float(rng.normal(0, 12))
    if view == "side":
        return side * float(rng.uniform(35, 95))
    return side * float(rng.uniform(5, 40))


def _camera(view: str, surfaces: list[Surface], size: tuple[int, int], rng: np.random.Generator) -> Camera:
    """Full figures, to the knee, or to the hip."""
    crops = {"full": (1, 0, 0), "additional": (0, 0.2, 0.8)}.get(view, (0.2, 0.4, 0.4))
    lowest = _CROPS[str(rng.choice(list(_CROPS), p=crops))]
    seen = [s.vertices[s.template[:, 2] > (-9 if lowest is None else lowest)] for s in surfaces if s.name != "skirt"]
    below = rng.uniform(0.03, 0.06) if lowest is None else 0.0
    return framing(np.concatenate(seen), *size, float(rng.uniform(3.6, 4.6)), (float(rng.uniform(0.04, 0.08)), below))


@functools.lru_cache(maxsize=1)
def _figure(identity: Identity) -> tuple[Points, Mesh]:
    """Return a person's body at rest, and its skin."""
    body = load_body()
    rest = body.rest(identity.build, np.array(identity.shape), dict(identity.changes))
    return rest, part(body, rest, "body")


@functools.lru_cache(maxsize=1)
def _dressed(identity: Identity, item: int) -> tuple[tuple[str, Mesh, Material], ...]:
    """Return the surfaces of a person in one of their outfits, with the classes they belong to."""
    body, worn = load_body(), identity.items[item]
    rest, skin = _figure(identity)
    surfaces: list[tuple[str, Mesh, Material]] = []

    outer: list[Cover] = []
    for piece in reversed(worn.pieces):
        shell = part(body, rest, "skirt" if isinstance(piece.cut, Skirt) else "tights")
        mesh = tailored(shell, piece.cut, piece.offset, piece.loose)
        surfaces.append((piece.label, mesh, Garment(mesh, piece.cut, tuple(outer))))
        outer.append(piece.cut)
    shoes_mesh = shoe_mesh(skin, worn.shaft)
    shoes = Shoes(worn.shoe, worn.sole, worn.shaft)
    surfaces.append(("shoes", shoes_mesh, shoes))
    surfaces.append(("skin", skin, Skin(skin, identity.complexion, (*outer, shoes))))
    eyes, lashes = part(body, rest, "eyes"), part(body, rest, "lashes")
    surfaces.append(("eyes", eyes, Eyes(identity.complexion.iris)))
    surfaces.append(("eyes", lashes, Lashes(0.003 + 0.004 * (identity.gender == "WOMEN"))))
    hair = hair_mesh(skin, identity.haircut, identity.number)
    surfaces.append(("hair", hair, Hair(identity.haircut, identity.number)))
    return tuple(surfaces)


def _render(
    scene: Scene, camera: Camera, studio: Studio, size: tuple[int, int], rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the picture and its classes."""
    height, width = size
    fine_height, fine_width = height * _FINE, width * _FINE
    share = np.linspace(0, 1, fine_height)[:, None, None]
    back = np.asarray(studio.top) * (1 - share) + np.asarray(studio.bottom) * share
    linear = np.repeat(back, fine_width, axis=1).reshape(-1, 3)
    classes = np.zeros(len(linear), dtype=np.uint8)
    eye = np.asarray(camera.eye)
    # Each sample has its own lots: one that meets something else on another processor changes no other.
    lots = rng.random((len(linear), 2), dtype=np.float32)
    grain = rng.normal(0, 0.004, size)[..., None]
    pixels, rows = _inside(scene, camera, size)
    directions = camera.directions(pixels)
    hits = scene.trace(np.tile(eye, (len(pixels), 1)), directions)
    for surface, (rays, samples) in zip(scene.surfaces, hits.samples, strict=True):
        if not len(rays):
            continue
        linear[rows[rays]] = shade(scene, samples, surface.material.paint(samples), studio, eye, lots[rows[rays]])
        classes[rows[rays]] = surface.label
    squares = linear.reshape(height, _FINE, width, _FINE, 3).mean(axis=(1, 3))
    picture = np.clip(to_srgb(squares) + grain, 0, 1)
    centres = classes.reshape(height, _FINE, width, _FINE)[:, _FINE // 2, :, _FINE // 2]
    return np.round(picture * 255).astype(np.uint8), centres


def _inside(scene: Scene, camera: Camera, size: tuple[int, int]) -> tuple[Float, npt.NDArray[Any]]:
    """Return the fine samples near the person: n×2 pixels, and their places in the fine picture."""
    height, width = size
    corners = np.concatenate([camera.project(s.vertices) for s in scene.surfaces])
    low, high = corners.min(axis=0) - 1, corners.max(axis=0) + 1
    rows = np.arange(max(0, int(low[1])) * _FINE, (min(height - 1, int(high[1])) + 1) * _FINE)
    columns = np.arange(max(0, int(low[0])) * _FINE, (min(width - 1, int(high[0])) + 1) * _FINE)
    row, column = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    pixels = (np.column_stack([column, row]) - (_FINE - 1) / 2) / _FINE
    return pixels, row * width * _FINE + column


class _Truth:
    """Where points are seen in a picture."""

    def __init__(self, body: Body, posed: Points, scene: Scene, camera: Camera, size: tuple[int, int]) -> None:
        self._keypoints = body.keypoints(posed)
        self._keypoints["neck"] = (self._keypoints["left_shoulder"] + self._keypoints["right_shoulder"]) / 2
        self._scene, self._camera, self._size = scene, camera, size

    def body(self) -> Float:
        """18×3."""
        depths = np.array([_DEPTHS[name.split("_")[-1]] for name in _BODY])
        return self.points(np.stack([self._keypoints[name] for name in _BODY]), depths)

    def points(self, places: Float, depths: Float) -> Float:
        """Project n×3 metres, and see whether what hides them is farther before them than ``depths`` (n)."""
        pixels = self._camera.project(places)
        eye = np.asarray(self._camera.eye)
        away = places - eye
        hits = self._scene.trace(np.tile(eye, (len(places), 1)), away)
        gap = (1 - hits.distance) * np.linalg.norm(away, axis=1)
        height, width = self._size
        framed = (pixels > -0.5).all(axis=1) & (pixels[:, 0] < width - 0.5) & (pixels[:, 1] < height - 0.5)
        seen = (hits.surface < 0) | (gap < depths)
        return np.column_stack([pixels, np.where(framed, 1 + seen, 0)])


def _box(face: Float) -> tuple[float, float, float, float] | None:
    """About the landmarks, where more than half are seen."""
    if (face[:, 2] == 2).sum() <= len(face) // 2:
        return None
    left, top = face[:, :2].min(axis=0)
    right, bottom = face[:, :2].max(axis=0)
    return float(left), float(top), float(right), float(bottom)
