"""Keypoint error curves and PCKh against SciPy, exact integration and a loop over the field's annotation convention."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.spatial import distance as scipy_distance

from fhpt_eval.maths.keypoints import (
    BODY_JOINTS,
    FACE_POINTS,
    HAND_POINTS,
    HANDS_POINTS,
    HEAD_JOINTS,
    areas,
    errors,
    errors_by_axis,
    found,
    hand_size,
    head_box,
    head_size,
    interocular_distance,
    share_within,
)

Array = npt.NDArray[Any]

distances = st.lists(st.one_of(st.integers(0, 40).map(lambda n: n / 4), st.just(float("inf"))), min_size=1, max_size=30)


def body(rng: np.random.Generator, lacking: float = 0.3) -> Array:
    """Eighteen points at whole pixels away from the border, some of them not found."""
    points = np.column_stack([rng.integers(20, 60, (18, 2)), rng.uniform(0.5, 1, 18)]).astype(np.float32)
    points[rng.random(18) < lacking] = (np.nan, np.nan, 0)
    return points


def test_the_layouts_have_their_sizes_and_no_name_twice() -> None:
    for names, count in ((BODY_JOINTS, 18), (FACE_POINTS, 68), (HAND_POINTS, 21), (HANDS_POINTS, 42)):
        assert len(set(names)) == len(names) == count
    assert HEAD_JOINTS == (0, 1, 14, 15, 16, 17)


@settings(max_examples=60, deadline=None)
@given(distances)
def test_the_curve_is_scipys_distribution_function_from_the_left(values: list[float]) -> None:
    anchors = np.arange(0, 12, 0.25)
    beyond = np.minimum(values, 1e9)  # SciPy takes finite values only
    expected = scipy_stats.ecdf(beyond).cdf.evaluate(np.nextafter(anchors, -np.inf))
    np.testing.assert_allclose(share_within(values, anchors), expected, rtol=0, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(distances, st.integers(1, 40))
def test_the_mean_area_is_the_exact_integral_of_the_curve(values: list[float], quarters: int) -> None:
    limit = Fraction(quarters, 4)
    inside = sorted({Fraction(v) for v in values if v < limit} | {Fraction(0), limit})
    integral = sum(
        (b - a) * Fraction(sum(v <= a for v in values), len(values)) for a, b in pairwise(inside)
    )  # between two distances P(α) is the share of those at the left end or before
    assert areas(values, float(limit)).mean() == pytest.approx(float(integral / limit), abs=1e-14)


def test_a_curve_worked_by_hand() -> None:
    values = [0, 1, 1, 3, np.inf]
    np.testing.assert_array_equal(
        share_within(values, [0, 0.5, 1, 1.5, 3, 100]), [0, 1 / 5, 1 / 5, 3 / 5, 3 / 5, 4 / 5]
    )
    # ∫₀⁴ P = 1·1/5 + 2·3/5 + 1·4/5 = 11/5
    assert areas(values, 4).mean() == pytest.approx(float(Fraction(11, 5) / 4), abs=1e-15)


def test_there_is_no_curve_without_distances_or_through_nan() -> None:
    with pytest.raises(ValueError, match="at least one distance"):
        share_within([], [1])
    for curve in (share_within, areas):
        with pytest.raises(ValueError, match="NaN"):
            curve([1.0, np.nan], [1])


@pytest.mark.parametrize("seed", range(5))
def test_errors_are_scipys_distances_with_misses_and_absences_told_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    generated, target = body(rng), body(rng)
    got = errors(generated, target)
    for g, t, d in zip(generated, target, got, strict=True):
        if t[2] == 0:
            assert np.isnan(d)
        elif g[2] == 0:
            assert d == np.inf
        else:
            assert d == pytest.approx(scipy_distance.euclidean(g[:2].astype(float), t[:2].astype(float)), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_errors_ignore_where_the_person_stands_and_grow_with_the_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    generated, target = body(rng), body(rng)
    moved, scaled = np.array([7, -3, 0], np.float32), np.array([4, 4, 1], np.float32)
    np.testing.assert_array_equal(errors(generated + moved, target + moved), errors(generated, target))
    np.testing.assert_array_equal(errors(generated * scaled, target * scaled), 4 * errors(generated, target))
    assert head_size(target * scaled) == pytest.approx(4 * head_size(target), nan_ok=True)


def test_scales_worked_by_hand() -> None:
    nothing = np.zeros((18, 3), np.float32)
    head = nothing.copy()
    head[[0, 1]] = [[10, 10, 1], [40, 50, 0.5]]
    head[5] = [500, 500, 1]  # a shoulder is no part of the head
    assert head_box(head) == (30, 40)
    assert head_size(head) == pytest.approx(float(Fraction(6, 10) * 50))
    assert head_box(nothing) is None
    assert np.isnan(head_size(nothing))
    face = np.zeros((68, 3), np.float32)
    face[[36, 45]] = [[5, 5, 1], [10, 17, 1]]
    assert interocular_distance(face) == 13
    face[45, 2] = 0
    assert np.isnan(interocular_distance(face))
    hand = np.zeros((21, 3), np.float32)
    hand[:3] = [[1, 1, 1], [4, 9, 1], [2, 3, 1]]
    assert hand_size(hand) == 8
    assert np.isnan(hand_size(hand[:1]))


def field_pckh(generated: Array, target: Array) -> tuple[int, int] | None:
    """The documented rule of PATN's script, on its convention: lists of y and x, −1 for missing."""
    px, py = ([-1 if p[2] == 0 else int(p[k]) for p in generated] for k in (0, 1))
    tx, ty = ([-1 if p[2] == 0 else int(p[k]) for p in target] for k in (0, 1))
    head = [j for j in (0, 1, 14, 15, 16, 17) if tx[j] != -1]
    if len(head) < 2:
        return None
    w = max(tx[j] for j in head) - min(tx[j] for j in head)
    h = max(ty[j] for j in head) - min(ty[j] for j in head)
    counted = [j for j in range(18) if tx[j] != -1]
    right = [j for j in counted if px[j] != -1 and 2 * abs(px[j] - tx[j]) < w and 2 * abs(py[j] - ty[j]) < h]
    return len(right), len(counted)


def test_the_box_rule_counts_what_the_fields_script_counts() -> None:
    rng = np.random.default_rng(0)
    skipped = partly = 0
    for _ in range(300):
        generated, target = body(rng, 0.5), body(rng, 0.5)
        near = rng.random(18) < 0.5
        generated[near, :2] = target[near, :2] + rng.integers(-12, 13, (int(near.sum()), 2))
        generated[near, 2] = target[near, 2]
        expected = field_pckh(generated, target)
        box = head_box(target)
        if expected is None:
            assert box is None
            skipped += 1
            continue
        assert box is not None
        right = (errors_by_axis(generated, target) < np.array(box) / 2).all(axis=1)
        assert (int(right.sum()), int(found(target).sum())) == expected
        partly += 0 < expected[0] < expected[1]
    assert skipped > 5
    assert partly > 100
