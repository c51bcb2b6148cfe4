"""Search against brute force, recall against sets, chance against simulation, features against torchvision's parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.stats import hypergeom
from torchvision import models
from torchvision.transforms import functional

from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.imagenet_features import FILES, Backbone, ImageNetFeatures
from fhpt_eval.maths.ranking import Definition, Questions, Vectors, chance, rank, recall, unit_length
from fhpt_eval.records import Missing

DEFINITIONS: tuple[Definition, ...] = get_args(Definition)


def vectors(seed: int, n: int, dim: int) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(n, dim))
    return np.stack([unit_length(np.abs(row)) for row in rows])


def brute_force(queries: Vectors, gallery: Vectors, depth: int) -> list[list[int]]:
    ranking = []
    for query in queries.astype(np.float64):
        similarity = [float(np.sum(row * query)) for row in gallery.astype(np.float64)]
        ranking.append(sorted(range(len(gallery)), key=lambda i: (-similarity[i], i))[:depth])
    return ranking


@pytest.mark.parametrize(
    ("n", "m", "dim", "depth"), [(40, 300, 512, 10), (3, 50, 2048, 12), (5, 4, 16, 10), (1, 1, 8, 3)]
)
def test_search_is_that_of_brute_force(n: int, m: int, dim: int, depth: int) -> None:
    queries, gallery = vectors(1, n, dim), vectors(2, m, dim)
    assert rank(queries, gallery, depth).tolist() == brute_force(queries, gallery, depth)


def test_equal_images_stand_in_the_order_of_the_gallery_wherever_they_lie() -> None:
    # More queries than faiss needs to switch to a blocked matrix product, and copies across the blocks.
    kinds = vectors(3, 7, 1280)
    kind = np.random.default_rng(4).integers(0, 7, 2500)
    gallery, queries = kinds[kind], vectors(5, 25, 1280)
    ranking = rank(queries, gallery, 400)
    for row, best in zip(ranking, brute_force(queries, kinds, 7), strict=True):
        expected = [i for k in best for i in np.flatnonzero(kind == k)]
        assert row.tolist() == expected[:400]


def test_differences_that_float32_products_cannot_tell_are_told() -> None:
    query = vectors(6, 1, 2048)
    nudged = np.repeat(query, 60, axis=0)
    at = np.argsort(-query[0])[:60]
    # One unit in the last place of one coordinate each: 60 different similarities within 1e-7.
    nudged[np.arange(60), at] = np.nextafter(nudged[np.arange(60), at], np.float32(0))
    gallery = nudged[np.random.default_rng(7).permutation(60)]
    assert rank(query, gallery, 10).tolist() == brute_force(query, gallery, 10)


def test_length_is_one_and_a_vector_of_zeros_stays() -> None:
    row = np.array([3, 0, 4], dtype=np.float32)
    np.testing.assert_allclose(unit_length(row), [0.6, 0, 0.8], rtol=1e-7)
    np.testing.assert_array_equal(unit_length(np.zeros(3, dtype=np.float32)), np.zeros(3))


def random_questions(seed: int, n: int, m: int, widths: int) -> Questions:
    random = np.random.default_rng(seed)
    excluded = np.stack([random.permutation(m)[:widths] for _ in range(n)])
    excluded[random.random(excluded.shape) < 0.3] = -1
    return Questions(random.integers(-1, 5, n), random.integers(-1, 5, m), excluded)


@pytest.mark.parametrize("widths", [0, 1, 3])
def test_recall_is_that_of_sets(widths: int) -> None:
    n, m, k = 200, 30, 5
    questions = random_questions(8, n, m, widths)
    random = np.random.default_rng(9)
    ranking = np.stack([random.permutation(m)[: k + widths] for _ in range(n)])
    relevant, found = questions.relevant(), questions.found(ranking, k)
    measured = {kind: recall(found, np.maximum(relevant, 1), kind) for kind in DEFINITIONS}
    for i in range(n):
        barred = set(questions.excluded[i].tolist())
        left = [row for row in range(m) if row not in barred]
        right = {row for row in left if questions.gallery[row] == questions.query[i] >= 0}
        top = [row for row in ranking[i].tolist() if row not in barred][:k]
        assert questions.candidates()[i] == len(left)
        assert relevant[i] == len(right)
        assert measured["hit"][i] == bool(right & set(top))
        assert measured["fraction"][i] == len(right & set(top)) / max(len(right), 1)


def test_a_smaller_gallery_is_asked_the_same() -> None:
    questions = random_questions(10, 50, 20, 2)
    rows = np.array([0, 3, 4, 11, 19])
    smaller = questions.among(rows)
    for i in range(50):
        left = [r for r in rows.tolist() if r not in questions.excluded[i]]
        assert smaller.candidates()[i] == len(left)
        assert smaller.relevant()[i] == sum(questions.gallery[r] == questions.query[i] >= 0 for r in left)


@pytest.mark.parametrize("definition", DEFINITIONS)
@pytest.mark.parametrize(("candidates", "relevant", "k"), [(12, 3, 5), (30, 1, 3), (8, 6, 3), (4, 2, 10), (5, 5, 1)])
def test_chance_is_what_random_orders_give(definition: Definition, candidates: int, relevant: int, k: int) -> None:
    random = np.random.default_rng(11)
    trials = 20_000
    order = random.permuted(np.tile(np.arange(candidates), (trials, 1)), axis=1)
    measured = recall(order[:, :k] < relevant, np.full(trials, relevant), definition)
    (expected,) = chance(np.array([candidates]), np.array([relevant]), k, definition)
    assert measured.mean() == pytest.approx(expected, abs=4 * 0.5 / trials**0.5)


def test_chance_of_a_hit_is_the_hypergeometric_one() -> None:
    relevant = np.arange(1, 40)
    for k in (1, 3, 5, 10):
        ours = chance(np.full(39, 3144), relevant, k, "hit")
        np.testing.assert_allclose(ours, hypergeom.sf(0, 3144, relevant, k), rtol=1e-9)


def seeded(backbone: Backbone, file: Path) -> Any:
    """A network of torchvision's with random weights under which no layer dies out, stored in a file."""
    torch.manual_seed(12)
    network = models.resnet50() if backbone == "resnet50" else models.vgg16(init_weights=False)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.2, 0.6)
            assert module.running_mean is not None
            assert module.running_var is not None
            torch.nn.init.normal_(module.running_mean, 0, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    state = network.state_dict()
    # VGG-16's classifier is nine tenths of its file, and nobody reads it.
    torch.save({k: v for k, v in state.items() if backbone == "resnet50" or k.startswith("features.")}, file)
    return network.eval()


def theirs(network: Any, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    x = functional.normalize(functional.to_tensor(image), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])[None]
    with torch.inference_mode():
        if isinstance(network, models.VGG):
            vector = torch.nn.functional.adaptive_avg_pool2d(network.features(x), 1).flatten()
        else:
            network.fc = torch.nn.Identity()
            vector = network(x).flatten()
    features: npt.NDArray[np.float32] = vector.numpy()
    return features


@pytest.mark.parametrize(("backbone", "dim"), [("resnet50", 2048), ("vgg16", 512)])
def test_features_are_those_of_torchvision_at_every_size(backbone: Backbone, dim: int, tmp_path: Path) -> None:
    network = seeded(backbone, tmp_path / "weights.pth")
    extract = ImageNetFeatures(backbone=backbone).load(
        Context(weights={FILES[backbone].name: tmp_path / "weights.pth"})
    )
    random = np.random.default_rng(13)
    sizes = [(64, 48), (33, 70), (64, 48), (32, 32)]
    images = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    results = extract([*images, images[0][:31]])
    for image, result in zip(images, results, strict=False):
        expected = theirs(network, image)
        assert not isinstance(result, Missing)
        assert result["features"].dtype == np.float32
        assert result["features"].shape == expected.shape == (dim,)
        assert np.linalg.norm(expected) > 1e-3
        assert np.linalg.norm(result["features"] - expected) < 1e-5 * np.linalg.norm(expected)
    if backbone == "vgg16":
        assert results[-1] == Missing("smaller than the network's 32 pixels a side")
    else:
        assert not isinstance(results[-1], Missing)
