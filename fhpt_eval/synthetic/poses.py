"""Poses: natural ones by name, with limbs that do not pass through the body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from fhpt_eval.synthetic.body import HAND_FINGERS, Body, Float, Points, skinned
from fhpt_eval.synthetic.mesh import Mesh
from fhpt_eval.synthetic.raytrace import unit, vertex_normals

_CLEARANCE = 0.035
"""From the bones of forearms and hands to the skin of the trunk, metres."""
_APART = 0.055
"""Between the two arms, metres."""
_ATTEMPTS = 16
_SIDES = MappingProxyType({"L": 1.0, "R": -1.0})


class Puppet:
    """A body whose limbs are aimed one after the other, in the frame of its trunk."""

    def __init__(self, body: Body, rest: Points, yaw: float) -> None:
        self.body = body
        self.rest = rest
        self.rotations: dict[str, Float] = {"root": turn("z", yaw)}

    @property
    def facing(self) -> Float:
        """From the trunk's frame to the world's."""
        return self.rotations["root"]

    def head_of(self, bone: str) -> Float:
        """Where a bone begins, in the trunk's frame."""
        index = self.body.bone(bone)
        made = self.body.transforms(self.rest, self.rotations)[index]
        return np.asarray(self.facing.T @ (made[:, :3] @ self.rest.heads[index] + made[:, 3]))

    def chest(self) -> Float:
        """Return the foremost point between the breasts, in the trunk's frame."""
        place = self.body.mean.vertices
        near = (
            (np.abs(place[:, 0]) < 0.16) & (place[:, 2] > 0.3) & (place[:, 2] < 0.52) & (self.body.masks["arm"] < 0.02)
        )
        depth = self.rest.vertices[near, 1].min() - self.rest.heads[self.body.bone("spine01"), 1]
        return np.asarray(self.head_of("spine01") + np.array([0, depth, -0.08]))

    def bend(self, bone: str, axis: str, degrees: float) -> None:
        """Turn a bone about an axis of the rest pose, besides what it was turned before."""
        self.rotations[bone] = turn(axis, degrees) @ self.rotations.get(bone, np.eye(3))

    def aim(self, bone: str, end: str, direction: Float) -> None:
        """Point a bone so that ``end`` lies in a direction of the trunk's frame."""
        start = self.body.bone(bone)
        at_rest = unit(self.rest.heads[self.body.bone(end)] - self.rest.heads[start])
        parent = self._above(bone)
        wanted = parent.T @ self.facing @ unit(np.asarray(direction, dtype=float))
        self.rotations[bone] = _least_turn(at_rest, wanted)

    def arm(self, side: str, upper: tuple[float, float, float], lower: tuple[float, float, float]) -> None:
        """Aim an arm by directions (outwards, back, up)."""
        sign = _SIDES[side]
        self.aim(f"upperarm01.{side}", f"lowerarm01.{side}", np.array(upper) * [sign, 1, 1])
        self.aim(f"lowerarm01.{side}", f"wrist.{side}", np.array(lower) * [sign, 1, 1])

    def reach(self, side: str, target: Float, elbow: tuple[float, float, float]) -> None:
        """Bring a wrist to a place of the trunk's frame, the elbow out in a direction (outwards, back, up)."""
        shoulder = self.head_of(f"upperarm01.{side}")
        heads = {
            name: self.rest.heads[self.body.bone(f"{name}.{side}")] for name in ("upperarm01", "lowerarm01", "wrist")
        }
        upper = float(np.linalg.norm(heads["lowerarm01"] - heads["upperarm01"]))
        lower = float(np.linalg.norm(heads["wrist"] - heads["lowerarm01"]))
        way = target - shoulder
        distance = float(np.clip(np.linalg.norm(way), abs(upper - lower) + 0.02, 0.985 * (upper + lower)))
        along = unit(way)
        pole = np.array(elbow) * [_SIDES[side], 1, 1]
        pole = unit(pole - (pole @ along) * along)
        share = (upper**2 - lower**2 + distance**2) / (2 * distance)
        joint = along * share + pole * np.sqrt(max(upper**2 - share**2, 0.0))
        self.aim(f"upperarm01.{side}", f"lowerarm01.{side}", joint)
        self.aim(f"lowerarm01.{side}", f"wrist.{side}", along * distance - joint)

    def hand(self, side: str, direction: tuple[float, float, float]) -> None:
        """Point a hand in a direction (outwards, back, up)."""
        self.aim(f"wrist.{side}", f"finger3-1.{side}", np.array(direction) * [_SIDES[side], 1, 1])

    def leg(self, side: str, upper: tuple[float, float, float], lower: tuple[float, float, float], out: float) -> None:
        """Aim a leg by directions (outwards, back, up); the sole stays level, the toes turned outwards by degrees."""
        sign = _SIDES[side]
        self.aim(f"upperleg01.{side}", f"lowerleg01.{side}", np.array(upper) * [sign, 1, 1])
        self.aim(f"lowerleg01.{side}", f"foot.{side}", np.array(lower) * [sign, 1, 1])
        self.rotations[f"foot.{side}"] = self._above(f"foot.{side}").T @ self.facing @ turn("z", sign * out)

    def curl(self, side: str, degrees: float) -> None:
        """Close the fingers further, by degrees at each joint."""
        for finger in range(1, HAND_FINGERS + 1):
            joints = [self.rest.heads[self.body.bone(f"finger{finger}-{joint}.{side}")] for joint in (1, 2, 3)]
            axis = np.cross(joints[1] - joints[0], joints[2] - joints[1])
            if np.linalg.norm(axis) < 1e-9:
                continue
            amount = degrees * (0.4 if finger == 1 else 1.0)
            turned = Rotation.from_rotvec(unit(axis) * np.radians(amount)).as_matrix()
            for joint in (1, 2, 3):
                self.rotations[f"finger{finger}-{joint}.{side}"] = turned

    def _above(self, bone: str) -> Float:
        """Rotation of a bone's parent."""
        parent = self.body.parents[self.body.bone(bone)]
        return np.asarray(self.body.transforms(self.rest, self.rotations)[parent][:, :3])


