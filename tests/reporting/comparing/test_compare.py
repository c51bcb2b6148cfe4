"""Runs compared: what is paired with what, what is said of it, and who cannot be told apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_runs import made_run
from paired import difference

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.run import Run
from fhpt_eval.maths.differences import Pooled
from fhpt_eval.reporting.comparing.compare import MetricDifference, compare
from fhpt_eval.reporting.comparing.judgement import sentences, shortfalls
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard

COUNT = 60
ITEMS = [f"item{i // 3}" for i in range(COUNT)]
RANDOM = np.random.default_rng(0)
BASE = RANDOM.uniform(0.5, 0.9, COUNT)
NOISE = RANDOM.normal(0, 0.02, COUNT)


def run(name: str, gain: float, metric: str = "ssim", *, noise: float = 1.0, lacking: tuple[int, ...] = ()) -> Run:
    values = BASE + gain + noise * NOISE * (1 if gain else 0)
    values[list(lacking)] = math.nan
    made: Run = made_run(name, {metric: values.tolist()}, items=ITEMS)
    return made


def only(runs: list[Run], metric: str | None = None) -> MetricDifference:
    (row,) = compare(runs, [metric] if metric else None).rows
    return row


def test_a_better_run_is_called_better_and_the_other_way_round_worse() -> None:
    baseline, mine = run("baseline", 0), run("mine", 0.05)
    row = only([baseline, mine])
    assert (row.verdict, row.first, row.second, row.n, row.items) == ("better", "baseline", "mine", 60, 20)
    assert row.difference == pytest.approx(mine.scores["ssim"].value - baseline.scores["ssim"].value)
    assert row.interval is not None
    assert row.interval.low < row.difference < row.interval.high
    assert only([mine, baseline]).verdict == "worse"


def test_lower_is_better_where_the_metric_says_so() -> None:
    row = only([run("baseline", 0, "l1"), run("mine", 0.05, "l1")], "l1")
    assert row.verdict == "worse"
    assert row.superiority == pytest.approx(float((NOISE + 0.05 < 0).mean()))


def test_items_are_resampled_together() -> None:
    """The same numbers as from the arrays by hand, three pairs an item."""
    baseline, mine = run("baseline", 0), run("mine", 0.004)
    row = only([baseline, mine])
    numbers = [Pooled.of_values(r.per_pair["ssim"], np.ones(COUNT), ITEMS) for r in (baseline, mine)]
    found = difference(*numbers)
    assert (row.interval, row.p) == (found.interval, found.p)
    assert row.difference == pytest.approx(found.value)
    assert row.needed == math.ceil((found.needed() or 0) * 3)


def test_only_common_pairs_count() -> None:
    """A run that fails on the hardest pairs is not better for it."""
    hardest = tuple(np.argsort(BASE)[:10].tolist())
    baseline, mine = run("baseline", 0), run("mine", 0, lacking=hardest)
    row = only([baseline, mine])
    assert mine.scores["ssim"].value > baseline.scores["ssim"].value
    assert (row.n, row.difference, row.verdict, row.first_value) == (50, 0.0, "equal", row.second_value)


def test_no_difference_is_shown_where_there_is_too_little_to_show_it() -> None:
    comparison = compare([run("baseline", 0), run("mine", 1e-9)])
    (row,) = comparison.rows
    assert row.verdict == "no difference shown"
    (text,) = shortfalls([row])
    assert text.startswith("ssim: no difference shown; one of this size would take ")
    assert f"these 60 show one of {row.detectable:.4f} or more" in text
    assert sentences(comparison)[0] == "No difference between mine and baseline is shown in ssim."


def test_many_tests_are_adjusted_for() -> None:
    """Of two metrics with p just below 0.05 each, neither counts after Holm's procedure."""
    rows = compare([run("baseline", 0), run("mine", 0.004)]).rows
    p = rows[0].p
    assert p is not None
    assert 0.025 < p <= 0.05
    assert rows[0].verdict == "better"
    both = [
        made_run(name, {"ssim": values.tolist(), "l1": (1 - values).tolist()}, items=ITEMS)
        for name, values in (("baseline", BASE), ("mine", BASE + 0.004 + NOISE))
    ]
    rows = compare(both, ["ssim", "l1"]).rows
    assert [row.p for row in rows] == [p, p]
    assert [row.p_adjusted for row in rows] == pytest.approx([2 * p] * 2)
    assert {row.verdict for row in rows} == {"no difference shown"}


