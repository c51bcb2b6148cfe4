"""Clothes: which part of a shell about the body there is, and what it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from scipy.spatial import ConvexHull

from fhpt_eval.synthetic.body import Float, Index
from fhpt_eval.synthetic.fabrics import Colour, Fabric, noise
from fhpt_eval.synthetic.light import from_srgb
from fhpt_eval.synthetic.mesh import Mesh, pinned
from fhpt_eval.synthetic.raytrace import Bool, Paint, Samples, unit

Neck = Literal["crew", "v", "scoop", "boat", "high", "strapless"]

_SHOULDER, _ELBOW, _WRIST = np.array([[0.17, -0.02, 0.595], [0.354, -0.027, 0.388], [0.481, -0.197, 0.261]])
_HIP, _KNEE, _ANKLE = 0.114, -0.315, -0.74
"""Heights on the average body, metres."""
_CHEST = 0.47
_ARM_LENGTH = 0.52

_TUCKED = 0.003
"""How far garments reach under others, metres."""

WAIST = 0.2


@dataclass(frozen=True)
class Where:
    """Points in the coordinates of a tailor.

    Attributes:
        arm: Whether on an arm.
        sleeve: Along the arm: 0 shoulder, .5 elbow, 1 wrist.
        leg: Whether on a leg.
        length: Along the leg: 0 hip, .5 knee, 1 ankle.
        across: Metres of cloth around the body or the limb.
        along: Metres of cloth along it; 0 at the chest.
        axis: n×3, direction of ``along`` on the average body.
    """

    arm: Bool
    sleeve: Float
    leg: Bool
    length: Float
    across: Float
    along: Float
    axis: Float


def where(mesh: Mesh, samples: Samples) -> Where:
    """Locate points of a shell about the body."""
    point = samples.template
    x, y, z = np.abs(point[:, 0]), point[:, 1], point[:, 2]
    arm = samples.interpolate(mesh.masks["arm"]) > 0.5
    leg = (samples.interpolate(mesh.masks["leg"]) > 0.5) & (z < 0.08)
    mirrored = np.column_stack([x, y, z])
    upper, lower = _ELBOW - _SHOULDER, _WRIST - _ELBOW
    sleeve = 0.5 * np.clip((mirrored - _SHOULDER) @ upper / (upper @ upper), 0, 1)
    sleeve = sleeve + 0.5 * np.clip((mirrored - _ELBOW) @ lower / (lower @ lower), 0, 1.3)
    length = 0.5 * np.clip((_HIP - z) / (_HIP - _KNEE), 0, 1) + 0.5 * np.clip((_KNEE - z) / (_KNEE - _ANKLE), 0, 1.2)
    torso_across = np.arctan2(point[:, 0], 0.005 - y) * 0.16
    centre = 0.115 + 0.075 * np.clip((_HIP - z) / (_HIP - _ANKLE), 0, 1)
    leg_across = np.arctan2(x - centre, 0.0 - y) * 0.085
    direction = unit(_WRIST - _SHOULDER)
    side = np.cross(direction, [0.0, 1.0, 0.0])
    from_axis = mirrored - _SHOULDER
    arm_across = np.arctan2(from_axis @ side, from_axis[:, 1]) * 0.055
    across = np.where(arm, arm_across, np.where(leg, leg_across, torso_across))
    along = np.where(arm, -sleeve * _ARM_LENGTH, z - _CHEST)
    down = np.tile([0.0, 0.0, 1.0], (len(point), 1))
    sign = np.where(point[:, 0] < 0, -1.0, 1.0)[:, None]
    arm_axis = -direction * np.column_stack([sign, np.ones((len(point), 2))])
    return Where(arm, sleeve, leg, length, across, along, np.where(arm[:, None], arm_axis, down))


class Cover(Protocol):
    """What hides that which is beneath it."""

    def covers(self, samples: Samples, place: Where, margin: float) -> Bool:
        """Tell which points lie under it, at least ``margin`` metres from its edge."""


def covered(samples: Samples, place: Where, covers: Sequence[Cover], margin: float) -> Bool:
    """Tell which points lie under any of the covers, ``margin`` metres from its edge."""
    hidden = np.zeros(len(samples.faces), dtype=bool)
    for cover in covers:
        hidden |= cover.covers(samples, place, margin)
    return hidden


@dataclass(frozen=True)
class Cloth:
    """What a garment is sewn of.

    Attributes:
        fabric: Its pattern.
        folds: Depth of the folds, 0 to about 1.
        trim: Width of the hems, metres.
        gloss: Strength of the highlight.
    """

    fabric: Fabric
    folds: float
    trim: float
    gloss: float

    def paint(self, samples: Samples, place: Where, edge: Float) -> Paint:
        """Colour points whose distance to the garment's edge is known, metres."""
        albedo = self.fabric.albedo(place.across, place.along)
        hem = np.clip((self.trim - edge) / 0.002, 0, 1)
        albedo = albedo * (1 - 0.22 * hem[:, None])
        weave = noise(place.across / 0.0035, place.along / 0.0035, self.fabric.seed + 1)
        albedo = albedo * (1 + 0.04 * weave[:, None])
        return Paint(albedo, self._folded(samples, place), np.full(len(albedo), self.gloss))

    def _folded(self, samples: Samples, place: Where) -> Float:
        """Return normals rippled by folds: along the body, around the sleeves and the knees."""
        limb = place.arm | (place.leg & (np.abs(place.length - 0.55) < 0.2))
        wide, high = np.where(limb, 0.09, 0.045), np.where(limb, 0.045, 0.2)
        seed = self.fabric.seed + 2

        def height(du: float, dv: float) -> Float:
            u, v = place.across + du, place.along + dv
            coarse = noise(u / wide + 0.4 * noise(u / 0.2, v / 0.2, seed + 3), v / high, seed)
            return 0.012 * coarse + 0.004 * noise(u / (0.5 * wide), v / (0.5 * high), seed + 1)

        step = 0.002
        ground = height(0, 0)
        slope_u, slope_v = (height(step, 0) - ground) / step, (height(0, step) - ground) / step
        up = samples.carry(place.axis)
        around = unit(np.cross(up, samples.normal))
        bend = slope_u[:, None] * around - slope_v[:, None] * up
        return unit(samples.normal + self.folds * bend)


