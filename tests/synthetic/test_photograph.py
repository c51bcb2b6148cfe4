"""What a photograph claims to know is what is in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest

pytest.importorskip("embreex", reason="the renderer needs the extra [synthetic]")

from fhpt_eval.synthetic.body import load_body
from fhpt_eval.synthetic.camera import framing
from fhpt_eval.synthetic.fabrics import Fabric
from fhpt_eval.synthetic.identity import sample_identity
from fhpt_eval.synthetic.light import from_srgb, to_srgb
from fhpt_eval.synthetic.mesh import part
from fhpt_eval.synthetic.photograph import LABELS, Photograph, photograph
from fhpt_eval.synthetic.poses import KINDS, Puppet, strike, turn
from fhpt_eval.synthetic.raytrace import Bool, Hits, Paint, Samples, Scene, Surface
from fhpt_eval.synthetic.shots import VIEWS

Shot: TypeAlias = Callable[[int, str], Photograph]

SIZE = (128, 88)
SKIN, HAIR = LABELS.index("skin"), LABELS.index("hair")


@pytest.fixture(scope="module")
def shot() -> Shot:
    made: dict[tuple[int, str], Photograph] = {}

    def take(number: int, view: str) -> Photograph:
        if (number, view) not in made:
            made[number, view] = photograph(sample_identity(3, number), 0, view, 5, SIZE)
        return made[number, view]

    return take


def test_equal_arguments_give_equal_bytes(shot: Shot) -> None:
    again = photograph(sample_identity(3, 1), 0, "front", 5, SIZE)
    assert again.pixels.tobytes() == shot(1, "front").pixels.tobytes()
    assert again.body.tobytes() == shot(1, "front").body.tobytes()
    other = photograph(sample_identity(3, 1), 0, "front", 6, SIZE)
    assert (other.pixels != again.pixels).any()


def test_all_photographs_of_an_outfit_have_one_background(shot: Shot) -> None:
    """Equal but for its grain, as a shop makes them in one session; another outfit has another one."""

    def corner(taken: Photograph) -> Any:
        return taken.pixels[:20, :8].astype(float).mean(axis=1)

    one = [corner(shot(1, view)) for view in VIEWS]
    for other in one[1:]:
        assert np.abs(one[0] - other).max() < 2
    second = corner(photograph(sample_identity(3, 1), 1, "front", 5, SIZE))
    assert np.abs(one[0] - second).max() > 3


def test_a_sample_that_meets_something_else_changes_no_other_pixel(shot: Shot, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an edge that a ray meets on one processor and misses on another."""
    trace = Scene.trace

    def another_processor(scene: Scene, origins: Any, directions: Any) -> Hits:
        hits = trace(scene, origins, directions)
        (rays, samples), *others = hits.samples
        if len(rays) > 100:
            kept = np.arange(len(rays)) != 50
            samples = Samples(**{name: getattr(samples, name)[kept] for name in vars(samples)})
            return Hits(hits.surface, hits.distance, ((rays[kept], samples), *others))
        return hits

    monkeypatch.setattr(Scene, "trace", another_processor)
    taken = photograph(sample_identity(3, 1), 0, "front", 5, SIZE)
    assert (taken.pixels != shot(1, "front").pixels).any(axis=2).sum() == 1


