"""Fix dlib's 68 landmarks to the body's skin: a tool of the developers, `python -m …build_landmarks`.

dlib looks at large, frontal, bald renders of many people; the rays through what it finds meet the skin at template
points, whose median over the people, made symmetric, is the landmark. So "truth" is where dlib sees a landmark under
the best conditions, carried by the surface to all others.
"""

from __future__ import annotations

import sys
from pathlib import Path

import face_recognition.api as dlib_faces
import numpy as np

from fhpt_eval.files.tensors import dump, parse
from fhpt_eval.synthetic.body import Float, load_body
from fhpt_eval.synthetic.camera import framing
from fhpt_eval.synthetic.identity import sample_identity
from fhpt_eval.synthetic.light import Studio, shade, to_srgb
from fhpt_eval.synthetic.mesh import part
from fhpt_eval.synthetic.raytrace import Hits, Scene, Surface, unit
from fhpt_eval.synthetic.skin import Eyes, Skin

_PEOPLE = 40
_SIZE = 400
_MIRROR = (
    *(16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 27, 28, 29, 30),
    *(35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56),
    *(55, 64, 63, 62, 61, 60, 67, 66, 65),
)


def build(path: Path) -> None:
    """Add the landmarks to ``body.safetensors``."""
    tensors, card = parse(path.read_bytes())
    if card is None:
        raise ValueError("it has no card")
    found = [points for number in range(1, _PEOPLE + 1) if (points := _template_points(number)) is not None]
    print(f"dlib saw {len(found)} of {_PEOPLE} faces")
    middle = np.nanmedian(np.stack(found), axis=0)
    mirrored = middle[list(_MIRROR)] * [-1, 1, 1]
    points = (middle + mirrored) / 2
    body = load_body()
    skin = part(body, body.mean, "body")
    corners, weights = [], []
    used = np.unique(body.faces["body"])
    for point in points:
        face, weight = _nearest(point, skin.template[skin.faces])
        corners.append(used[skin.faces[face]])
        weights.append(weight)
    tensors["landmark.corners"] = np.stack(corners).astype(np.uint16)
    tensors["landmark.weights"] = np.stack(weights).astype(np.float32)
    path.write_bytes(dump(tensors, card | {"landmarks": "python -m fhpt_eval.synthetic.build_landmarks"}))


def _template_points(number: int) -> Float | None:
    """68×3 template points of a person, NaN where the ray misses."""
    identity = sample_identity(7, number)
    body = load_body()
    rest = body.rest(identity.build, np.array(identity.shape), {**dict(identity.changes), "smile": 0.0})
    skin, eyes = part(body, rest, "body"), part(body, rest, "eyes")
    surfaces = [
        Surface("skin", skin.rest, skin.template, skin.faces, Skin(skin, identity.complexion, ()), 1),
        Surface("eyes", eyes.rest, eyes.template, eyes.faces, Eyes(identity.complexion.iris), 9),
    ]
    scene = Scene(surfaces)
    head = skin.rest[(skin.template[:, 2] > 0.69) & (skin.masks["head"] > 0.5)]
    camera = framing(head, _SIZE, _SIZE, 3.0, (0.15, 0.15))
    row, column = np.indices((_SIZE, _SIZE)).reshape(2, -1)
    eye = np.asarray(camera.eye)
    image = np.full((_SIZE * _SIZE, 3), 0.8)
    hits = _cast(scene, eye, camera.directions(np.column_stack([column, row]).astype(float)))
    studio = Studio(tuple(unit(np.array([-0.2, -1.0, 0.6])).tolist()), 0.5, (0.8, 0.8, 0.8), (0.8, 0.8, 0.8))
    lots = np.random.default_rng(0).random((len(image), 2))
    for surface, (rays, samples) in zip(surfaces, hits.samples, strict=True):
        image[rays] = shade(scene, samples, surface.material.paint(samples), studio, eye, lots[rays])
    pixels = np.round(np.clip(to_srgb(image), 0, 1) * 255).astype(np.uint8).reshape(_SIZE, _SIZE, 3)
    boxes = dlib_faces.face_detector(pixels, 1)
    if len(boxes) != 1:
        return None
    shape = dlib_faces.pose_predictor_68_point(pixels, boxes[0])
    seen = np.array([(p.x, p.y) for p in shape.parts()], dtype=float)
    # The outline of the jaw lies on the silhouette: a little inwards there is skin.
    inner = seen[30] + (seen[:17] - seen[30]) * 0.965
    met = _cast(scene, eye, camera.directions(np.concatenate([inner, seen[17:]])))
    points = np.full((68, 3), np.nan)
    rays, samples = met.samples[0]
    points[rays] = samples.template
    return points


def _cast(scene: Scene, eye: Float, directions: Float) -> Hits:
    return scene.trace(np.tile(eye, (len(directions), 1)), directions)


def _nearest(point: Float, triangles: Float) -> tuple[int, Float]:
    """Return the triangle nearest to a point, and barycentric weights of its nearest point there."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    near = np.argsort(np.linalg.norm(triangles.mean(axis=1) - point, axis=1))[:40]
    best, chosen, weight = np.inf, 0, np.full(3, 1 / 3)
    for i in near:
        edges = np.column_stack([b[i] - a[i], c[i] - a[i]])
        uv = np.clip(np.linalg.lstsq(edges, point - a[i], rcond=None)[0], 0, 1)
        uv = uv / max(1.0, uv.sum())
        distance = float(np.linalg.norm(a[i] + edges @ uv - point))
        if distance < best:
            best, chosen, weight = distance, int(i), np.array([1 - uv.sum(), *uv])
    return chosen, weight


if __name__ == "__main__":
    build(Path(sys.argv[1]))
