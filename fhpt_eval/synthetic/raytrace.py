"""Surfaces that may have holes, and which of their points a camera sees: rays through Embree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fhpt_eval.synthetic.body import Float, Index

Bool = npt.NDArray[np.bool_]

_LAYERS = 24
"""How many holes a ray may pass."""
_STEP = 2e-5
"""Metres by which a ray goes on behind a point."""


@dataclass(frozen=True)
class Samples:
    """Points of one surface that rays met.

    Attributes:
        faces: n×3, the vertices of the triangle of each point, in the surface's own numbering.
        weights: n×3, barycentric.
        template: n×3, in the average body's coordinates.
        normal: n×3, unit, towards the camera.
        position: n×3, in the posed scene.
        template_edges: n×2×3, two edges of each triangle on the average body.
        edges: n×2×3, the same edges in the posed scene.
    """

    faces: Index
    weights: Float
    template: Float
    normal: Float
    position: Float
    template_edges: Float
    edges: Float

    def carry(self, directions: Float) -> Float:
        """Bring directions (n×3) from the template to the posed scene, within the surface; unit length."""
        a, b = self.template_edges[:, 0], self.template_edges[:, 1]
        aa, ab, bb = _dot(a, a), _dot(a, b), _dot(b, b)
        da, db = _dot(directions, a), _dot(directions, b)
        scale = 1 / np.maximum(aa * bb - ab * ab, 1e-18)
        first, second = (da * bb - db * ab) * scale, (db * aa - da * ab) * scale
        return unit(first[:, None] * self.edges[:, 0] + second[:, None] * self.edges[:, 1])

    def interpolate(self, values: Float) -> Float:
        """Bring values of the surface's vertices to the points."""
        return np.asarray(np.einsum("nk,nk...->n...", self.weights, values[self.faces]))


@dataclass(frozen=True)
class Paint:
    """How points look.

    Attributes:
        albedo: n×3, linear RGB.
        normal: n×3, unit; the samples' own, or rippled.
        gloss: n, strength of the highlight.
        blood: How far light travels under the surface: 0 cloth, 1 skin.
    """

    albedo: Float
    normal: Float
    gloss: Float
    blood: float = 0.0


class Material(Protocol):
    """What a surface is made of."""

    def present(self, samples: Samples) -> Bool:
        """Tell which points exist; the others are holes."""

    def paint(self, samples: Samples) -> Paint:
        """Colour the points."""


@dataclass(frozen=True)
class Surface:
    """A triangle mesh.

    Attributes:
        name: Of what it shows: ``skin``, ``hair``, ``top`` …
        vertices: V×3, posed.
        template: V×3, the same vertices on the average body at rest.
        faces: F×3.
        material: What it is made of.
        label: The class of its pixels in the masks.
    """

    name: str
    vertices: Float
    template: Float
    faces: Index
    material: Material
    label: int


@dataclass(frozen=True)
class Hits:
    """What a bundle of rays met.

    Attributes:
        surface: n, index of the surface, −1 where there is none.
        distance: n, along the rays.
        samples: For each surface, the rays that met it and their points.
    """

    surface: Index
    distance: Float
    samples: tuple[tuple[Index, Samples], ...]