_RENDER = """
import sys, hashlib
from fhpt_eval.synthetic.identity import sample_identity
from fhpt_eval.synthetic.photograph import photograph
for view in ("front", "full"):
    taken = photograph(sample_identity(3, 2), 0, view, 5, (128, 88))
    print(hashlib.sha256(taken.pixels.tobytes() + taken.labels.tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_maths_for_other_processors_gives_the_same_pixels(shot: Shot) -> None:
    def rendered(**settings: str) -> str:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **settings}
        return subprocess.run(  # noqa: S603
            [sys.executable, "-c", _RENDER], env=environment, capture_output=True, text=True, check=True, timeout=300
        ).stdout

    newest = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
    assert len(usual := rendered()) > 100
    assert rendered(OPENBLAS_CORETYPE="Prescott", NPY_DISABLE_CPU_FEATURES=f"{newest} AVX2 FMA3") == usual
    assert rendered(OPENBLAS_CORETYPE="Haswell", NPY_DISABLE_CPU_FEATURES=newest) == usual


@pytest.mark.parametrize("view", VIEWS)
def test_seen_joints_lie_on_the_person_and_all_are_named(shot: Shot, view: str) -> None:
    for number in (1, 2):
        taken = shot(number, view)
        assert taken.pixels.shape == (*SIZE, 3)
        assert taken.pixels.dtype == np.uint8
        assert taken.body.shape == (18, 3)
        assert taken.face.shape == (68, 3)
        assert taken.hands.shape == (2, 21, 3)
        points = np.concatenate([taken.body, taken.face, taken.hands.reshape(-1, 3)])
        seen = points[points[:, 2] == 2]
        assert len(seen) >= 10
        column, row = np.round(seen[:, :2]).astype(int).T
        person = taken.labels != 0
        near = np.lib.stride_tricks.sliding_window_view(np.pad(person, 2), (5, 5)).any(axis=(2, 3))
        assert near[np.clip(row, 0, SIZE[0] - 1), np.clip(column, 0, SIZE[1] - 1)].all()
        inside = (
            (points[:, 0] > -0.5)
            & (points[:, 0] < SIZE[1] - 0.5)
            & (points[:, 1] > -0.5)
            & (points[:, 1] < SIZE[0] - 0.5)
        )
        assert ((points[:, 2] > 0) == inside).all()
        assert set(np.unique(points[:, 2])) <= {0, 1, 2}


def test_a_face_is_seen_from_the_front_and_not_from_behind(shot: Shot) -> None:
    front, back = shot(1, "front"), shot(1, "back")
    assert (front.face[:, 2] == 2).sum() > 50
    # The corners of the jaw may be seen from behind.
    assert (back.face[:, 2] == 2).sum() <= 3
    assert (back.face[17:, 2] == 2).sum() == 0
    assert back.face_box is None
    assert front.face_box is not None
    left, top, right, bottom = front.face_box
    assert left < front.body[0, 0] < right
    assert top < front.body[0, 1] < bottom
    column, row = np.round(front.body[0, :2]).astype(int)
    assert front.labels[row, column] == SKIN


def test_left_and_right_are_the_persons_own(shot: Shot) -> None:
    """From the front the person's right shoulder and eye are at the image's left; from behind at its right."""
    front, back = shot(2, "front"), shot(2, "back")
    assert front.body[2, 0] < front.body[5, 0]
    assert front.body[14, 0] < front.body[15, 0]
    assert back.body[2, 0] > back.body[5, 0]
    # dlib's first jaw point is at the image's left of a frontal face.
    assert front.face[0, 0] < front.face[8, 0] < front.face[16, 0]
    wrists = front.hands[:, 0, :2]
    assert np.allclose(wrists[0], front.body[7, :2], atol=6)
    assert np.allclose(wrists[1], front.body[4, :2], atol=6)


def test_the_same_person_wears_the_same_colours_in_all_views(shot: Shot) -> None:
    """The median colour of the clothes differs less between views of one outfit than between outfits."""

    def worn(taken: Photograph) -> Any:
        clothes = ~np.isin(taken.labels, [0, SKIN, HAIR, LABELS.index("eyes"), LABELS.index("shoes")])
        return np.median(taken.pixels[clothes], axis=0)

    one, two = shot(1, "front"), shot(2, "front")
    assert np.abs(worn(one) - worn(shot(1, "back"))).mean() < np.abs(worn(one) - worn(two)).mean()


def test_people_are_what_their_number_says() -> None:
    assert sample_identity(1, 4) == sample_identity(1, 4)
    assert sample_identity(1, 4) != sample_identity(1, 5) != sample_identity(2, 5)
    genders = [sample_identity(0, number).gender for number in range(1, 61)]
    assert 15 < genders.count("WOMEN") < 45
    body = load_body()

    def height(build: float) -> float:
        points = body.rest(build, np.zeros(1), {}).vertices[np.unique(body.faces["body"])]
        return float(np.ptp(points[:, 2]))

    assert 1.6 < height(1) < height(-1) < 1.95


def test_changes_of_the_face_move_the_face_only() -> None:
    body = load_body()
    plain, changed = body.rest(0, np.zeros(1), {}), body.rest(0, np.zeros(1), {"nose-scale-vert-incr": 1.0})
    moved = np.linalg.norm(plain.vertices - changed.vertices, axis=1)
    assert 0.001 < moved.max() < 0.03
    assert body.mean.vertices[moved > 1e-4, 2].min() > 0.7


def test_bones_keep_their_lengths_and_skin_follows() -> None:
    body = load_body()
    rest = body.rest(0, np.zeros(1), {})
    posed = body.pose(rest, body.transforms(rest, {"root": turn("z", 90), "upperarm01.L": turn("y", 40)}))
    pairs = [("upperarm01.L", "lowerarm01.L"), ("lowerarm01.L", "wrist.L"), ("upperleg01.R", "lowerleg01.R")]
    for a, b in pairs:
        before = np.linalg.norm(rest.heads[body.bone(a)] - rest.heads[body.bone(b)])
        after = np.linalg.norm(posed.heads[body.bone(a)] - posed.heads[body.bone(b)])
        assert after == pytest.approx(before, rel=1e-6)
    # A quarter turn to the left brings the nose from before the root to the left of it.
    root = rest.heads[body.bone("root")]
    before, after = body.keypoints(rest)["nose"] - root, body.keypoints(posed)["nose"] - root
    np.testing.assert_allclose(after, [-before[1], before[0], before[2]], atol=1e-3)
    same = body.pose(rest, body.transforms(rest, {}))
    np.testing.assert_allclose(same.vertices, rest.vertices, atol=1e-3)


def posed_as(kind: str, number: int) -> dict[str, np.ndarray]:
    """Heads of the bones of a person who faces the camera."""
    body = load_body()
    identity = sample_identity(0, number)
    rest = body.rest(identity.build, np.array(identity.shape), dict(identity.changes))
    transforms = strike(body, rest, part(body, rest, "body"), kind, 0, np.random.default_rng(number))
    return dict(zip(body.bones, body.pose(rest, transforms).heads, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_hands_stay_out_of_the_trunk(kind: str) -> None:
    heads = posed_as(kind, 2)
    for side in "LR":
        away = heads[f"wrist.{side}"] - heads["spine02"]
        assert np.linalg.norm(away[:2]) > 0.12 or abs(away[2]) > 0.35


def test_poses_are_what_they_are_called() -> None:
    for number in (1, 2, 3):
        hip, walk, stand = (posed_as(kind, number) for kind in ("hand on hip", "walking", "standing"))
        near = [np.linalg.norm(hip[f"wrist.{side}"] - hip[f"upperleg01.{side}"]) for side in "LR"]
        raised = [hip[f"lowerarm01.{side}"][2] - hip[f"wrist.{side}"][2] for side in "LR"]
        chosen = int(np.argmin(raised))
        assert near[chosen] < 0.25
        stride = abs(walk["foot.L"][1] - walk["foot.R"][1])
        assert stride > 0.2
        assert stride > abs(stand["foot.L"][1] - stand["foot.R"][1])
        for side in "LR":
            assert stand[f"wrist.{side}"][2] < stand[f"lowerarm01.{side}"][2] < stand[f"upperarm01.{side}"][2]


@pytest.mark.parametrize(
    ("kind", "holds"),
    [
        ("arms crossed", lambda out, front, up: (out < 0.05).all() and (front > 0.1).all()),
        ("hands joined", lambda out, front, up: (front > 0.1).all() and (out < 0.2).all() and (up < 0.2).all()),
        ("arms behind", lambda out, front, up: (front < -0.1).all() and (out < 0.2).all()),
        ("hand at head", lambda out, front, up: up.max() > 0.65),
        ("hand at chest", lambda out, front, up: 0.2 < up.max() < 0.6 and front.max() > 0.1),
    ],
)
def test_hands_are_where_the_pose_says(kind: str, holds: Callable[..., bool]) -> None:
    """Of nearly everybody: who cannot take the pose without touching themselves lets the arms hang."""
    there = 0
    for number in range(1, 9):
        heads = posed_as(kind, number)
        wrists = np.stack([heads["wrist.L"], heads["wrist.R"]]) - heads["spine05"]
        there += bool(holds(wrists[:, 0] * [1, -1], -wrists[:, 1], wrists[:, 2]))
    assert there >= 5


def test_who_looks_back_turns_the_head_to_the_side() -> None:
    for number in (1, 2, 3):
        heads, plain = posed_as("looking back", number), posed_as("standing", number)

        def aside(posed: dict[str, np.ndarray]) -> float:
            across = posed["eye.L"] - posed["eye.R"]
            return abs(float(np.degrees(np.arctan2(across[1], across[0]))))

        assert aside(heads) > 20 > aside(plain)


def test_fingers_are_spread_by_degrees() -> None:
    body = load_body()
    rest = body.rest(0, np.zeros(1), {})

    def tips(spread: float) -> np.ndarray:
        puppet = Puppet(body, rest, 0)
        puppet.fingers("L", 0, spread)
        return body.pose(rest, body.transforms(rest, puppet.rotations)).tips

    gaps = [float(np.linalg.norm(tips(spread)[1] - tips(spread)[4])) for spread in (0, 4, 8)]
    assert gaps[0] + 0.005 < gaps[1] < gaps[2] - 0.005


def test_a_camera_projects_what_it_looks_at() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3)) * [0.3, 0.2, 0.9]
    camera = framing(points, 256, 176, 4.0, (0.05, 0.05))
    pixels = camera.project(points)
    rays = camera.directions(pixels)
    met = np.asarray(camera.eye) + rays * (points[:, [1]] - camera.eye[1])
    np.testing.assert_allclose(met, points, atol=1e-9)
    assert pixels[:, 1].min() == pytest.approx(0.05 * 256 - 0.5, abs=1) or pixels[:, 0].min() > 0
    assert ((pixels > -0.5) & (pixels < [175.5, 255.5])).all()


class _Striped:
    """Exists where x is positive."""

    def present(self, samples: Samples) -> Bool:
        return samples.template[:, 0] > 0

    def paint(self, samples: Samples) -> Paint:
        return Paint(np.zeros((len(samples.faces), 3)), samples.normal, np.zeros(len(samples.faces)))


def test_rays_pass_holes_and_stop_at_what_exists() -> None:
    square = np.array([[-1.0, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    near = Surface("near", square, square, faces, _Striped(), 1)
    behind = square + np.array([0.5, 1, 0])
    far = Surface("far", behind, behind + np.array([2, 0, 0]), faces, _Striped(), 2)
    scene = Scene([near, far])
    origins = np.array([[0.5, -3.0, 0.1], [-0.4, -3.0, 0.2], [5.0, -3.0, 0.0]])
    hits = scene.trace(origins, np.tile([0.0, 1.0, 0.0], (3, 1)))
    assert hits.surface.tolist() == [0, 1, -1]
    np.testing.assert_allclose(hits.distance[:2], [3, 4], atol=1e-3)
    rays, samples = hits.samples[1]
    np.testing.assert_allclose(samples.position, [[-0.4, 1, 0.2]], atol=1e-5)
    np.testing.assert_allclose(samples.template, [[1.6, 1, 0.2]], atol=1e-5)
    assert rays.tolist() == [1]


def test_stripes_have_their_period_and_colours() -> None:
    fabric = Fabric("striped", ((1, 1, 1), (0, 0, 0), (0, 0, 0)), 0.04, False, 1)
    along = np.array([0.001, 0.021, 0.041, 0.061])
    colours = fabric.albedo(np.zeros(4), along)
    assert colours[:, 0].tolist() == [0, 1, 0, 1]


def test_srgb_there_and_back() -> None:
    values = np.linspace(0, 0.9, 50)
    np.testing.assert_allclose(to_srgb(from_srgb(values))[values < 0.9], values[values < 0.9], atol=2e-3)
