"""Inception Score against torch-fidelity and against the formula written as a loop."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from fhpt_eval.maths.statistics import class_divergences, inception_score

Floats = npt.NDArray[np.float64]


def logits(n: int, classes: int, scale: float) -> Floats:
    rows: Floats = np.random.default_rng(n).normal(0, scale, (n, classes))
    return rows


@pytest.mark.parametrize("scale", [0.1, 3.0, 40.0])
@pytest.mark.parametrize(("n", "splits"), [(10, 10), (57, 10), (103, 1), (103, 7), (2500, 2)])
def test_score_of_each_split_is_torch_fidelitys_without_shuffling(n: int, splits: int, scale: float) -> None:
    rows = logits(n, 1008, scale)
    expected = isc_features_to_metric(torch.from_numpy(rows), splits=splits, shuffle=False)
    scores = inception_score(class_divergences(rows, splits))
    assert len(scores) == splits
    assert scores.mean() == pytest.approx(expected["inception_score_mean"], rel=1e-12)
    assert scores.std() == pytest.approx(expected["inception_score_std"], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("n", "splits"), [(4, 1), (23, 4)])
def test_score_is_exp_of_the_mean_divergence_from_the_marginal(n: int, splits: int) -> None:
    rows = logits(n, 6, 2.0)
    probabilities = [[math.exp(v) / sum(math.exp(w) for w in row) for v in row] for row in rows.tolist()]
    expected = []
    for i in range(splits):
        part = probabilities[i * n // splits : (i + 1) * n // splits]
        marginal = [sum(column) / len(part) for column in zip(*part, strict=True)]
        divergences = [sum(p * math.log(p / q) for p, q in zip(row, marginal, strict=True)) for row in part]
        expected.append(math.exp(sum(divergences) / len(divergences)))
    assert inception_score(class_divergences(rows, splits)) == pytest.approx(expected, rel=1e-12)