def turn(axis: str, degrees: float) -> Float:
    """Return a rotation about an axis: x nods, y tilts, z turns."""
    return np.asarray(Rotation.from_euler(axis, degrees, degrees=True).as_matrix())


def _least_turn(start: Float, end: Float) -> Float:
    axis = np.cross(start, end)
    angle = np.arctan2(np.linalg.norm(axis), start @ end)
    return np.asarray(Rotation.from_rotvec(unit(axis) * angle).as_matrix())


def _stand(puppet: Puppet, rng: np.random.Generator) -> None:
    spread = rng.uniform(0.02, 0.1)
    relaxed = rng.uniform(0, 0.22)
    loose = rng.choice(["L", "R"])
    for side in "LR":
        bent = relaxed if side == loose else 0.0
        puppet.leg(side, (spread, -bent, -1), (0.5 * spread, 0.9 * bent, -1), rng.uniform(8, 22))


def _hang(puppet: Puppet, side: str, rng: np.random.Generator, swing: float = 0.0) -> None:
    out = rng.uniform(0.12, 0.28)
    bend = rng.uniform(0.1, 0.4)
    puppet.arm(side, (out, 0.05 + swing, -1), (out * 0.45, -bend + swing, -1))
    puppet.curl(side, rng.uniform(5, 22))


def _standing(puppet: Puppet, rng: np.random.Generator) -> None:
    _stand(puppet, rng)
    for side in "LR":
        _hang(puppet, side, rng)


def _hip(puppet: Puppet, side: str, rng: np.random.Generator) -> None:
    hip = puppet.head_of(f"upperleg01.{side}")
    sign = _SIDES[side]
    place = np.array([sign * rng.uniform(0.13, 0.16), 0.0, rng.uniform(0.06, 0.12)])
    puppet.reach(side, hip + place, (1.0, 0.5, 0.1))
    puppet.hand(side, (0.15, -0.8, -0.5))
    puppet.curl(side, rng.uniform(0, 15))


def _hand_on_hip(puppet: Puppet, rng: np.random.Generator) -> None:
    _stand(puppet, rng)
    chosen = rng.choice(["L", "R"])
    for side in "LR":
        if side == chosen or rng.random() < 0.25:
            _hip(puppet, side, rng)
        else:
            _hang(puppet, side, rng)


def _arms_crossed(puppet: Puppet, rng: np.random.Generator) -> None:
    _stand(puppet, rng)
    chest = puppet.chest()
    front = rng.choice(["L", "R"])
    for side in "LR":
        depth = rng.uniform(-0.16, -0.135) if side == front else rng.uniform(-0.075, -0.06)
        low = -0.03 if side == front else -0.08
        place = np.array([-_SIDES[side] * rng.uniform(0.05, 0.09), depth, low + rng.uniform(-0.02, 0.02)])
        puppet.reach(side, chest + place, (0.8, -0.2, -1.0))
        puppet.hand(side, (-1.0, 0.05, 0.1))
        puppet.curl(side, rng.uniform(10, 25))


def _walking(puppet: Puppet, rng: np.random.Generator) -> None:
    stride = rng.uniform(0.2, 0.4) * rng.choice([-1, 1])
    for side in "LR":
        ahead = stride * _SIDES[side]
        behind = max(ahead, 0.0)
        puppet.leg(side, (0.03, ahead, -1), (0.02, ahead + 0.7 * behind + 0.05, -1), rng.uniform(3, 10))
        _hang(puppet, side, rng, swing=-0.8 * ahead)


