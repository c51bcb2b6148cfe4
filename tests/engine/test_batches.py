"""The last incomplete batch that published scripts drop, and the reference sets that they insist on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import StubRecords, write_image

from fhpt_eval import Pairs
from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.evaluation.run import Run
from fhpt_eval.extract.extractor import ImageExtractor, PairExtractor
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.maths.statistics import GaussianStats, frechet_distance
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import Protocol, Records, Results, Score, configure
from fhpt_eval.numbers import number
from fhpt_eval.pairing.pairs import Pair, PairReport, list_images
from fhpt_eval.protocols.fid import Fid
from fhpt_eval.protocols.inception_score import InceptionScore
from fhpt_eval.protocols.kid import Kid
from fhpt_eval.protocols.lpips import Lpips
from fhpt_eval.records import Missing, Record, Result, Role

NAMES = ["b.png", "e.png", "a.png", "d.png", "c.png"]
"""Generated files of five pairs whose ids have another order."""

GONE = "dropped: in the last incomplete batch of {}"


def scored(protocol: Lpips, results: Sequence[Result], names: Sequence[str] = NAMES) -> Score:
    rows = tuple(Pair(str(i), ImageRef(Path(name), name=name), None, None) for i, name in enumerate(names))
    pairs = Pairs(rows, PairReport(len(rows)), "csv")
    return protocol.score(pairs, StubRecords({("generated", "target"): results}))[0]


def distances(count: int) -> list[Record]:
    return [{"distance": np.array(float(2**i))} for i in range(count)]


@pytest.mark.parametrize(
    ("tail", "left_out"),
    [(0, ""), (1, ""), (2, "e"), (3, "de"), (4, "e"), (5, ""), (6, ""), (64, "")],
)
def test_lpips_drops_the_last_file_names_that_fill_no_batch(tail: int, left_out: str) -> None:
    score = scored(Lpips(tail=tail), distances(5))
    gone = Missing(GONE.format(tail), "not asked")
    kept = [gone if name[0] in left_out else float(2**i) for i, name in enumerate(NAMES)]
    assert list(score.per_pair) == kept
    assert score.value == np.mean([value for value in kept if not isinstance(value, Missing)])
    assert score.n == 5 - len(left_out)
    assert score.missing == ({gone.reason: len(left_out)} if left_out else {})
    assert score.faults == 0


def test_a_pair_that_is_missing_has_no_place_in_a_batch() -> None:
    results: list[Result] = [*distances(5), Missing("no target image")]
    score = scored(Lpips(tail=5), results, [*NAMES, "0.png"])
    assert score.missing == {"no target image": 1}
    assert score.n == 5


@pytest.mark.parametrize(
    ("options", "metric"),
    [
        ({}, "lpips"),
        ({"net": "vgg"}, "lpips_vgg"),
        ({"range": "0..1"}, "lpips_unnormalised"),
        ({"range": "0..1", "net": "vgg"}, "lpips_vgg_unnormalised"),
    ],
)
def test_the_name_of_lpips_says_what_it_was_fed(options: dict[str, str], metric: str) -> None:
    assert scored(configure(Lpips, "paper", options), distances(5)).metric == metric


@pytest.mark.parametrize(
    ("protocol", "profile", "options", "sentence"),
    [
        (Lpips, "embedded", {"range": "0..1"}, "range belongs to LPIPS"),
        (Fid, "embedded", {"preprocess": "pytorch-fid-2018"}, "preprocess belongs to Inception"),
        (Lpips, "paper", {"tail": -1}, r"option 'lpips\.tail' cannot be"),
        (Kid, "paper", {"tail": -1}, r"option 'kid\.tail' cannot be"),
        (Fid, "paper", {"reference": "train"}, r"option 'fid\.reference' cannot be"),
        (InceptionScore, "paper", {"preprocess": "pytorch-fid-2018"}, r"option 'is\.preprocess' cannot be"),
        (InceptionScore, "paper", {"network": "vgg16"}, r"option 'is\.network' cannot be"),
    ],
)
def test_what_makes_no_sense_is_refused(
    protocol: type[Protocol], profile: Any, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        configure(protocol, profile, options)


def features(count: int, seed: int) -> list[Record]:
    rows = np.random.default_rng(seed).normal(seed, 1, (count, 2048)).astype(np.float32)
    return [{"pool3": row} for row in rows]


class Features(Records):
    """Features by role."""

    def __init__(self, given: dict[Role, Sequence[Result]]) -> None:
        self._given = given

    def per_pair(self, extractor: ImageExtractor | PairExtractor, *roles: Role) -> Results:
        raise NotImplementedError

    def unique(self, extractor: ImageExtractor, role: Role) -> Results:
        return Results(range(len(self._given[role])), lambda i: self._given[role][i])

    def unique_groups(self, role: Role) -> list[int]:
        return list(range(len(self._given[role])))

    def reference(self) -> str:
        return "the folder given with --reference"

    @property
    def given(self) -> Given:
        return Given()


NO_PAIRS = Pairs((), PairReport(0), "csv")


def distance(x: Sequence[Record], y: Sequence[Record]) -> float:
    return frechet_distance(*(GaussianStats.of((r["pool3"] for r in rows), 2048) for rows in (x, y)))


def test_fid_drops_the_tails_of_both_sides_and_counts_them() -> None:
    generated, reference = features(11, 1), features(9, 2)
    gap = Missing("no generated image")
    records = Features({"generated": [*generated[:3], gap, *generated[3:]], "reference": reference})
    score = Fid(tail=4).score(NO_PAIRS, records)[0]
    assert score.value == pytest.approx(distance(generated[:8], reference[:8]), rel=1e-9)
    assert (score.n, score.details["reference_n"]) == (8, 8)
    assert score.missing == {
        "no generated image": 1,
        GONE.format(4): 3,
        f"reference image: {GONE.format(4)}": 1,
    }
    assert score.faults == 1
    assert score.warnings[0].startswith("fid: 8 generated and 8 reference images")


@pytest.mark.parametrize("tail", [0, 1, 3, 9, 10, 64])
def test_fid_drops_nothing_where_batches_are_full_or_larger_than_the_set(tail: int) -> None:
    records = Features({"generated": features(9, 1), "reference": features(9, 2)})
    score = Fid(tail=tail).score(NO_PAIRS, records)[0]
    assert score.value == Fid().score(NO_PAIRS, records)[0].value
    assert score.missing == {}


@pytest.mark.parametrize("options", [{}, {"subsets": 3, "subset_size": 5}])
def test_kid_drops_the_tails_of_both_sides(options: dict[str, Any]) -> None:
    generated, reference = features(11, 1), features(9, 2)
    given = Features({"generated": generated, "reference": reference})
    cut = Features({"generated": generated[:8], "reference": reference[:8]})
    score, expected = Kid(tail=4, **options).score(NO_PAIRS, given)[0], Kid(**options).score(NO_PAIRS, cut)[0]
    assert (score.value, score.interval, score.n) == (expected.value, expected.interval, expected.n)
    assert score.missing == {GONE.format(4): 3, f"reference image: {GONE.format(4)}": 1}


@pytest.mark.parametrize("options", [{}, {"subsets": 3, "subset_size": 5}])
def test_kid_times_1000_is_a_thousandfold_in_all_that_it_says_of_the_number(options: dict[str, Any]) -> None:
    records = Features({"generated": features(9, 1), "reference": features(9, 2)})
    one, many = (kid.score(NO_PAIRS, records)[0] for kid in (Kid(**options), Kid(scale="1000", **options)))
    assert one.value is not None
    assert many.value == 1000 * one.value
    assert many.interval == (None if one.interval is None else tuple(1000 * bound for bound in one.interval))
    assert many.details == {k: 1000 * v if k == "std" else v for k, v in one.details.items()}
    assert many.n == one.n
    assert Kid(scale="1000").tolerance.absolute == 1000 * Kid().tolerance.absolute
    assert Kid(scale="1000").tolerance.relative == Kid().tolerance.relative


@pytest.mark.parametrize(
    ("protocol", "metric"),
    [
        (Fid(), "fid"),
        (Kid(), "kid"),
        (Kid(scale="1000"), "kid_x1000"),
        (Fid(network="inception-v3-imagenet"), "fd_inception_v3_imagenet"),
        (Kid(network="inception-v3-imagenet", preprocess="pytorch-fid-2018"), "kd_inception_v3_imagenet"),
        (Fid(preprocess="pytorch-fid-2018"), "fd_inception_2015"),
    ],
)
def test_a_distance_of_another_network_is_called_neither_fid_nor_kid(protocol: Fid | Kid, metric: str) -> None:
    records = Features({"generated": features(4, 1), "reference": features(4, 2)})
    assert protocol.score(NO_PAIRS, records)[0].metric == metric


def run(root: Path, *protocols: Protocol, reference: Path | None = None) -> Run:
    """Seven generated images, six of them with a target."""
    if not (root / "generated").is_dir():
        for name in "abcdefg":
            write_image(root / "generated" / f"{name}.png", ord(name))
        for name in "abcdef":
            write_image(root / "target" / f"{name}.png", 1000 + ord(name))
        for name in "uvwxyz":
            write_image(root / "train" / f"{name}.png", 2000 + ord(name))
    pairs = Pairs.from_folders(root / "generated", root / "target", naming="same-name")
    with Cache(root / "cache") as cache:
        return evaluate(
            pairs,
            protocols,
            engine=open_engine("local", cache, device="cpu"),
            reference=list_images(reference) if reference else None,
        )


def embedded(**options: Any) -> tuple[Fid, Kid]:
    return Fid(network="efficientnet-lite0", **options), Kid(network="efficientnet-lite0", **options)


def values(result: Run) -> list[float | None]:
    return [score.value for score in result.scores.values()]


def test_the_reference_is_the_given_folder_the_targets_or_asked_for(tmp_path: Path) -> None:
    train = tmp_path / "train"
    targets, given = run(tmp_path, *embedded()), run(tmp_path, *embedded(), reference=train)
    assert values(targets) != values(given)
    assert values(run(tmp_path, *embedded(reference="targets"))) == values(targets)
    anyway = run(tmp_path, *embedded(reference="targets"), reference=train)
    assert values(anyway) == values(targets)
    assert [score.interval for score in anyway.scores.values()] == [score.interval for score in targets.scores.values()]
    for result in (targets, anyway):
        score = result.scores["fd_efficientnet_lite0"]
        assert score.details["reference"] == "unique targets of the evaluated pairs"
        assert score.missing == {"reference image: no target image": 1}
    assert values(run(tmp_path, *embedded(reference="given"), reference=train)) == values(given)
    asked = run(tmp_path, *embedded(reference="given")).record.protocols
    assert [p.status for p in asked] == ["unavailable", "unavailable"]
    assert all("--reference" in str(p.reason) for p in asked)


def test_tails_are_dropped_in_the_order_of_file_names(tmp_path: Path) -> None:
    fid, kid = embedded(tail=4)
    with_tails = run(tmp_path, fid, kid, reference=(tmp_path / "train"))
    assert with_tails.scores["fd_efficientnet_lite0"].missing == {
        GONE.format(4): 3,
        f"reference image: {GONE.format(4)}": 2,
    }
    for file in ("generated/e", "generated/f", "generated/g", "target/e", "target/f", "train/y", "train/z"):
        (tmp_path / f"{file}.png").unlink()
    assert values(run(tmp_path, *embedded(), reference=(tmp_path / "train"))) == values(with_tails)


class Small(Fid):
    """On features of 4 dimensions."""

    @property
    def feature(self) -> tuple[str, int]:
        return "features", 4


def rows_of(items: int, each: int, seed: int) -> list[Result]:
    random = np.random.default_rng(seed)
    return [{"features": row} for row in random.normal(size=(items * each, 4))]


def test_fid_has_an_interval_over_items_and_tells_its_value_of_endlessly_many() -> None:
    generated, reference = rows_of(40, 1, 0), rows_of(60, 1, 1)
    pairs = Pairs(
        tuple(
            Pair(pair=f"{i}", generated=ImageRef(Path(f"{i:02}.png")), target=None, source=None, item=f"{i // 2}")
            for i in range(40)
        ),
        PairReport(matched=40),
        "same-name",
    )
    records = Features({"generated": generated, "reference": reference})
    plain, infinity = Small(extrapolate=5, network="efficientnet-lite0").score(pairs, records)
    assert (plain.metric, infinity.metric) == ("fd_efficientnet_lite0", "fd_efficientnet_lite0_infinity")
    assert plain.interval is not None
    assert plain.value is not None
    assert plain.interval.low < plain.value < plain.interval.high
    assert plain.details["interval_items"] == 20
    assert infinity.value == pytest.approx(plain.value - infinity.details["bias"])
    assert infinity.value is not None
    assert infinity.interval is not None
    # As wide as that of the distance, and a little more for what the points are off the line.
    assert infinity.value - infinity.interval.low > plain.value - plain.interval.low
    assert infinity.interval.high - infinity.value > plain.interval.high - plain.value
    assert [point[:2] for point in infinity.details["points"]] == [[n, 60] for n in (20, 25, 30, 35, 40)]
    assert not plain.warnings
    (alone,) = Small(network="efficientnet-lite0").score(pairs, records)
    assert (alone.value, alone.interval) == (plain.value, plain.interval)


def test_fid_of_few_images_tells_its_bias_and_has_no_interval_of_endlessly_many() -> None:
    records = Features({"generated": rows_of(14, 1, 0), "reference": rows_of(60, 1, 1)})
    _, infinity = Small(extrapolate=2, network="efficientnet-lite0").score(NO_PAIRS, records)
    assert infinity.interval is None
    assert infinity.warnings == (
        "fd_efficientnet_lite0_infinity: 14 images are fewer than 4 times the 4 dimensions, where the line bends: the"
        " value is a rough one, mostly too large, and has no interval",
    )
    few = Features({"generated": rows_of(4, 1, 0), "reference": rows_of(60, 1, 1)})
    (plain,) = Small(network="efficientnet-lite0").score(NO_PAIRS, few)
    assert plain.details["bias"] > 0
    assert f"so few bias the value upwards, by {number(plain.details['bias'])} or more" in plain.warnings[0]
    nothing = Features({"generated": rows_of(3, 1, 0), "reference": rows_of(60, 1, 1)})
    _, infinity = Small(extrapolate=2, network="efficientnet-lite0").score(NO_PAIRS, nothing)
    assert (infinity.value, infinity.n) == (None, 0)
    assert "too few items to take half of" in infinity.missing