@dataclass(frozen=True)
class Top:
    """A shirt, or the upper part of a dress, or an open layer over it; lengths in metres of the average body.

    Attributes:
        sleeve: End of the sleeves along the arm, 0 none to 1 the wrist.
        hem: Height of the lower edge.
        neck: Form of the neckline.
        depth: Of the neckline.
        straps: Whether the shoulders are bare but for straps.
        buttons: Whether it is buttoned down the front.
        open: Half the width by which it stands open in front.
    """

    cloth: Cloth
    sleeve: float
    hem: float
    neck: Neck
    depth: float
    straps: bool = False
    buttons: bool = False
    open: float = 0.0

    def edge(self, samples: Samples, place: Where) -> Float:
        """Distance to the edge, metres; negative outside."""
        x, y, z = np.abs(samples.template[:, 0]), samples.template[:, 1], samples.template[:, 2]
        front = np.clip((0.02 - y) / 0.05, 0, 1)
        body = np.minimum(z - self.hem, self._neckline(x, front) - z)
        if self.straps:
            bare = 0.115 + 0.14 * np.clip((0.6 - z) / 0.1, 0, 1)
            body = np.minimum(body, np.where(z > 0.5, bare - x, 1.0))
            body = np.minimum(body, np.where(z > 0.56, x - 0.055, 1.0))
        if self.open:
            gap = self.open * (1 + 0.8 * np.clip((_CHEST - z) / 0.3, 0, 1))
            body = np.minimum(body, np.where(y < 0.0, x - gap, 1.0))
        return np.where(place.arm, (self.sleeve - place.sleeve) * _ARM_LENGTH, np.where(z < -0.35, -1.0, body))

    def covers(self, samples: Samples, place: Where, margin: float) -> Bool:
        """Whether points of what is beneath are hidden."""
        return np.asarray(self.edge(samples, place) > margin)

    def _neckline(self, x: Float, front: Float) -> Float:
        if self.neck == "strapless":
            return np.asarray(np.full(len(x), 0.53) + 0.012 * np.cos(x * 30) * front)
        if self.neck == "high":
            return np.full(len(x), 0.735)
        width = {"crew": 0.075, "v": 0.085, "scoop": 0.1, "boat": 0.14}[self.neck]
        near = np.clip(1 - x / width, 0, 1)
        form = near if self.neck == "v" else np.sqrt(1 - (1 - near) ** 2)
        top = np.where(x < width, 0.7, 0.72)
        return np.asarray(top - form * (self.depth * front + 0.012))


@dataclass(frozen=True)
class Trousers:
    """Trousers, shorts or leggings.

    Attributes:
        length: Of the legs: .5 the knee, 1 the ankle.
        waist: Height of the upper edge, metres of the average body.
    """

    cloth: Cloth
    length: float
    waist: float

    def edge(self, samples: Samples, place: Where) -> Float:
        """Distance to the edge, metres; negative outside."""
        z = samples.template[:, 2]
        inside = np.minimum(self.waist - z, (self.length - place.length) * 0.86)
        return np.where(place.arm, -1.0, inside)

    def covers(self, samples: Samples, place: Where, margin: float) -> Bool:
        """Whether points of what is beneath are hidden."""
        return np.asarray(self.edge(samples, place) > margin)


@dataclass(frozen=True)
class Skirt:
    """A skirt, or the lower part of a dress.

    Attributes:
        hem: Height of the lower edge, metres of the average body.
        waist: Of the upper edge.
    """

    cloth: Cloth
    hem: float
    waist: float

    def edge(self, samples: Samples, place: Where) -> Float:
        """Distance to the edge, metres; negative outside."""
        z = samples.template[:, 2]
        return np.where(place.arm, -1.0, np.minimum(self.waist - z, z - self.hem))

    def covers(self, samples: Samples, place: Where, margin: float) -> Bool:
        """Hides the hips; the legs under it are seen where it is seen through from below."""
        z = samples.template[:, 2]
        return np.asarray(~place.arm & (z < self.waist - margin) & (z > max(self.hem + 0.1, -0.05)))


