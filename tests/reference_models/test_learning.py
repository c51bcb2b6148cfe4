"""The whole network learns: in the `small` size it draws eight pairs by heart. LOOK_AT=FOLDER keeps the picture."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import drn_figures as figures
import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import default_collate

from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0
from fhpt_eval.extract.feature_maps import build_feature_maps
from fhpt_eval.extract.weights import Store
from fhpt_eval.generation.generate import list_requests
from fhpt_eval.people.detection import Person, person_in_files
from fhpt_eval.people.keypoint_files import KeypointFiles
from fhpt_eval.records import Missing
from fhpt_eval.reference_models.drn.config import named_config
from fhpt_eval.reference_models.drn.journal import grid
from fhpt_eval.reference_models.drn.samples import BodyPairs
from fhpt_eval.reference_models.drn.updates import BodyUpdates

ITERATIONS = 300


def person(files: KeypointFiles, name: str) -> Person:
    found = person_in_files(files, name)
    assert not isinstance(found, Missing)
    return found


def test_the_full_network_overfits_eight_pairs(tmp_path: Path) -> None:
    images, pairs, keypoints = figures.write(tmp_path, identities=2, poses=3)
    files = KeypointFiles.at(keypoints)
    requests = [
        replace(r, source_person=person(files, r.source.name), target_person=person(files, r.target_name))
        for r in list_requests(pairs, images, images, tmp_path / "out").requests
    ]
    assert len(requests) == 8
    batch = default_collate([BodyPairs(requests, (figures.HEIGHT, figures.WIDTH))[i] for i in range(8)])
    # Half the size, 32×24, for the two cores of CI.
    for role in ("source", "target"):
        whole = batch[f"{role}_image"].permute(0, 3, 1, 2).float()
        batch[f"{role}_image"] = functional.avg_pool2d(whole, 2).round().byte().permute(0, 2, 3, 1)
        batch[f"{role}_body"][..., :2] /= 2
    weights = Store(offline=True).find(EFFICIENTNET_LITE0)
    assert weights is not None
    config = replace(named_config(size="small"), learning_rate=2e-3, discriminator_steps=1)
    torch.manual_seed(0)
    updates = BodyUpdates(config, build_feature_maps("efficientnet_lite0", weights, "cpu"), "cpu")
    losses = []
    for step in range(ITERATIONS):
        updates.set_learning_rate(config.learning_rate * min(1, 2 * (1 - step / ITERATIONS)))
        losses.append(updates.step(batch))
    first, last = (float(parts["refined/reconstruction"]) for parts in (losses[0], losses[-1]))
    if folder := os.environ.get("LOOK_AT"):
        columns = [functional.interpolate(column, scale_factor=4) for column in updates.pictures(batch).values()]
        Image.fromarray(grid(columns)).save(Path(folder) / "overfit.png")
    assert last < first / 10
