"""Poses: natural ones by name, with limbs that do not pass through the body."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
    """A body whose limbs are aimed one after the other, in the frame of its trunk.

    Attributes:
        gaze: Degrees by which the head is turned against the trunk, to the person's left.
    """

    def __init__(self, body: Body, rest: Points, yaw: float) -> None:
        self.body = body
        self.rest = rest
        self.rotations: dict[str, Float] = {"root": turn("z", yaw)}
        self.gaze = 0.0

    @property
    def facing(self) -> Float:
        """From the trunk's frame to the world's."""
        return self.rotations["root"]

    def head_of(self, bone: str) -> Float:
        """Where a bone begins, in the trunk's frame."""
        place = self.rest.heads[self.body.bone(bone)]
        for above, turned in self._turned_above(bone):
            start = self.rest.heads[above]
            place = start + turned @ (place - start)
        return np.asarray(self.facing.T @ place)

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

    def look(self, aside: float, nod: float = 0.0, tilt: float = 0.0) -> None:
        """Turn the head further by degrees, the neck along with it."""
        self.gaze += aside
        for bone, share in (("neck01", 0.2), ("neck02", 0.2), ("neck03", 0.2), ("head", 0.4)):
            self.bend(bone, "z", share * aside)
            self.bend(bone, "x", share * nod)
            self.bend(bone, "y", share * tilt)

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

    def fingers(self, side: str, curl: float, spread: float) -> None:
        """Close the fingers further, by degrees at each joint, the outer ones more; and spread them, degrees apart."""
        wrist = self.rest.heads[self.body.bone(f"wrist.{side}")]
        root = {k: self.rest.heads[self.body.bone(f"finger{k}-1.{side}")] for k in range(1, HAND_FINGERS + 1)}
        palm = unit(np.cross(root[2] - wrist, root[5] - wrist))
        for finger in range(1, HAND_FINGERS + 1):
            joints = [root[finger], *(self.rest.heads[self.body.bone(f"finger{finger}-{j}.{side}")] for j in (2, 3))]
            axis = np.cross(joints[1] - joints[0], joints[2] - joints[1])
            if np.linalg.norm(axis) < 1e-9:
                continue
            amount = curl * (0.4 if finger == 1 else 0.7 + 0.15 * (finger - 1))
            closed = _about(unit(axis), amount)
            fanned = _about(palm, spread * (finger - 3.5)) if finger > 1 else np.eye(3)
            self.rotations[f"finger{finger}-1.{side}"] = fanned @ closed
            for joint in (2, 3):
                self.rotations[f"finger{finger}-{joint}.{side}"] = closed

    def _above(self, bone: str) -> Float:
        """Rotation of a bone's parent."""
        made = np.eye(3)
        for _, turned in self._turned_above(bone):
            made = turned @ made
        return made

    def _turned_above(self, bone: str) -> Iterator[tuple[int, Float]]:
        """Yield the bones above one that are turned, nearest first, with their rotations."""
        parent = self.body.parents[self.body.bone(bone)]
        while parent >= 0:
            turned = self.rotations.get(self.body.bones[parent])
            if turned is not None:
                yield parent, turned
            parent = self.body.parents[parent]


def turn(axis: str, degrees: float) -> Float:
    """Return a rotation about an axis: x nods, y tilts, z turns."""
    return np.asarray(Rotation.from_euler(axis, degrees, degrees=True).as_matrix())


def _about(axis: Float, degrees: float) -> Float:
    return np.asarray(Rotation.from_rotvec(axis * np.radians(degrees)).as_matrix())


def _least_turn(start: Float, end: Float) -> Float:
    axis = np.cross(start, end)
    angle = np.arctan2(np.linalg.norm(axis), start @ end)
    return np.asarray(Rotation.from_rotvec(unit(axis) * angle).as_matrix())