def _hand_up(puppet: Puppet, rng: np.random.Generator) -> None:
    """One hand at the collar or the chest."""
    _stand(puppet, rng)
    chosen = rng.choice(["L", "R"])
    for side in "LR":
        if side != chosen:
            _hang(puppet, side, rng)
            continue
        place = [_SIDES[side] * rng.uniform(0.06, 0.14), rng.uniform(-0.1, -0.07), rng.uniform(-0.06, 0.08)]
        target = puppet.chest() + place
        puppet.reach(side, target, (0.8, 0.1, -1.0))
        puppet.hand(side, (-0.7, -0.05, 0.6))
        puppet.curl(side, rng.uniform(10, 35))


def _thigh(puppet: Puppet, rng: np.random.Generator) -> None:
    """Hands before the thighs, as in pockets."""
    _stand(puppet, rng)
    for side in "LR":
        hip = puppet.head_of(f"upperleg01.{side}")
        place = [_SIDES[side] * rng.uniform(0.09, 0.13), -rng.uniform(0.1, 0.14), rng.uniform(-0.06, 0.02)]
        puppet.reach(side, hip + place, (1.0, 0.6, 0.0))
        puppet.curl(side, rng.uniform(5, 20))


KINDS: Mapping[str, Callable[[Puppet, np.random.Generator], None]] = MappingProxyType(
    {
        "standing": _standing,
        "walking": _walking,
        "hand on hip": _hand_on_hip,
        "arms crossed": _arms_crossed,
        "hand at chest": _hand_up,
        "hands at thighs": _thigh,
    }
)


def strike(body: Body, rest: Points, skin: Mesh, kind: str, yaw: float, rng: np.random.Generator) -> Float:
    """Pose a body; the transforms of its bones, B×3×4.

    Args:
        body: The rig.
        rest: The body at rest.
        skin: Its skin, which hands and forearms must not enter.
        kind: One of `KINDS`.
        yaw: Degrees by which it is turned, 0 towards the camera.
        rng: Where the pose's freedom comes from.
    """
    trunk = _Trunk(body, skin)
    for attempt in range(_ATTEMPTS):
        last = attempt == _ATTEMPTS - 1
        puppet = Puppet(body, rest, yaw)
        _carry_trunk(puppet, yaw, rng)
        (_standing if last else KINDS[kind])(puppet, rng)
        if last:
            for side in "LR":
                puppet.arm(side, (0.42, 0.0, -1), (0.2, -0.12, -1))
        transforms = body.transforms(rest, puppet.rotations)
        if not trunk.entered(rest, transforms):
            break
    return transforms


def _carry_trunk(puppet: Puppet, yaw: float, rng: np.random.Generator) -> None:
    """Small turns of the spine, and a head that looks towards the camera as far as it likes to."""
    twist, lean = rng.normal(0, 3), rng.normal(0, 1.5)
    for bone in ("spine04", "spine03", "spine02"):
        puppet.bend(bone, "z", twist / 3)
        puppet.bend(bone, "y", lean / 3)
    away = (yaw + 180) % 360 - 180
    turned = 0.0 if abs(away) > 110 else -0.8 * away * rng.uniform(0.4, 1)
    turned = float(np.clip(turned + rng.normal(0, 4), -55, 55))
    nod, tilt = rng.normal(1, 3), rng.normal(0, 3)
    for bone, share in (("neck01", 0.2), ("neck02", 0.2), ("neck03", 0.2), ("head", 0.4)):
        puppet.bend(bone, "z", share * turned)
        puppet.bend(bone, "x", share * nod)
        puppet.bend(bone, "y", share * tilt)


class _Trunk:
    """The part of the skin that hands and forearms must stay out of."""

    def __init__(self, body: Body, skin: Mesh) -> None:
        height = skin.template[:, 2]
        inside = (skin.masks["arm"] < 0.02) & (height < 0.66) & (height > -0.45)
        used, faces = np.unique(skin.faces[inside[skin.faces].all(axis=1)], return_inverse=True)
        self._body = body
        self._rest, self._weights, self._bones = skin.rest[used], skin.weights[used], skin.bones[used]
        self._faces = faces.reshape(-1, 3)

    def entered(self, rest: Points, transforms: Float) -> bool:
        """Whether a forearm or a hand enters it, or the other arm."""
        posed = skinned(self._rest, self._weights, self._bones, transforms)
        normals = vertex_normals(posed, self._faces)
        tree = cKDTree(posed)
        heads = np.einsum("bij,bj->bi", transforms[..., :3], rest.heads) + transforms[..., 3]
        arms = []
        for side in "LR":
            elbow, wrist, finger, tip = (
                heads[self._body.bone(f"{name}.{side}")] for name in ("lowerarm01", "wrist", "finger3-1", "finger3-3")
            )
            share = np.linspace(0.45, 1, 5)[:, None]
            points = np.concatenate([elbow + share * (wrist - elbow), [finger, tip, (wrist + finger) / 2]])
            distance, nearest = tree.query(points)
            outside = np.einsum("nd,nd->n", points - posed[nearest], normals[nearest])
            if ((outside < _CLEARANCE) & (distance < 0.3)).any():
                return True
            arms.append(points)
        gap = np.linalg.norm(arms[0][:, None] - arms[1][None], axis=-1)
        return bool(gap.min() < _APART)