Cut = Top | Trousers | Skirt


@dataclass(frozen=True)
class Garment:
    """A garment on a body: the material of its mesh."""

    mesh: Mesh
    cut: Cut
    covers: Sequence[Cover] = ()

    def present(self, samples: Samples) -> Bool:
        """Inside of its edges, and not under another garment."""
        place = where(self.mesh, samples)
        inside = self.cut.edge(samples, place) > 0
        return np.asarray(inside & ~covered(samples, place, self.covers, _TUCKED))

    def paint(self, samples: Samples) -> Paint:
        """Return the cloth, with its buttons."""
        place = where(self.mesh, samples)
        edge = self.cut.edge(samples, place)
        if isinstance(self.cut, Skirt):
            around = np.arctan2(samples.template[:, 0], -samples.template[:, 1]) * 0.2
            place = replace(place, leg=np.zeros_like(place.leg), across=around)
        paint = self.cut.cloth.paint(samples, place, edge)
        if isinstance(self.cut, Top) and self.cut.buttons:
            front = ~place.arm & (samples.template[:, 1] < 0)
            line = front & (np.abs(np.abs(place.across) - 0.014) < 0.0016)
            button = front & (np.hypot(place.across, (place.along % 0.085) - 0.04) < 0.0062)
            paint.albedo[line] *= 0.7
            paint.albedo[button] = paint.albedo[button] * 0.2 + 0.55
        return paint


def tailored(shell: Mesh, cut: Cut, offset: float, loose: float) -> Mesh:
    """Give a shell about the body the room of a garment.

    Args:
        shell: The tights or the skirt of the base mesh.
        cut: What is made of it.
        offset: From the body, metres.
        loose: 0 tight to 1 wide.
    """
    x, z = np.abs(shell.template[:, 0]), shell.template[:, 2]
    if isinstance(cut, Skirt):
        wide = 1 + (0.5 * loose - 0.12) * np.clip((0.1 - z) / 0.6, 0, 1)
        return replace(shell, rest=shell.rest * np.column_stack([wide, wide, np.ones(len(x))]))
    smooth = shell.smoothed(3 + round(10 * loose))
    arm = shell.masks["arm"]
    if isinstance(cut, Top):
        room = 0.035 * np.clip((_CHEST - z) / 0.3, 0, 1) * (1 - arm) + 0.02 * np.clip((x - 0.2) / 0.2, 0, 1) * arm
    else:
        room = 0.04 * np.clip((0.05 - z) / 0.6, 0, 1)
    return smooth.inflated(offset + loose * room)


@dataclass(frozen=True)
class Shoes:
    """Shoes about the feet.

    Attributes:
        colour: Of the upper, sRGB.
        sole: Of the sole.
        high: Height of the shaft above the ankle, metres.
    """

    colour: Colour
    sole: Colour
    high: float

    def present(self, samples: Samples) -> Bool:
        """Everywhere."""
        return np.ones(len(samples.faces), dtype=bool)

    def covers(self, samples: Samples, place: Where, margin: float) -> Bool:
        """Return the foot."""
        top = _ANKLE + self.high - 0.023 - margin
        return np.asarray(place.leg & (samples.template[:, 2] < top))

    def paint(self, samples: Samples) -> Paint:
        """Sole and upper."""
        sole = np.clip((-0.797 - samples.template[:, 2]) / 0.002, 0, 1)[:, None]
        albedo = from_srgb(self.colour) * (1 - sole) + from_srgb(self.sole) * sole
        return Paint(albedo, samples.normal, np.full(len(albedo), 0.12))


def shoe_mesh(skin: Mesh, high: float) -> Mesh:
    """Return the convex hull of each foot, a little wider, pinned to it."""
    foot = (skin.masks["leg"] > 0.5) & (skin.template[:, 2] < _ANKLE + high)
    corners: list[Float] = []
    faces: list[Index] = []
    for side in (1, -1):
        points = skin.template[foot & (side * skin.template[:, 0] > 0)]
        hull = ConvexHull(points)
        used, triangles = np.unique(hull.simplices, return_inverse=True)
        triangles = triangles.reshape(-1, 3)
        ring = points[used]
        flipped = np.einsum(
            "nd,nd->n",
            np.cross(ring[triangles[:, 1]] - ring[triangles[:, 0]], ring[triangles[:, 2]] - ring[triangles[:, 0]]),
            hull.equations[:, :3],
        )
        triangles[flipped < 0] = triangles[flipped < 0][:, ::-1]
        middle = ring.mean(axis=0)
        faces.append(triangles + sum(len(c) for c in corners))
        corners.append(middle + (ring - middle) * [1.06, 1.05, 1.02])
    return pinned(skin, np.concatenate(corners), np.concatenate(faces))