def _stand(puppet: Puppet, rng: np.random.Generator) -> None:
    """On both legs, on one of them with the hip out, or with the ankles crossed."""
    stance = rng.choice(["even", "one leg", "crossed"], p=[0.5, 0.35, 0.15])
    loose = rng.choice(["L", "R"])
    toes = {side: rng.uniform(8, 22) for side in "LR"}
    if stance == "crossed":
        for side in "LR":
            if side == loose:
                puppet.leg(side, (-0.13, -0.22, -1), (-0.36, 0.02, -1), 0.3 * toes[side])
            else:
                puppet.leg(side, (-0.08, 0.0, -1), (-0.19, 0.03, -1), 0.6 * toes[side])
        return
    if stance == "one leg":
        tilt = rng.uniform(3, 8) * (1 if loose == "R" else -1)
        puppet.bend("spine05", "y", tilt)
        puppet.bend("spine03", "y", -0.5 * tilt)
        puppet.bend("spine01", "y", -1.2 * tilt)
        bent, out = rng.uniform(0.15, 0.3), rng.uniform(0.1, 0.2)
        for side in "LR":
            if side == loose:
                puppet.leg(side, (out, -bent, -1), (0.4 * out, 0.9 * bent, -1), 1.6 * toes[side])
            else:
                puppet.leg(side, (-0.07, 0.0, -1), (-0.05, 0.03, -1), toes[side])
        return
    spread = rng.uniform(0.02, 0.1)
    relaxed = rng.uniform(0, 0.22)
    for side in "LR":
        bent = relaxed if side == loose else 0.0
        puppet.leg(side, (spread, -bent, -1), (0.5 * spread, 0.9 * bent, -1), toes[side])


def _fingers(puppet: Puppet, side: str, rng: np.random.Generator, low: float, high: float) -> None:
    puppet.fingers(side, rng.uniform(low, high), rng.uniform(0, 7))


def _hang(puppet: Puppet, side: str, rng: np.random.Generator, swing: float = 0.0, bend: float = 0.4) -> None:
    out = rng.uniform(0.12, 0.28)
    bent = rng.uniform(0.1, bend)
    puppet.arm(side, (out, 0.05 + swing, -1), (out * 0.45, -bent + swing, -1))
    _fingers(puppet, side, rng, 2, 20)


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
    _fingers(puppet, side, rng, 0, 15)


def _hand_on_hip(puppet: Puppet, rng: np.random.Generator) -> None:
    _one_arm(puppet, rng, _hip, also=0.25)


def _one_arm(
    puppet: Puppet,
    rng: np.random.Generator,
    does: Callable[[Puppet, str, np.random.Generator], None],
    also: float = 0.0,
) -> None:
    """One arm, and sometimes the other one, does something; else it hangs or rests on the hip."""
    _stand(puppet, rng)
    chosen = rng.choice(["L", "R"])
    for side in "LR":
        if side == chosen or rng.random() < also:
            does(puppet, side, rng)
        elif does is not _hip and rng.random() < 0.25:
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
        _fingers(puppet, side, rng, 10, 25)


def _walking(puppet: Puppet, rng: np.random.Generator) -> None:
    stride = rng.uniform(0.2, 0.4) * rng.choice([-1, 1])
    bend = rng.uniform(0.4, 1.1)
    for side in "LR":
        ahead = stride * _SIDES[side]
        behind = max(ahead, 0.0)
        puppet.leg(side, (0.03, ahead, -1), (0.02, ahead + 0.7 * behind + 0.05, -1), rng.uniform(3, 10))
        _hang(puppet, side, rng, swing=-0.8 * ahead, bend=bend)


def _hand_at_chest(puppet: Puppet, rng: np.random.Generator) -> None:
    """One hand at the collar or the chest."""

    def rest(puppet: Puppet, side: str, rng: np.random.Generator) -> None:
        place = [_SIDES[side] * rng.uniform(0.06, 0.14), rng.uniform(-0.1, -0.07), rng.uniform(-0.06, 0.08)]
        puppet.reach(side, puppet.chest() + place, (0.8, 0.1, -1.0))
        puppet.hand(side, (-0.7, -0.05, 0.6))
        _fingers(puppet, side, rng, 5, 25)

    _one_arm(puppet, rng, rest)


def _hand_at_head(puppet: Puppet, rng: np.random.Generator) -> None:
    """One hand raised to the hair."""

    def touch(puppet: Puppet, side: str, rng: np.random.Generator) -> None:
        place = [_SIDES[side] * rng.uniform(0.16, 0.19), rng.uniform(-0.04, 0.04), rng.uniform(0.02, 0.1)]
        puppet.reach(side, puppet.head_of("head") + place, (1.0, -0.25, 0.3))
        puppet.hand(side, (-0.4, 0.15, 0.9))
        _fingers(puppet, side, rng, 5, 20)

    _one_arm(puppet, rng, touch)


