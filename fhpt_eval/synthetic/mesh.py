"""Meshes that follow a body: parts of it, shells about it, and what is pinned to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.spatial import cKDTree

from fhpt_eval.synthetic.body import Body, Float, Index, Points, skinned
from fhpt_eval.synthetic.raytrace import vertex_normals

_PINS = 12


@dataclass(frozen=True)
class Mesh:
    """Triangles with their skin weights.

    Attributes:
        template: n×3, on the average body at rest: the coordinates in which everything is painted.
        rest: n×3, on this body at rest.
        weights: n×k, of the bones.
        bones: n×k.
        faces: F×3.
        masks: n values by name, as `Body.masks`.
    """

    template: Float
    rest: Float
    weights: Float
    bones: Index
    faces: Index
    masks: Mapping[str, Float]

    def posed(self, transforms: Float) -> Float:
        """n×3, taken along by the bones."""
        return skinned(self.rest, self.weights, self.bones, transforms)

    def inflated(self, amount: Float) -> Mesh:
        """Move outwards by ``amount`` metres (n)."""
        return replace(self, rest=self.rest + vertex_normals(self.rest, self.faces) * amount[:, None])

    def smoothed(self, rounds: int) -> Mesh:
        """Each vertex drawn towards its neighbours' average, as cloth bridges hollows."""
        n = len(self.rest)
        edges = np.concatenate([self.faces[:, [0, 1]], self.faces[:, [1, 2]], self.faces[:, [2, 0]]])
        ones = np.ones(len(edges))
        neighbours = csr_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(n, n))
        neighbours = ((neighbours + neighbours.T) > 0).astype(float)
        average = diags(1 / np.maximum(np.asarray(neighbours.sum(axis=1)).ravel(), 1)) @ neighbours
        both = np.concatenate([self.rest, self.template], axis=1)
        for _ in range(rounds):
            both = average @ both
        return replace(self, rest=both[:, :3], template=both[:, 3:])


def part(body: Body, rest: Points, surface: str) -> Mesh:
    """One of the body's surfaces by itself."""
    used, faces = np.unique(body.faces[surface], return_inverse=True)
    return Mesh(
        template=body.mean.vertices[used],
        rest=rest.vertices[used],
        weights=body.weights[used],
        bones=body.weight_bones[used],
        faces=faces.reshape(-1, 3),
        masks={name: mask[used] for name, mask in body.masks.items()},
    )


def pinned(skin: Mesh, template: Float, faces: Index) -> Mesh:
    """Pin a mesh that was drawn about the average body to the nearest points of a body's skin."""
    distance, nearest = cKDTree(skin.template).query(template, k=_PINS)
    share = 1 / (distance + 0.01) ** 2
    share /= share.sum(axis=1, keepdims=True)
    moved = skin.rest - skin.template
    bones = skin.bones[nearest].reshape(len(template), -1)
    weights = (skin.weights[nearest] * share[..., None]).reshape(len(template), -1)
    return Mesh(
        template=template,
        rest=template + np.einsum("nk,nkd->nd", share, moved[nearest]),
        weights=weights,
        bones=bones,
        faces=faces,
        masks={name: (mask[nearest] * share).sum(axis=1) for name, mask in skin.masks.items()},
    )
