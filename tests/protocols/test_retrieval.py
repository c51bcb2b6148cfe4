"""Retrieval as a protocol: what is asked, what counts, what is missing, and what the controls say."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toys import StubRecords

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.evaluate import evaluate
from fhpt_eval.extract.extractor import ImageExtractor, PairExtractor
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.maths.ranking import chance
from fhpt_eval.measuring.protocol import Results, Score, Unscorable, configure
from fhpt_eval.pairing.naming import parse_deepfashion
from fhpt_eval.pairing.pairs import Pair, PairReport, Pairs
from fhpt_eval.protocols.retrieval import Retrieval
from fhpt_eval.records import Missing, Result, Role

TEST_PAIRS = Path(__file__).resolve().parents[2] / "../shared/data/deepfashion/test_pairs.csv"


def ref(name: str) -> ImageRef:
    return ImageRef(Path(name), name=name)


def table(*rows: Pair) -> Pairs:
    return Pairs(tuple(sorted(rows, key=lambda row: row.pair)), PairReport(len(rows)), "csv")


def pair(source: str, target: str, item: str | None = None) -> Pair:
    """A pair of pictures ``a1`` and ``a2``, which show item ``a``."""
    return Pair(
        f"{source}__{target}",
        ref(f"{source}_to_{target}.png"),
        ref(f"{target}.png"),
        ref(f"{source}.png"),
        item or source[0],
        item_colour=f"{item or source[0]}/01",
        target_name=target,
        source_name=source,
    )


class Found(StubRecords):
    """Features by the name of the image; anything else is missing."""

    def __init__(self, pairs: Pairs, features: Mapping[str, Result | Sequence[float]]) -> None:
        self.pairs = pairs
        self.features = features

    def read(self, image: ImageRef | None) -> Result:
        found = self.features.get(image.name, Missing("unreadable: torn")) if image else Missing("no generated image")
        return found if isinstance(found, (Missing, Mapping)) else {"features": np.array(found, dtype=np.float32)}

    def per_pair(self, extractor: ImageExtractor | PairExtractor, *roles: Role) -> Results:
        return Results([getattr(row, roles[0]) for row in self.pairs], self.read)

    def unique(self, extractor: ImageExtractor, role: Role) -> Results:
        assert role in ("source", "target")
        return Results(self.pairs.unique(role), self.read)


def scores(pairs: Pairs, features: Mapping[str, Result | Sequence[float]], **options: Any) -> dict[str, Score]:
    protocol = configure(Retrieval, "paper", {"networks": "vgg16", **options})
    return {score.metric: score for score in protocol.score(pairs, Found(pairs, features))}


def controls(score: Score) -> dict[str, float]:
    return {name: control["value"] for name, control in score.details["controls"].items()}


# Three items with two pictures each, drawn on a circle: a near 0°, b near 90°, c near 180°.
ANGLES = {"a1": 0, "a2": 8, "b1": 85, "b2": 95, "c1": 170, "c2": 180}
ALL = table(*(pair(f"{i}{m}", f"{i}{n}") for i in "abc" for m, n in ((1, 2), (2, 1))))


def on_circle(generated: Mapping[str, float]) -> dict[str, Result | Sequence[float]]:
    angles = {f"{name}.png": float(angle) for name, angle in ANGLES.items()}
    angles |= {f"{name}.png": angle for name, angle in generated.items()}
    return {name: (np.cos(np.radians(angle)), np.sin(np.radians(angle))) for name, angle in angles.items()}


# a's images come out as they should, b1_to_b2 comes out as an a, the others as something between b and c.
GENERATED = {"a1_to_a2": 4, "a2_to_a1": 3, "b1_to_b2": 2, "b2_to_b1": 130, "c1_to_c2": 131, "c2_to_c1": 134}


def test_recall_worked_by_hand() -> None:
    found = scores(ALL, on_circle(GENERATED))
    # The nearest three: a1 a2 b1 for the three at a; b2 c1 b1 for 130° and 131°, c1 b2 c2 for 134°.
    assert found["recall@3[vgg16]"].per_pair == (1, 1, 1, 1, 1, 1)
    # Among three, b1_to_b2 sees one b of two; c1_to_c2 one c of two.
    fraction = scores(ALL, on_circle(GENERATED), recall="fraction")["recall@3[vgg16]"]
    assert fraction.per_pair == (1, 1, 1 / 2, 1, 1 / 2, 1)
    assert fraction.value == pytest.approx(5 / 6)
    assert fraction.n == 6


def test_what_was_retrieved_is_kept_for_each_pair() -> None:
    # The first pairs that show a1 a2 b1 b2 c1 c2 are 0 1 2 3 4 5.
    assert [row.pair for row in ALL] == ["a1__a2", "a2__a1", "b1__b2", "b2__b1", "c1__c2", "c2__c1"]
    found = scores(ALL, on_circle(GENERATED))
    kept = found["recall@10[vgg16]"].arrays
    assert {name: (array.dtype, array.shape) for name, array in kept.items()} == {
        "nearest": (np.dtype(np.int32), (6, 10)),
        "relevant": (np.dtype(np.bool_), (6, 10)),
    }
    # 2° is nearest to a1 (0°), a2 (8°), b1 (85°) …; 134° to c1 (170°), b2 (95°), c2 (180°) …
    assert kept["nearest"][2].tolist() == [0, 1, 2, 3, 4, 5, -1, -1, -1, -1]
    assert kept["relevant"][2].tolist() == [False, False, True, True, *[False] * 6]
    assert kept["nearest"][5].tolist()[:3] == [4, 3, 5]
    assert kept["relevant"][5].tolist()[:3] == [True, False, True]
    assert not any(score.arrays for name, score in found.items() if "@10" not in name)
    for k in (3, 5, 10):
        assert found[f"recall@{k}[vgg16]"].per_pair == tuple(kept["relevant"][:, :k].any(axis=1))


def test_what_was_retrieved_leaves_out_what_is_excluded_or_missing() -> None:
    features = on_circle(GENERATED)
    del features["a1_to_a2.png"], features["b1.png"]
    # Another pair with a1 as its source: the gallery image is still named by the first.
    rows = table(*ALL.rows, pair("a1", "b1", item="a"), replace(pair("c1", "a1", item="c"), source=None))
    assert [row.pair for row in rows][:3] == ["a1__a2", "a1__b1", "a2__a1"]
    kept = scores(rows, features, exclude="source")["recall@10[vgg16]"].arrays
    assert kept["nearest"][0].tolist() == [-1] * 10, "the query is missing"
    place = {row.pair: i for i, row in enumerate(rows)}
    # 3° with a2 excluded and b1 unreadable: a1, b2, c1, c2.
    expected = [place[name] for name in ("a1__a2", "b2__b1", "c1__c2", "c2__c1")]
    assert kept["nearest"][place["a2__a1"]].tolist() == [*expected, *[-1] * 6]
    assert kept["relevant"][place["a2__a1"]].tolist() == [True, *[False] * 9]


def test_what_is_excluded_is_not_found_and_not_counted() -> None:
    # The nearest three of 88° are b1 b2 a2; without a2, they are b1 b2 c1.
    features = on_circle({**GENERATED, "a2_to_a1": 88})
    assert scores(ALL, features)["recall@3[vgg16]"].per_pair == (1, 1, 1, 1, 1, 1)
    found = scores(ALL, features, exclude="source")["recall@3[vgg16]"]
    assert found.per_pair == (1, 0, 1, 1, 1, 1)
    assert found.details["relevant_mean"] == 1
    assert controls(found)["chance"] == pytest.approx(3 / 5)
    gone = scores(ALL, on_circle(GENERATED), exclude="source+target")["recall@3[vgg16]"]
    assert (gone.value, gone.n, gone.missing, gone.faults) == (None, 0, {"no relevant image in the gallery": 6}, 0)
    assert all(control == {"value": None, "n": 0} for control in gone.details["controls"].values())


def test_a_target_is_excluded_under_another_file_name() -> None:
    rows = [replace(row, target=ref(f"elsewhere/{row.target_name}.jpg")) for row in ALL]
    gone = scores(table(*rows), on_circle(GENERATED), exclude="source+target")["recall@3[vgg16]"]
    assert gone.missing == {"no relevant image in the gallery": 6}


def test_a_pair_whose_target_nobody_names_cannot_be_asked_without_it() -> None:
    rows = [replace(ALL.rows[0], target=None, target_name=None), *ALL.rows[1:]]
    found = scores(table(*rows), on_circle(GENERATED), exclude="source+target")["recall@3[vgg16]"]
    assert found.missing["its target is not known, so it cannot be excluded"] == 1
    assert found.faults == 1


def test_controls_are_the_ceiling_the_floor_and_copying() -> None:
    features = on_circle(dict.fromkeys(GENERATED, 270))
    # The target c1 is drawn next to a, where its own picture in the gallery does not lie.
    moved = [replace(row, target=ref("odd.png")) if row.pair == "c2__c1" else row for row in ALL]
    features["odd.png"] = (1.0, 0.0)
    found = scores(table(*moved), features, recall="fraction")["recall@3[vgg16]"]
    assert controls(found) == pytest.approx({"targets": 5 / 6, "chance": 3 / 6, "source": 1})
    assert list(found.details["controls"]) == ["targets", "chance", "source"]
    assert {control["n"] for control in found.details["controls"].values()} == {6}
    # 270° is nearest to a1, then to c2, then to a2.
    assert found.value == pytest.approx((2 * 1 + 2 * 0 + 2 / 2) / 6)


def test_a_copy_of_the_source_scores_as_the_control_for_copying() -> None:
    copied = {f"{m}_to_{n}": ANGLES[m] for m, n in (row.pair.split("__") for row in ALL)}
    for exclude in ("none", "source"):
        for score in scores(ALL, on_circle(copied), exclude=exclude, recall="fraction").values():
            assert score.value == controls(score)["source"]


def test_real_targets_given_as_generated_score_the_ceiling() -> None:
    drawn = {f"{m}_to_{n}": ANGLES[n] for m, n in (row.pair.split("__") for row in ALL)}
    for score in scores(ALL, on_circle(drawn), exclude="source").values():
        assert score.value == controls(score)["targets"]


def test_a_run_without_targets_has_no_ceiling_and_needs_none() -> None:
    protocol = Retrieval(ceiling=False)
    assert {need.roles for need in protocol.needs()} == {("generated",), ("source",)}
    rows = [replace(row, target=None, target_name=None) for row in ALL]
    found = scores(table(*rows), on_circle(GENERATED), ceiling="false")["recall@3[vgg16]"]
    assert found.value == 1
    assert set(controls(found)) == {"chance", "source"}


def test_ties_are_broken_by_file_name_whatever_the_order_of_the_pairs() -> None:
    same: dict[str, Result | Sequence[float]] = {
        image.name: (0.6, 0.8) for row in ALL for image in (row.generated, row.target, row.source) if image
    }
    # a1, a2 and b1 come first: every a finds both, every b one, no c any.
    found = scores(ALL, same, recall="fraction")["recall@3[vgg16]"]
    assert found.per_pair == (1, 1, 0.5, 0.5, 0, 0)
    backwards = Pairs(ALL.rows[::-1], ALL.report, ALL.naming)
    assert scores(backwards, same, recall="fraction")["recall@3[vgg16]"].per_pair == (0, 0, 0.5, 0.5, 1, 1)


def test_the_interval_resamples_items() -> None:
    found = scores(ALL, on_circle(GENERATED), recall="fraction")["recall@3[vgg16]"]
    assert found.interval is not None
    # The items a, b and c have 1, 3/4 and 3/4: three of them tell little.
    assert found.value == pytest.approx(5 / 6)
    assert found.interval[0] < 3 / 4
    assert found.interval[1] < 1
    assert found.details["interval_items"] == 3


def test_missing_images_are_named_and_counted() -> None:
    features = on_circle(GENERATED)
    del features["a1_to_a2.png"], features["b1.png"]
    features["c1_to_c2.png"] = Missing("smaller than the network's 32 pixels a side")
    rows = [replace(row, generated=None) if row.pair == "a2__a1" else row for row in ALL]
    found = scores(table(*rows), features)["recall@10[vgg16]"]
    assert found.missing == {
        "unreadable: torn": 1,
        "no generated image": 1,
        "smaller than the network's 32 pixels a side": 1,
        "gallery image: unreadable: torn": 1,
    }
    assert (found.n, found.faults, found.details["gallery_n"]) == (3, 4, 5)
    # b1 has no features: one pair cannot be copied, and one has no target.
    assert found.details["controls"]["source"] == {"value": 1, "n": 2}
    assert found.details["controls"]["targets"] == {"value": 1, "n": 2}


def test_a_pair_of_unknown_item_is_counted_and_its_source_stays_in_the_gallery() -> None:
    rows = [replace(row, item=None) if row.pair.startswith("a") else row for row in ALL]
    found = scores(table(*rows), on_circle(GENERATED))["recall@3[vgg16]"]
    assert (found.n, found.missing, found.faults) == (4, {"its item is not known": 2}, 2)
    assert found.details["gallery_n"] == 6


def test_colour_tells_items_apart() -> None:
    rows = [replace(row, item="same", item_colour=f"same/{row.pair[0]}") for row in ALL]
    found = scores(table(*rows), on_circle(GENERATED), label="item_colour", recall="fraction")
    assert found["recall@3[vgg16]"].value == pytest.approx(5 / 6)
    with pytest.raises(Unscorable, match=r"all 6 source images show one item, 'same', .* two or more items"):
        scores(table(*rows), on_circle(GENERATED))


def test_a_gallery_that_is_retrieved_whole_is_warned_of() -> None:
    found = scores(ALL, on_circle(GENERATED))
    (few,) = found["recall@3[vgg16]"].warnings
    assert found["recall@5[vgg16]"].warnings == (few,)
    _, warning = found["recall@10[vgg16]"].warnings
    assert (
        warning == "recall@10[vgg16]: the gallery has 6 images, so the first 10 are all of it and nothing can be missed"
    )
    assert controls(found["recall@10[vgg16]"]) == {"targets": 1, "chance": 1, "source": 1}


def test_unknown_items_cannot_be_scored() -> None:
    rows = [replace(row, item=None, item_colour=None) for row in ALL]
    with pytest.raises(Unscorable, match=r"no pair's item is known: .* an item column in --pairs"):
        scores(table(*rows), on_circle(GENERATED))
    with pytest.raises(Unscorable, match=r"no pair's item and colour are known: .*retrieval\.label=item"):
        scores(table(*(replace(row, item="x") for row in rows)), on_circle(GENERATED), label="item_colour")


def test_a_source_of_two_items_cannot_be_scored() -> None:
    rows = [*ALL.rows, pair("a1", "b1", item="b")]
    with pytest.raises(Unscorable, match=r"source 'a1\.png' stands in pairs of two items, 'a' and 'b', .* fix"):
        scores(table(*rows), on_circle(GENERATED))


def test_a_gallery_without_any_usable_image_cannot_be_scored() -> None:
    with pytest.raises(Unscorable, match=r"none of the 6 source images can be searched \(unreadable: torn\): check"):
        scores(ALL, {})


def test_networks_are_named_in_text_and_in_the_metrics() -> None:
    assert [name for name in Retrieval.metrics if "@5" in name] == ["recall@5[resnet50]", "recall@5[vgg16]"]
    both = configure(Retrieval, "paper", {"networks": "vgg16, efficientnet_lite0"})
    assert both.networks == ("vgg16", "efficientnet_lite0")
    assert both.parameters()["networks"] == "vgg16,efficientnet_lite0"
    assert configure(Retrieval, "paper", both.parameters()) == both
    assert list(scores(ALL, on_circle(GENERATED), networks=both.networks)) == [
        f"recall@{k}[{network}]" for network in both.networks for k in (3, 5, 10)
    ]
    embedded = configure(Retrieval, "embedded", {})
    assert {need.extractor.name for need in embedded.needs()} == {"efficientnet-lite0"}


@pytest.mark.parametrize("networks", ["", "vgg16,vgg16", "resnet18"])
def test_networks_that_are_not_there_are_refused(networks: str) -> None:
    with pytest.raises(UserError, match=r"'retrieval(\.networks)?'"):
        configure(Retrieval, "paper", {"networks": networks})


@pytest.fixture(scope="module")
def deepfashion() -> Pairs:
    if not TEST_PAIRS.is_file():
        pytest.skip("the field's list of test pairs is not here")
    rows = []
    with TEST_PAIRS.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            source, target = parse_deepfashion(line["from"]), parse_deepfashion(line["to"])
            assert source is not None
            assert target is not None
            name = f"{source.flat_name}__{target.flat_name}"
            rows.append(
                Pair(
                    name,
                    ref(f"{name}.png"),
                    ref(line["to"]),
                    ref(line["from"]),
                    target.item,
                    target.item_colour,
                    target_name=target.flat_name,
                    source_name=source.flat_name,
                )
            )
    return table(*rows)


@pytest.mark.parametrize(
    ("label", "mean", "least", "most", "left_out", "floor"),
    [
        ("item", 4.67, 2, 16, 124, (0.0044, 0.0074, 0.0147)),
        ("item_colour", 3.88, 2, 5, 136, (0.0037, 0.0062, 0.0123)),
    ],
)
def test_counts_on_the_fields_list_of_test_pairs(
    deepfashion: Pairs, label: str, mean: float, least: int, most: int, left_out: int, floor: tuple[float, ...]
) -> None:
    asked = configure(Retrieval, "paper", {"label": label}).questions(deepfashion)
    relevant = asked.relevant()
    assert (len(relevant), len(asked.gallery), set(asked.candidates())) == (8570, 3144, {3144})
    assert round(float(relevant.mean()), 2) == mean
    assert (relevant.min(), relevant.max()) == (least, most)
    for k, expected in zip((3, 5, 10), floor, strict=True):
        assert chance(asked.candidates(), relevant, k, "hit").mean() == pytest.approx(expected, abs=5.1e-5)
    without = configure(Retrieval, "paper", {"label": label, "exclude": "source+target"}).questions(deepfashion)
    assert set(without.candidates()) == {3142}
    np.testing.assert_array_equal(without.relevant(), relevant - 2)
    assert (without.relevant() == 0).sum() == left_out


def test_a_run_on_pictures_finds_the_garment_by_the_embedded_network(own_folders: Path) -> None:
    random = np.random.default_rng(0)
    lines = ["generated,target,source,item"]
    for item, colour in (("red", (200, 30, 30)), ("blue", (30, 30, 200)), ("green", (20, 160, 40))):
        for shot in (1, 2):
            for folder in ("generated", "real"):
                noisy = np.clip(random.normal(colour, 12, (64, 48, 3)), 0, 255).astype(np.uint8)
                (own_folders / folder).mkdir(exist_ok=True)
                Image.fromarray(noisy).save(own_folders / folder / f"{item}{shot}.png")
            lines.append(f"{item}{shot}.png,{item}{shot}.png,{item}{3 - shot}.png,{item}")
    (own_folders / "pairs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    real = own_folders / "real"
    pairs = Pairs.from_csv(own_folders / "pairs.csv", own_folders / "generated", real, real)
    with Cache(own_folders / "cache") as cache:
        protocol = configure(Retrieval, "embedded", {"exclude": "source", "recall": "fraction"})
        run = evaluate(pairs, [protocol], engine=open_engine("local", cache, workers=1), output=own_folders / "run")
    score = run.scores["recall@3[efficientnet_lite0]"]
    assert (score.value, score.n, score.missing, run.exit_code) == (1, 6, {}, 0)
    assert score.details["controls"] == {
        "targets": {"value": 1.0, "n": 6},
        "chance": {"value": pytest.approx(3 / 5), "n": 6},
        "source": {"value": 1.0, "n": 6},
    }
