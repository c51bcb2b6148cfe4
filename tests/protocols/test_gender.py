"""The gender protocol and its classifier: worked by hand, against a plain loop, and on files that cannot be used."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torchvision import models
from torchvision.transforms import functional
from toys import StubRecords

from fhpt_eval.errors import UserError
from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0, EfficientNetLite0
from fhpt_eval.extract.extractor import Context
from fhpt_eval.extract.gender_classifier import (
    FORMAT,
    NO_PERSON,
    TOO_SMALL,
    UNKNOWN_GENDER,
    VERSION,
    ClassifierNetwork,
    GenderClassifier,
    read_checkpoint,
    shapes,
)
from fhpt_eval.extract.gender_network import LinearClassifier, Vgg16Classifier, arrays_of
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.given import GivenFile
from fhpt_eval.files.tensors import Card, dump, parse
from fhpt_eval.measuring.given import Given
from fhpt_eval.measuring.protocol import Score, Unscorable, configure
from fhpt_eval.pairing.naming import Gender as Label
from fhpt_eval.pairing.pairs import Pair, PairReport, Pairs
from fhpt_eval.protocols.gender import Gender
from fhpt_eval.records import Missing, Result

NO_IMAGE = Missing("no generated image")


def pair(gender: Label | None, item: str, view: str | None = "front") -> Pair:
    return Pair(pair="", generated=None, target=None, source=None, item=item, gender=gender, view=view)


def score_all(
    rows: Sequence[Pair],
    generated: Sequence[float | Missing],
    target: Sequence[float | Missing] | None = None,
    protocol: Gender | None = None,
) -> dict[str, Score]:
    def results(values: Sequence[float | Missing]) -> list[Result]:
        return [v if isinstance(v, Missing) else {"score": np.array(v, dtype=np.float32)} for v in values]

    named = tuple(replace(row, pair=f"p{i}") for i, row in enumerate(rows))
    records = StubRecords({("generated",): results(generated), ("target",): results(target or generated)})
    scores = (protocol or Gender()).score(Pairs(named, PairReport(len(named)), "csv"), records)
    return {score.metric: score for score in scores}


def controls(score: Score) -> dict[str, tuple[float | None, int]]:
    return {name: (about["value"], about["n"]) for name, about in score.details["controls"].items()}


# The protocol, on scores written down


def test_errors_worked_by_hand() -> None:
    rows = [pair("MEN", "a"), pair("MEN", "a"), pair("WOMEN", "b"), pair("WOMEN", "c"), pair("WOMEN", "c")]
    # One man of two and one woman of three are taken for the other; a score of 0 says MEN.
    scores = score_all(rows, [2.5, 0.0, 1.0, 3.0, 0.0], [-1, -1, 1, -1, 1])
    assert tuple(scores) == Gender.metrics
    assert scores["gender_error"].value == float(Fraction(2, 5))
    assert list(scores["gender_error"].per_pair) == [1, 0, 0, 0, 1]
    assert scores["gender_error_men"].value == float(Fraction(1, 2))
    assert scores["gender_error_women"].value == float(Fraction(1, 3))
    assert scores["gender_error_balanced"].value == pytest.approx(float(Fraction(5, 12)), abs=1e-15)
    assert [score.n for score in scores.values()] == [5, 2, 3, 5]
    # On the targets, one woman of three is mistaken; the majority are women.
    assert controls(scores["gender_error"]) == {"targets": (1 / 5, 5), "majority": (2 / 5, 5)}
    assert controls(scores["gender_error_men"]) == {"targets": (0, 2), "majority": (1, 2)}
    assert controls(scores["gender_error_women"]) == {"targets": (1 / 3, 3), "majority": (0, 3)}
    assert controls(scores["gender_error_balanced"]) == {"targets": (1 / 6, 5), "majority": (1 / 2, 5)}
    assert {score.details["controls"]["majority"]["answer"] for score in scores.values()} == {"WOMEN"}
    assert {(score.better, score.faults) for score in scores.values()} == {("lower", 0)}
    assert not any(score.missing for score in scores.values())
    # The men are of one item, of which nothing can be said.
    assert [scores[f"gender_error_{which}"].interval for which in ("men", "balanced")] == [None, None]


def test_what_is_missing_is_counted_where_it_belongs() -> None:
    rows = [
        pair("MEN", "a"),
        pair("WOMEN", "b"),
        pair("WOMEN", "c", view="flat"),
        pair(None, "d"),
        pair("WOMEN", "e"),
        pair(None, "f", view="flat"),
        pair("MEN", "g"),
    ]
    torn = Missing("unreadable: torn")
    scores = score_all(rows, [1, 1, 1, 1, NO_IMAGE, 1, -1], [torn, 1, 1, 1, 1, 1, 1])
    flat, unknown = {NO_PERSON.reason: 1}, {UNKNOWN_GENDER.reason: 1}
    overall = scores["gender_error"]
    assert (overall.value, overall.n, overall.faults) == (1 / 3, 3, 2)
    assert overall.missing == {NO_PERSON.reason: 2, **unknown, NO_IMAGE.reason: 1}
    assert overall.per_pair == (1, 0, NO_PERSON, UNKNOWN_GENDER, NO_IMAGE, NO_PERSON, 0)
    men, women, balanced = (scores[f"gender_error_{which}"] for which in ("men", "women", "balanced"))
    # Pairs of unknown gender may belong to either.
    assert (men.value, men.n, men.missing, men.faults) == (1 / 2, 2, {**flat, **unknown}, 1)
    assert (women.value, women.n) == (0, 1)
    assert women.missing == {NO_PERSON.reason: 2, **unknown, NO_IMAGE.reason: 1}
    assert (balanced.value, balanced.n, balanced.missing, balanced.faults) == (1 / 4, 3, overall.missing, 2)
    # Of the scored pairs' targets one cannot be read; the others are judged. Two of three are men.
    assert controls(overall) == {"targets": (1 / 2, 2), "majority": (1 / 3, 3)}
    assert controls(men) == {"targets": (1, 1), "majority": (0, 2)}
    assert controls(balanced)["majority"] == (1 / 2, 3)


@pytest.mark.parametrize(("gender", "other"), [("MEN", "WOMEN"), ("WOMEN", "MEN")])
def test_one_gender_alone_cannot_be_balanced_and_says_so(gender: Label, other: str) -> None:
    scores = score_all([pair(gender, "a"), pair(gender, "b"), pair(gender, "c")], [1, -1, NO_IMAGE])
    assert scores["gender_error"].value == scores[f"gender_error_{gender.lower()}"].value == 1 / 2
    absent, balanced = scores[f"gender_error_{other.lower()}"], scores["gender_error_balanced"]
    assert (absent.value, absent.n, absent.missing) == (None, 0, {})
    assert controls(absent) == {"targets": (None, 0), "majority": (None, 0)}
    assert (balanced.value, balanced.n, balanced.interval) == (None, 0, None)
    reason = f"no pair of {other} is scored, so there is nothing to balance"
    assert balanced.missing == {NO_IMAGE.reason: 1, reason: 2}
    assert balanced.faults == 1
    assert controls(balanced) == {"targets": (None, 0), "majority": (None, 0)}
    assert controls(scores["gender_error"])["majority"] == (0, 2)


def test_nothing_that_can_be_scored_is_no_value_and_no_crash() -> None:
    scores = score_all([pair("MEN", "a", view="flat"), pair("WOMEN", "b")], [1, NO_IMAGE])
    assert {(score.value, score.n) for score in scores.values()} == {(None, 0)}
    assert scores["gender_error_balanced"].missing == {NO_PERSON.reason: 1, NO_IMAGE.reason: 1}


def test_pairs_without_any_gender_cannot_be_scored() -> None:
    with pytest.raises(Unscorable, match=r"no pair's gender is known: it comes from .* gender column in --pairs"):
        score_all([pair(None, "a"), pair(None, "b")], [1, -1])


def test_a_run_without_targets_has_no_ceiling_and_needs_none() -> None:
    protocol = Gender(ceiling=False)
    assert [need.roles for need in protocol.needs()] == [("generated",)]
    scores = score_all([pair("MEN", "a"), pair("WOMEN", "b")], [1, 1], protocol=protocol)
    assert {tuple(controls(score)) for score in scores.values()} == {("majority",)}


def test_the_balanced_interval_is_made_of_those_of_the_genders() -> None:
    rows = [pair("MEN", f"m{i}") for i in range(6)] + [pair("WOMEN", f"w{i}") for i in range(5)]
    (_, men, women, balanced) = score_all(rows, [1, 1, -1, -1, -1, -1, 1, 1, 1, 1, -1]).values()
    assert men.interval is not None
    assert women.interval is not None
    assert balanced.value == (2 / 6 + 1 / 5) / 2
    below = math.hypot(2 / 6 - men.interval.low, 1 / 5 - women.interval.low) / 2
    above = math.hypot(men.interval.high - 2 / 6, women.interval.high - 1 / 5) / 2
    assert balanced.interval == pytest.approx((balanced.value - below, balanced.value + above), rel=1e-12)
    assert balanced.details["interval_items"] == 5
    assert not balanced.warnings


def test_the_balanced_interval_says_where_a_gender_has_few_items() -> None:
    rows = [pair("MEN", "a"), *[pair("MEN", "b")] * 99, *[pair("WOMEN", f"w{i}") for i in range(5)]]
    (_, men, _, balanced) = score_all(rows, [1, *[-1.0] * 99, 1, 1, 1, 1, -1]).values()
    assert [len(score.warnings) for score in (men, balanced)] == [1, 1]
    assert balanced.warnings[0].startswith("few items (2): 95 % intervals may cover less than 92 %")


def test_the_balanced_interval_is_near_the_normal_one_for_many_items() -> None:
    random = np.random.default_rng(5)
    wrong = {"MEN": random.random(300) < 0.3, "WOMEN": random.random(900) < 0.1}
    rows = [pair("MEN", f"m{i}") for i in range(300)] + [pair("WOMEN", f"w{i}") for i in range(900)]
    answers = [1.0 if w else -1.0 for w in wrong["MEN"]] + [-1.0 if w else 1.0 for w in wrong["WOMEN"]]
    (*_, balanced) = score_all(rows, answers).values()
    error = np.sqrt(sum(w.var() / len(w) for w in wrong.values())) / 2
    assert balanced.value is not None
    assert balanced.interval is not None
    assert balanced.interval == pytest.approx(
        (balanced.value - 1.96 * error, balanced.value + 1.96 * error), abs=0.2 * error
    )


def test_errors_are_those_of_a_plain_loop() -> None:
    random = np.random.default_rng(1)
    genders: list[Label | None] = random.choice(np.array(["MEN", "WOMEN", None], dtype=object), 200).tolist()
    views = random.choice(["front", "back", "flat"], 200).tolist()
    answers = random.normal(size=200).tolist()
    scores = score_all([pair(g, f"i{i // 3}", v) for i, (g, v) in enumerate(zip(genders, views, strict=True))], answers)
    wrong: dict[str, list[bool]] = {"MEN": [], "WOMEN": []}
    for gender, view, answer in zip(genders, views, answers, strict=True):
        if gender is not None and view != "flat":
            wrong[gender].append(("WOMEN" if answer > 0 else "MEN") != gender)
    rates = {gender: sum(w) / len(w) for gender, w in wrong.items()}
    assert scores["gender_error_men"].value == pytest.approx(rates["MEN"], abs=1e-15)
    assert scores["gender_error_women"].value == pytest.approx(rates["WOMEN"], abs=1e-15)
    assert scores["gender_error_balanced"].value == pytest.approx(sum(rates.values()) / 2, abs=1e-15)
    both = wrong["MEN"] + wrong["WOMEN"]
    assert scores["gender_error"].value == pytest.approx(sum(both) / len(both), abs=1e-15)


def test_another_network_stands_in_the_name_and_in_what_is_asked_for() -> None:
    embedded = configure(Gender, "embedded", {})
    scores = score_all([pair("MEN", "a"), pair("WOMEN", "b")], [1, 1], protocol=embedded)
    assert list(scores) == [f"{metric}[efficientnet_lite0]" for metric in Gender.metrics]
    assert [w.name for need in embedded.needs() for w in need.extractor.weights()] == ["efficientnet-lite0"] * 2
    assert "--network efficientnet_lite0" in str(embedded.lacks(Given()))
    paper = configure(Gender, "paper", {})
    assert not any(need.extractor.weights() for need in paper.needs())
    told = str(paper.lacks(Given()))
    assert told.startswith("a classifier is needed: train one with `fhpt-eval train gender --images DIR -o DIR` and")
    assert told.endswith("--gender-classifier FILE")


# The file of a classifier


def write(
    file: Path,
    network: ClassifierNetwork,
    state: dict[str, npt.NDArray[Any]] | None = None,
    changes: Card | None = None,
) -> GivenFile:
    """A classifier with zero weights, unless others are given."""
    card: Card = {"format": FORMAT, "version": VERSION, "network": network, **(changes or {})}
    zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes(network).items()}
    file.write_bytes(dump(state if state is not None else zeros, card))
    return GivenFile.at(file)


HEAD = {"head.weight": np.ones((1, 1280), np.float32), "head.bias": np.zeros(1, np.float32)}


def test_a_checkpoint_holds_what_the_networks_hold() -> None:
    modules: dict[ClassifierNetwork, torch.nn.Module] = {
        "vgg16": Vgg16Classifier(Numerics()),
        "efficientnet_lite0": LinearClassifier(1280),
    }
    for network, module in modules.items():
        assert {name: array.shape for name, array in arrays_of(module).items()} == shapes(network)
    assert sum(np.prod(shape) for shape in shapes("vgg16").values()) * 4 < 60e6


def test_a_good_file_ends_what_is_lacking_and_counts_by_content(tmp_path: Path) -> None:
    write(tmp_path / "one.safetensors", "efficientnet_lite0", HEAD)
    shutil.copy(tmp_path / "one.safetensors", tmp_path / "two.safetensors")
    write(tmp_path / "three.safetensors", "efficientnet_lite0")
    asked = configure(Gender, "embedded", {}).needs()[0].extractor
    given = [Given({}, GivenFile.at(tmp_path / f"{name}.safetensors")) for name in ("one", "two", "three")]
    assert configure(Gender, "embedded", {}).lacks(given[0]) is None
    one, two, three = (each.in_place_of(asked, ("generated",)) for each in given)
    assert one == two != three
    prints = [extractor.fingerprint(Numerics()) for extractor in (one, two, three)]
    assert prints[0] == prints[1] != prints[2]
    assert str(tmp_path) not in one.id


def judged_by(file: GivenFile) -> None:
    """Check a file as `evaluate` does before it computes anything."""
    for need in configure(Gender, "embedded", {}).needs():
        Given({}, file).in_place_of(need.extractor, need.roles).check()


@pytest.mark.parametrize(
    ("state", "changes", "told"),
    [
        (HEAD, {"format": "cookies"}, r"is not a gender classifier .* does not say what it is\): give the gender\."),
        (HEAD, {"version": "1"}, r"its version is '1' instead of a whole number\): give the gender\."),
        (HEAD, {"version": True}, r"its version is True instead of a whole number"),
        (HEAD, {"network": ["vgg16"]}, r"it is on \['vgg16'\], which is no network of this fhpt-eval\): give"),
        (HEAD, {"version": 2}, r"its format has version 2, and this fhpt-eval reads 1\)"),
        (
            HEAD,
            {"network": "vgg16"},
            r"is a classifier on vgg16 features, and the protocol asks for efficientnet_lite0: add --set"
            r" gender\.network=vgg16, or give another\.$",
        ),
        (
            {**HEAD, "head.weight": np.ones((1, 512), np.float32)},
            {},
            r"is damaged \(tensor head\.weight is float32 \(1, 512\) instead of float32 \(1, 1280\)\): copy",
        ),
        ({**HEAD, "head.bias": np.zeros(1)}, {}, r"tensor head\.bias is float64 \(1,\) instead of float32"),
        ({**HEAD, "head.bias": np.full(1, np.nan, np.float32)}, {}, r"tensor head\.bias holds NaN or infinite values"),
        ({"head.bias": HEAD["head.bias"]}, {}, r"tensor head\.weight is missing"),
        ({**HEAD, "tail": HEAD["head.bias"]}, {}, r"tensor tail is none of its own"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_before_anything_is_computed(
    tmp_path: Path, state: dict[str, npt.NDArray[Any]], changes: Card, told: str
) -> None:
    file = write(tmp_path / "c.safetensors", "efficientnet_lite0", state, changes)
    with pytest.raises(UserError, match=told) as error:
        judged_by(file)
    assert str(file.path) in str(error.value)
    with pytest.raises(UserError):
        read_checkpoint(file, "efficientnet_lite0")


def test_a_card_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save

    content = save(HEAD, {"card": "[" * 100_000})
    with pytest.raises(ValueError, match="its card is nested too deeply"):
        parse(content)
    file = tmp_path / "deep.safetensors"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"deep\.safetensors is not a gender classifier that can be used"):
        judged_by(GivenFile.at(file))


@pytest.mark.parametrize("content", [b"", b"\x80\x02}q\x00.", b"x" * 100, dump(HEAD, {})])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "given.pth"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"given\.pth is not a gender classifier that can be used"):
        judged_by(GivenFile.at(file))


def test_safetensors_of_another_origin_are_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save

    file = tmp_path / "plain.safetensors"
    file.write_bytes(save(HEAD))
    with pytest.raises(UserError, match="does not say what it is"):
        judged_by(GivenFile.at(file))


def test_an_absent_file_is_an_error_and_so_is_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        GivenFile.at(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no gender classifier is given"):
        GenderClassifier().load(Context())


# What a classifier answers


def images(*sizes: tuple[int, int]) -> list[npt.NDArray[np.uint8]]:
    random = np.random.default_rng(7)
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def numbers(results: Sequence[Result]) -> list[float]:
    found = [r["score"] for r in results if not isinstance(r, Missing)]
    assert all(score.shape == () and score.dtype == np.float32 for score in found)
    return [float(score) for score in found]


def test_the_embedded_score_is_the_linear_layer_on_the_embedded_features(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    state = {"head.weight": random.normal(size=(1, 1280)), "head.bias": random.normal(size=1)}
    file = write(tmp_path / "c", "efficientnet_lite0", {k: v.astype(np.float32) for k, v in state.items()})
    weights = Store(offline=True).find(EFFICIENTNET_LITE0)
    assert weights is not None
    context = Context(weights={EFFICIENTNET_LITE0.name: weights})
    pictures = images((64, 48), (50, 70))
    extractor = GenderClassifier(network="efficientnet_lite0", classifier=file)
    scores = numbers(extractor.load(context)(pictures))
    for score, features in zip(scores, EfficientNetLite0().load(context)(pictures), strict=True):
        assert not isinstance(features, Missing)
        vector = torch.from_numpy(features["features"])
        layer = torch.nn.functional.linear(
            vector, torch.from_numpy(read_checkpoint(file, extractor.network).state["head.weight"])
        )
        assert score == pytest.approx(float(layer) + float(np.float32(state["head.bias"][0])), rel=1e-5)


def test_the_vgg16_score_is_that_of_torchvisions_layers_at_every_size(tmp_path: Path) -> None:
    torch.manual_seed(1)
    trunk = models.vgg.make_layers(models.vgg.cfgs["D"], batch_norm=False)
    for module in trunk:
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    head = torch.nn.Linear(512, 1)
    state = {f"features.{k}": v.numpy() for k, v in trunk.state_dict().items()}
    state |= {"head.weight": head.weight.detach().numpy(), "head.bias": head.bias.detach().numpy()}
    extract = GenderClassifier(classifier=write(tmp_path / "c", "vgg16", state)).load(Context())
    pictures = images((64, 48), (33, 70), (64, 48), (31, 64))
    results = extract(pictures)
    assert results[-1] == TOO_SMALL
    assert extract([pictures[-1]]) == [TOO_SMALL]
    for score, picture in zip(numbers(results), pictures, strict=False):
        x = functional.normalize(functional.to_tensor(picture), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])[None]
        with torch.inference_mode():
            expected = head(torch.nn.functional.adaptive_avg_pool2d(trunk(x), 1).flatten())
        assert score == pytest.approx(float(expected), rel=1e-4, abs=1e-5)
    assert len(set(numbers(results))) == 3