def _arms_behind(puppet: Puppet, rng: np.random.Generator) -> None:
    """Both hands behind the back, one over the other."""
    _stand(puppet, rng)
    middle = (puppet.head_of("upperleg01.L") + puppet.head_of("upperleg01.R")) / 2
    upper = rng.choice(["L", "R"])
    for side in "LR":
        back, height = (0.26, 0.2) if side == upper else (0.2, 0.08)
        place = [_SIDES[side] * rng.uniform(0.05, 0.1), back, height + rng.uniform(-0.01, 0.01)]
        puppet.reach(side, middle + place, (1.0, rng.uniform(0.5, 1), 0.0))
        puppet.hand(side, (-0.8, 0.1, -0.5))
        _fingers(puppet, side, rng, 8, 20)


def _hands_joined(puppet: Puppet, rng: np.random.Generator) -> None:
    """Hands before the body, one over the other."""
    _stand(puppet, rng)
    middle = (puppet.head_of("upperleg01.L") + puppet.head_of("upperleg01.R")) / 2
    front, height = rng.choice(["L", "R"]), rng.uniform(0.04, 0.12)
    for side in "LR":
        depth = -0.28 if side == front else -0.2
        place = [_SIDES[side] * rng.uniform(0.08, 0.1), depth, height - 0.03 * (side == front)]
        puppet.reach(side, middle + place, (1.0, 0.2, -0.5))
        puppet.hand(side, (-0.8, -0.1, -0.6))
        _fingers(puppet, side, rng, 5, 20)


def _hands_at_thighs(puppet: Puppet, rng: np.random.Generator) -> None:
    """Hands before the thighs, as in pockets."""
    _stand(puppet, rng)
    for side in "LR":
        hip = puppet.head_of(f"upperleg01.{side}")
        place = [_SIDES[side] * rng.uniform(0.09, 0.13), -rng.uniform(0.1, 0.14), rng.uniform(-0.06, 0.02)]
        puppet.reach(side, hip + place, (1.0, 0.6, 0.0))
        _fingers(puppet, side, rng, 5, 20)


def _looking_back(puppet: Puppet, rng: np.random.Generator) -> None:
    """Turn the trunk, and the head still more: over a shoulder where the back is seen, else aside."""
    side = rng.choice([-1.0, 1.0])
    for bone in ("spine04", "spine03", "spine02", "spine01"):
        puppet.bend(bone, "z", side * rng.uniform(2, 6))
    far = (20, 38) if puppet.facing[1, 1] > 0.5 else (35, 65)
    aside = puppet.gaze if abs(puppet.gaze) > 20 else side * rng.uniform(*far)
    puppet.look(aside - puppet.gaze)
    _stand(puppet, rng)
    chosen = rng.choice(["L", "R"])
    for arm in "LR":
        if arm == chosen and rng.random() < 0.5:
            _hip(puppet, arm, rng)
        else:
            _hang(puppet, arm, rng)


KINDS: Mapping[str, Callable[[Puppet, np.random.Generator], None]] = MappingProxyType(
    {
        "standing": _standing,
        "walking": _walking,
        "hand on hip": _hand_on_hip,
        "arms crossed": _arms_crossed,
        "hand at chest": _hand_at_chest,
        "hand at head": _hand_at_head,
        "arms behind": _arms_behind,
        "hands joined": _hands_joined,
        "hands at thighs": _hands_at_thighs,
        "looking back": _looking_back,
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
    twist, lean = rng.normal(0, 5), rng.normal(0, 2)
    for bone in ("spine04", "spine03", "spine02"):
        puppet.bend(bone, "z", twist / 3)
        puppet.bend(bone, "y", lean / 3)
    away = (yaw + 180) % 360 - 180
    turned = 0.0 if abs(away) > 110 else -0.8 * away * rng.uniform(0.4, 1)
    turned = float(np.clip(turned + rng.normal(0, 6), -55, 55))
    puppet.look(turned, nod=rng.normal(1, 4), tilt=rng.normal(0, 4))


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