def test_a_set_metric_is_compared_by_the_influence_of_each_pair() -> None:
    values = {"ssim": BASE.tolist()}
    moved = [RANDOM.normal(size=COUNT) for _ in range(2)]
    runs = [
        made_run(name, {**values, "fid": score}, items=ITEMS, arrays={"fid": {"influence": own - own.mean()}})
        for name, score, own in (("baseline", 90.0, moved[0]), ("mine", 30.0, moved[1]))
    ]
    row = only(runs, "fid")
    assert (row.first_value, row.second_value, row.difference, row.verdict) == (90, 30, -60, "better")
    assert row.superiority is None
    errors = [np.bincount(np.arange(COUNT) // 3, own - own.mean()) for own in moved]
    assert row.detectable == pytest.approx(np.std(errors[1] - errors[0], ddof=1) * math.sqrt(20) * 2.954, rel=1e-3)
    assert not [r for r in compare(runs, ["fid"], by="item").rows if r.part]


def test_a_run_that_keeps_nothing_to_resample_is_not_tested() -> None:
    values = {"ssim": BASE.tolist()}
    runs = [made_run(name, {**values, "fid": 50.0 + i}, items=ITEMS) for i, name in enumerate("ab")]
    row = only(runs, "fid")
    assert (row.verdict, row.difference, row.why) == ("not tested", 1.0, "a keeps nothing of it to resample")


def test_pooled_metrics_are_compared_by_their_totals() -> None:
    count = RANDOM.integers(1, 10, COUNT).astype(float)
    share = RANDOM.uniform(0.2, 0.6, COUNT)
    runs = [
        made_run(
            name,
            {"ssim": BASE, "pckh": float((s * count).sum() / count.sum())},
            items=ITEMS,
            arrays={"pckh": {"total": s * count, "count": count}},
        )
        for name, s in (("a", share), ("b", share + 0.2))
    ]
    row = only(runs, "pckh")
    assert (row.verdict, row.superiority) == ("better", 1.0)
    assert row.difference == pytest.approx(0.2)


def test_runs_that_cannot_be_told_apart_share_a_letter() -> None:
    runs = [run("a", 0), run("b", 1e-9), run("c", 0.1), run("d", 0.3)]
    letters = compare(runs).letters["ssim"]
    assert letters == ("c", "c", "b", "a")
    assert not compare(runs[:2]).letters


def test_letters_verdicts_and_marks_of_a_leaderboard_never_disagree() -> None:
    """All of them come of the same tests, adjusted over every two runs and all metrics."""
    gains = (0.0, 0.001, 0.002, 0.003, 0.004, 0.006)
    runs = [
        made_run(
            f"r{i}",
            {
                metric: (BASE + gain * (1 + j) + RANDOM.normal(0, 0.01, COUNT)).tolist()
                for j, metric in enumerate(("ssim", "l1"))
            },
            items=ITEMS,
        )
        for i, gain in enumerate(gains)
    ]
    comparison = compare(runs, ["ssim", "l1"])
    (ranked,) = Leaderboard.of(runs, ["ssim", "l1"]).standings
    verdicts = set()
    for (metric, i, j), row in comparison.every_two.items():
        letters = comparison.letters[metric]
        assert (not {*letters[i]} & {*letters[j]}) == (row.verdict in {"better", "worse"})
        verdicts.add(row.verdict)
        if {i, j} == {ranked[metric].best[0], ranked[metric].second[0]}:
            assert ranked[metric].close == (row.verdict not in {"better", "worse"})
    assert {row.second for row in comparison.rows} == {f"r{i}" for i in range(1, 6)}
    assert {"no difference shown"} < verdicts


def test_a_dozen_runs_that_clearly_differ_are_all_told_apart() -> None:
    """Adjusted over 66 pairs of runs and two metrics: more than resamples alone could tell."""
    runs = [
        made_run(f"r{i}", {metric: (BASE + 0.05 * i + NOISE).tolist() for metric in ("ssim", "l1")}, items=ITEMS)
        for i in range(12)
    ]
    assert set(compare(runs, ["ssim", "l1"]).letters["ssim"]) == set("abcdefghijkl")


def test_what_it_would_have_taken_is_said_for_as_many_tests() -> None:
    one, other = run("a", 0), run("b", 0.002)
    alone = only([one, other])
    both = [
        made_run(name, {"ssim": values.tolist(), "l1": values.tolist()}, items=ITEMS)
        for name, values in (("a", BASE), ("b", BASE + 0.002 + NOISE))
    ]
    row = compare(both, ["ssim", "l1"]).rows[0]
    assert (row.difference, row.p) == (alone.difference, alone.p)
    assert row.needed is not None
    assert alone.needed is not None
    assert row.needed > alone.needed > row.n
    assert row.detectable is not None
    assert alone.detectable is not None
    assert row.detectable > alone.detectable


def test_parts_are_compared_by_themselves() -> None:
    view = ["front", "back"] * (COUNT // 2)
    gain = np.array([0.1, 0.0] * (COUNT // 2))
    runs = [
        made_run(name, {"ssim": (BASE + g).tolist()}, items=ITEMS, columns={"view": view})
        for name, g in (("a", 0 * gain), ("b", gain))
    ]
    rows = {row.part: row for row in compare(runs, by="view").rows}
    assert {part: (row.verdict, row.n) for part, row in rows.items()} == {
        "": ("better", 60), "view=back": ("equal", 30), "view=front": ("better", 30),
    }  # fmt: skip


def test_pairs_that_one_run_lacks_are_counted_by_run() -> None:
    runs = [run("a", 0, lacking=(0, 1)), run("b", 0, lacking=(1, 2, 3))]
    parts = [row.part for row in compare(runs, by="missing").rows if row.part]
    assert parts == [
        "missing=in a (1 pairs)", "missing=in all (1 pairs)", "missing=in b (2 pairs)", "missing=in none (56 pairs)"
    ]  # fmt: skip


def test_pairs_stand_for_items_that_are_not_known() -> None:
    runs = [made_run(name, {"ssim": BASE + g * NOISE}, items=False) for name, g in (("a", 0), ("b", 1))]
    comparison = compare(runs)
    assert (comparison.over, comparison.rows[0].items) == ("pairs, because items are unknown", 60)


def test_three_pairs_tell_nothing() -> None:
    runs = [made_run(name, {"ssim": [0.1, 0.2, 0.3 + g]}, items=list("abc")) for name, g in (("a", 0), ("b", 0.5))]
    comparison = compare(runs)
    assert comparison.rows[0].verdict == "not tested"
    assert sentences(comparison) == ["Whether b differs from a was not tested: too few items to tell (3): it takes 5."]


def test_the_sentences_say_what_by_how_much_and_where_not() -> None:
    told = sentences(compare([run("baseline", 0), run("mine", 0.02)]))
    assert told[0] == "mine is better than baseline in ssim."
    assert told[1].startswith("Surest is ssim: ")
    worst = int(np.argmin(NOISE))
    assert f"most of all on p{worst} (" in told[2]
    count = int((NOISE + 0.02 < 0).sum())
    assert f"{100 * (1 - count / COUNT):.0f} times in 100; mine is worse on {count} pair" in told[2]


def test_twelve_runs_are_compared() -> None:
    runs = [run(f"r{i}", 0.01 * i) for i in range(12)]
    comparison = compare(runs)
    assert len(comparison.rows) == 11
    assert len(comparison.letters["ssim"]) == 12
    assert list(comparison.table["second"]) == [f"r{i}" for i in range(1, 12)]


@pytest.mark.parametrize(
    ("runs", "options", "sentence"),
    [
        ([run("a", 0)], {}, "a comparison needs two runs or more"),
        ([run("a", 0), run("a", 0.1)], {}, "two runs are called 'a'"),
        ([run("a", 0), run("b", 0)], {"metrics": ["sim"]}, "metric 'sim' is not in any run. Did you mean 'ssim'?"),
        ([run("a", 0), run("b", 0)], {"table": "fase"}, "--table fase: no run has metrics of such a table."),
        ([run("a", 0), run("b", 0)], {"by": "viw"}, "--by cannot be 'viw'. Did you mean 'view'?"),
        ([run("a", 0), run("b", 0)], {"by": "gender"}, "no pair's gender is known"),
        ([run("a", 0), made_run("b", {"ssim": [0.1]}, hash="x")], {}, "b cannot be compared: other pairs than a"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs: list[Run], options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
        compare(runs, **options)  # type: ignore[arg-type]
