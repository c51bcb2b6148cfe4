"""How often 95 % intervals cover, by simulation: the tables in docs/intervals.md.

python benchmarks/intervals.py [--runs 2000]

Each run draws items with values in common, and asks whether the interval has the number that all items would come to.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from scipy import stats

from fhpt_eval.maths.differences import Pooled, differences
from fhpt_eval.maths.intervals import ANYTHING, SHARE, Range, interval
from fhpt_eval.maths.statistics import Floats, Interval

ITEMS = (3, 5, 7, 10, 20, 50, 200, 1000)

Indices = npt.NDArray[np.int64]
Draw = Callable[[np.random.Generator, Indices], Floats]
"""From the item of each value (its index) to the values."""


def _normal(random: np.random.Generator, item: Indices) -> Floats:
    drawn: Floats = random.normal(size=_items(item))[item] + random.normal(size=len(item))
    return drawn


def _skewed(random: np.random.Generator, item: Indices) -> Floats:
    drawn: Floats = random.exponential(size=_items(item))[item] + random.exponential(size=len(item))
    return drawn


def _very_skewed(random: np.random.Generator, item: Indices) -> Floats:
    drawn: Floats = random.exponential(size=_items(item))[item] * random.exponential(size=len(item))
    return drawn


def _binary(share: float) -> Draw:
    def draw(random: np.random.Generator, item: Indices) -> Floats:
        of_item = random.beta(2 * share, 2 * (1 - share), _items(item))
        drawn: Floats = (random.random(len(item)) < of_item[item]).astype(np.float64)
        return drawn

    return draw


def _areas(random: np.random.Generator, item: Indices) -> Floats:
    of_item = random.beta(0.6, 2.4, _items(item))[item]
    seen = random.random(len(item)) < 0.7
    drawn: Floats = np.where(seen, random.beta(3 * of_item + 1e-3, 3 * (1 - of_item) + 1e-3), 0.0)
    return drawn


def _items(item: Indices) -> int:
    return int(item.max()) + 1


KINDS: Mapping[str, tuple[Draw, float, Range]] = {
    "normal": (_normal, 0.0, ANYTHING),
    "skewed (sums of exponentials)": (_skewed, 2.0, ANYTHING),
    "very skewed (products of exponentials)": (_very_skewed, 1.0, ANYTHING),
    "binary, 50 %": (_binary(0.5), 0.5, SHARE),
    "binary, 10 %": (_binary(0.1), 0.1, SHARE),
    "binary, 2 %": (_binary(0.02), 0.02, SHARE),
    "areas from 0 to 1, many 0": (_areas, 0.7 * 0.601 / 3.002, SHARE),
}
"""How values are drawn, what they come to, and their range."""

SIZES: Mapping[str, Callable[[np.random.Generator, int], Indices]] = {
    "5": lambda _, k: np.full(k, 5),
    "1 to 6": lambda random, k: random.integers(1, 7, k),
    "1 to 40": lambda random, k: np.minimum(40, 1 + np.floor(random.lognormal(1, 1.2, k))).astype(int),
}
"""Values of each item; the last has a few items that outweigh the others."""


def percentiles(number: Pooled) -> Interval:
    """Return the percentile bootstrap, by which intervals were made before."""
    k = len(number.total)
    drawn = np.random.default_rng(0).integers(0, k, (999, k))
    means = number.total[drawn].sum(axis=1) / number.count[drawn].sum(axis=1)
    return Interval(*np.percentile(means, [2.5, 97.5]))


def student(number: Pooled) -> Interval:
    """Return Student's t about the ratio, with the linearised error and k − 1 degrees."""
    k = len(number.total)
    moved = (number.total - number.value * number.count) / number.count.sum()
    reach = stats.t.ppf(0.975, k - 1) * math.sqrt(np.square(moved).sum() * k / (k - 1))
    return Interval(number.value - reach, number.value + reach)


def bootstrap_t(number: Pooled) -> Interval | None:
    """Return the symmetric bootstrap-t of `fhpt-eval compare`."""
    nothing = Pooled(np.zeros(len(number.total)), np.ones(len(number.total)))
    return differences([(nothing, number)], resamples=599)[0].interval


def main() -> None:
    """Print a table a way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    ways: Mapping[str, Callable[[Pooled, Range], Interval | None]] = {
        "chosen": interval,
        "percentiles": lambda number, _: percentiles(number),
        "Student's t": lambda number, _: student(number),
        "bootstrap-t": lambda number, _: bootstrap_t(number),
    }
    for way, of in ways.items():
        print(f"\n{way}\n\n| values | of an item | {' | '.join(f'{k:,}' for k in ITEMS)} |")
        print(f"|---|---|{'---:|' * len(ITEMS)}")
        for kind, (draw, truth, within) in KINDS.items():
            for sizes, size in SIZES.items():
                cells = []
                for k in ITEMS:
                    random = np.random.default_rng(k)
                    count = runs if way in {"chosen", "Student's t"} else max(200, runs // max(1, k // 20))
                    covered = total = 0
                    for _ in range(count):
                        item = np.repeat(np.arange(k), size(random, k))
                        number = Pooled.of_values(draw(random, item), np.ones(len(item)), item.tolist())
                        found = of(number, within)
                        total += found is not None
                        covered += found is not None and found.low <= truth <= found.high
                    cells.append(f"{100 * covered / total:.0f}" if total else "")
                print(f"| {kind} | {sizes} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
