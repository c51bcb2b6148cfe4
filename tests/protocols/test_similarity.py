"""Cosine similarity of features that are written down."""

from __future__ import annotations

import numpy as np
import pytest
from toys import StubRecords

from fhpt_eval.errors import UserError
from fhpt_eval.measuring.protocol import configure
from fhpt_eval.pairing.pairs import Pair, PairReport, Pairs
from fhpt_eval.protocols.similarity import Similarity, cosine
from fhpt_eval.records import Missing, Result

GONE = Missing("gone")


def features(*values: float) -> Result:
    return {"features": np.array(values, dtype=np.float32)}


def pairs(n: int) -> Pairs:
    rows = tuple(
        Pair(pair=f"p{i}", generated=None, target=None, source=None, item=None, gender=None, view=None)
        for i in range(n)
    )
    return Pairs(rows, PairReport(n), "csv")


def test_the_mean_of_the_cosines() -> None:
    generated = [features(1, 0), features(3, 4), features(1, 1), GONE]
    targets = [features(0, 2), features(6, 8), GONE, features(1, 0)]
    records = StubRecords({("generated",): generated, ("target",): targets})
    (score,) = Similarity().score(pairs(4), records)
    assert score.metric == "similarity[dinov2-vitl14]"
    assert score.value == pytest.approx(0.5, abs=1e-15)
    assert score.better == "higher"
    assert (score.n, dict(score.missing)) == (2, {"gone": 2})


def test_each_network_has_a_score_of_its_own() -> None:
    protocol = configure(Similarity, "paper", {"networks": "clip-vitb32, dinov2-vits14"})
    assert [need.extractor.id for need in protocol.needs()] == [
        *["clip"] * 2,
        *["dinov2[network=dinov2-vits14]"] * 2,
    ]
    records = StubRecords({("generated",): [features(1, 2)], ("target",): [features(1, 2)]})
    names = [score.metric for score in protocol.score(pairs(1), records)]
    assert names == ["similarity[clip-vitb32]", "similarity[dinov2-vits14]"]


def test_features_of_nothing_have_no_direction() -> None:
    assert cosine(features(0, 0), features(1, 0)) == Missing("its features are all 0, which has no direction")


@pytest.mark.parametrize(
    ("networks", "told"),
    [("dinov3", "Input should be 'dinov2-vits14'"), ("clip-vitb32,clip-vitb32", "each once"), ([], "name one or more")],
)
def test_wrong_networks_are_one_sentence(networks: object, told: str) -> None:
    with pytest.raises(UserError, match=told):
        configure(Similarity, "paper", {"networks": networks})
