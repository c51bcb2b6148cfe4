"""Mirrored pairs: pictures turned, joints swapped, drawn by the seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy_training import TINY, Noise, history, stop_after, training

from fhpt_eval.maths.keypoints import BODY_JOINTS, MIRRORED_JOINTS
from fhpt_eval.reference_models.drn import batches as reading
from fhpt_eval.reference_models.drn.batches import Batches, mirrors_of_epoch
from fhpt_eval.reference_models.drn.mirroring import mirrored

MIRRORED = replace(TINY, mirrored=True)


def test_joints_of_the_other_side_change_places() -> None:
    swapped = [BODY_JOINTS[i] for i in MIRRORED_JOINTS]
    assert swapped[:8] == [
        *("nose", "neck", "left shoulder", "left elbow", "left wrist"),
        *("right shoulder", "right elbow", "right wrist"),
    ]
    assert list(MIRRORED_JOINTS) == [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]


def test_a_mirrored_pair_is_the_pair_of_mirrored_images_with_mirrored_keypoints() -> None:
    batch = next(Batches(Noise(), "cpu")([torch.arange(4)]))
    batch["source_body"][1, 3] = torch.tensor([float("nan"), float("nan"), 0])
    which = torch.tensor([True, True, False, True])
    turned = mirrored(batch, which)
    assert turned.keys() == batch.keys()
    for role in ("source", "target"):
        for pair, turn in enumerate(which.tolist()):
            image, body = (batch[f"{role}_{what}"][pair].numpy() for what in ("image", "body"))
            if turn:
                image = image[:, ::-1]
                body = np.stack([16 - body[:, 0], body[:, 1], body[:, 2]], 1)
                left = {n: i for i, n in enumerate(BODY_JOINTS)}
                names = [n.replace("left", "?").replace("right", "left").replace("?", "right") for n in BODY_JOINTS]
                body = body[[left[n] for n in names]]
            np.testing.assert_array_equal(turned[f"{role}_image"][pair], image)
            np.testing.assert_array_equal(turned[f"{role}_body"][pair], body)


def test_faces_and_their_sketches_are_turned() -> None:
    random = torch.Generator().manual_seed(0)
    batch = {
        f"{role}_{what}": torch.rand(3, channels, 64, 64, generator=random)
        for role in ("source", "target")
        for what, channels in (("face", 3), ("sketch", 1))
    }
    turned = mirrored(batch, torch.tensor([True, False, True]))
    for name, values in batch.items():
        assert torch.equal(turned[name][1], values[1])
        assert torch.equal(turned[name][::2], values[::2].flip(-1))


def test_half_of_the_pairs_are_drawn_anew_in_each_epoch() -> None:
    drawn = [mirrors_of_epoch(1000, 0, epoch) for epoch in range(2)]
    assert all(450 < int(one.sum()) < 550 for one in drawn)
    assert not torch.equal(*drawn)
    assert torch.equal(drawn[1], mirrors_of_epoch(1000, 0, 1))
    assert not torch.equal(drawn[1], mirrors_of_epoch(1000, 1, 1))


def test_a_training_sees_them_stopped_or_not_kept_or_read_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, whole, parts = (tmp_path / name for name in ("plain", "whole", "parts"))
    training(plain).run()
    training(whole, config=MIRRORED).run()
    monkeypatch.setattr(reading, "fits", lambda *_: False)
    stop_after(training(parts, config=MIRRORED), 4)
    training(parts, config=MIRRORED).run()
    assert history(parts) == history(whole) != history(plain)