class Scene:
    """Surfaces, ready for rays."""

    def __init__(self, surfaces: Sequence[Surface]) -> None:
        # As Embree has them: single precision also takes away what processors do differently in the last bits.
        surfaces = [replace(s, vertices=s.vertices.astype(np.float32).astype(float)) for s in surfaces]
        self.surfaces = tuple(surfaces)
        self._normals = [vertex_normals(s.vertices, s.faces) for s in surfaces]
        there = [self._exist(i) for i in range(len(surfaces))]
        corners = [there[i][s.faces].sum(axis=1) for i, s in enumerate(surfaces)]
        self._solids = self._embree([s.faces[n == 3] for s, n in zip(surfaces, corners, strict=True)])
        self.surfaces = tuple(replace(s, faces=s.faces[n > 0]) for s, n in zip(surfaces, corners, strict=True))
        self._offsets = np.cumsum([0, *(len(s.faces) for s in self.surfaces)])
        self._all = self._embree([s.faces for s in self.surfaces])
        self._corners = np.concatenate([s.vertices[s.faces] for s in self.surfaces])

    def trace(self, origins: Float, directions: Float) -> Hits:
        """Find the first existing point on each ray (n×3 and n×3)."""
        count = len(origins)
        distance = np.zeros(count)
        surface = np.full(count, -1)
        triangle = np.full(count, -1)
        uv = np.zeros((count, 2))
        open_rays = np.arange(count)
        start = np.asarray(origins, dtype=np.float32)
        directions = np.asarray(directions, dtype=np.float32)
        for _ in range(_LAYERS):
            hit = self._all.run(start, directions[open_rays], query="INTERSECT", output=True)
            met = hit["primID"] >= 0
            open_rays, start = open_rays[met], start[met]
            primitive = hit["primID"][met]
            if not len(open_rays):
                break
            step, uv[open_rays] = _meet(start, directions[open_rays], self._corners[primitive])
            distance[open_rays] += step
            triangle[open_rays] = primitive
            owner = np.searchsorted(self._offsets, primitive, side="right") - 1
            there = np.zeros(len(open_rays), dtype=bool)
            for i in np.unique(owner):
                rows = np.flatnonzero(owner == i)
                rays = open_rays[rows]
                samples = self._samples(i, triangle[rays], uv[rays], directions[rays])
                there[rows] = self.surfaces[i].material.present(samples)
            surface[open_rays[there]] = owner[there]
            distance[open_rays] += np.where(there, 0, _STEP)
            start = (start + directions[open_rays] * (step + _STEP)[:, None])[~there].astype(np.float32)
            open_rays = open_rays[~there]
        found = []
        for i in range(len(self.surfaces)):
            rays = np.flatnonzero(surface == i)
            found.append((rays, self._samples(i, triangle[rays], uv[rays], directions[rays])))
        return Hits(surface, distance, tuple(found))

    def blocked(self, origins: Float, directions: Float) -> Bool:
        """Tell which rays meet something solid; holes count to a triangle."""
        result = self._solids.run(origins.astype(np.float32), directions.astype(np.float32), query="OCCLUDED")
        return np.asarray(result) >= 0

    def _samples(self, i: int, triangle: Index, uv: Float, directions: Float) -> Samples:
        surface = self.surfaces[i]
        faces = surface.faces[triangle - self._offsets[i]]
        weights = np.column_stack([1 - uv.sum(axis=1), uv])
        normal = unit(np.einsum("nk,nkd->nd", weights, self._normals[i][faces]))
        towards = np.einsum("nd,nd->n", normal, directions) > 0
        normal[towards] *= -1
        template, posed = surface.template[faces], surface.vertices[faces]
        return Samples(
            faces=faces,
            weights=weights,
            template=np.einsum("nk,nkd->nd", weights, template),
            normal=normal,
            position=np.einsum("nk,nkd->nd", weights, posed),
            template_edges=template[:, 1:] - template[:, :1],
            edges=posed[:, 1:] - posed[:, :1],
        )

    def _exist(self, i: int) -> Bool:
        """Which vertices of a surface exist."""
        surface = self.surfaces[i]
        own = np.arange(len(surface.vertices))
        edges = np.zeros((len(own), 2, 3))
        weights = np.tile([1.0, 0.0, 0.0], (len(own), 1))
        samples = Samples(
            np.column_stack([own] * 3), weights, surface.template, self._normals[i], surface.vertices, edges, edges
        )
        return surface.material.present(samples)

    def _embree(self, faces: Sequence[Index]) -> Any:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        scene = EmbreeScene()
        starts = np.cumsum([0, *(len(s.vertices) for s in self.surfaces)])
        vertices = np.concatenate([s.vertices for s in self.surfaces]).astype(np.float32)
        indices = np.concatenate([f + start for f, start in zip(faces, starts, strict=False)]).astype(np.int32)
        TriangleMesh(scene, vertices, indices)
        return scene


def _meet(origins: Float, directions: Float, corners: Float) -> tuple[Float, Float]:
    """Return how far rays go until the planes of their triangles (n×3×3), and where they meet (n×2, barycentric).

    Embree's own answers have its precision, and other last bits on other processors; of them only the triangle counts.
    """
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    from_corner = origins - corners[:, 0]
    across, aside = np.cross(directions, second), np.cross(from_corner, first)
    share = _dot(first, across)
    scale = 1 / np.where(np.abs(share) < 1e-18, 1e-18, share)
    u, v = _dot(from_corner, across) * scale, _dot(directions, aside) * scale
    return _dot(second, aside) * scale, np.clip(np.column_stack([u, v]), -0.01, 1.01)


def _dot(a: Float, b: Float) -> Float:
    return np.asarray(np.einsum("nd,nd->n", a, b))


def vertex_normals(vertices: Float, faces: Index) -> Float:
    """Return unit normals of the vertices, weighted by the area of the triangles about them."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    summed = np.zeros_like(vertices, dtype=float)
    for k in range(3):
        for axis in range(3):
            summed[:, axis] += np.bincount(faces[:, k], across[:, axis], minlength=len(vertices))
    return unit(summed)


def unit(vectors: Float) -> Float:
    """Scale to length 1; zero stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12))
