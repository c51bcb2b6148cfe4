"""What was measured as tables, figures, and the marked part of a page."""

from __future__ import annotations

import math
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from beside import figures
from beside.parts import PARTS

OURS = ("fhpt-eval", "fhpt-eval before")
PEER = "cold"
IN_SEQUENCE = "the peers in sequence"
BEGIN, END = "<!-- begin: written by benchmarks/side_by_side.py -->", "<!-- end -->"

Row = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class At:
    """Where a measurement stands."""

    part: str
    stage: str
    who: str
    count: int
    size: str


class Cost(NamedTuple):
    """Medians over repeats."""

    wall: float
    cpu: float
    peak_mb: float
    numbers: Mapping[str, float | None]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Line:
    """Ours beside one competitor; ``peer`` has no numbers where it is a sum."""

    title: str
    who: str
    count: int
    size: str
    ours: Cost
    peer: Cost
    before: Cost | None
    differs: str

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.peer.wall / self.ours.wall


def key_of(row: Row) -> tuple[Any, ...]:
    """Return what identifies a measurement."""
    return (row["part"], row["stage"], row["who"], row["count"], row["size"], row["repeat"])


def medians(rows: Sequence[Row]) -> dict[At, Cost]:
    """Return the cost of everything that was measured."""
    of: dict[At, dict[tuple[Any, ...], Row]] = {}
    for row in rows:
        of.setdefault(At(*key_of(row)[:5]), {})[key_of(row)] = row
    return {
        at: Cost(
            wall=median(row["wall"] for row in repeats.values()),
            cpu=median(row["cpu"] for row in repeats.values()),
            peak_mb=median(row["peak_mb"] for row in repeats.values()),
            numbers=[*repeats.values()][-1]["numbers"],
            seconds=[*repeats.values()][-1].get("seconds", {}),
        )
        for at, repeats in of.items()
    }


def lines(rows: Sequence[Row]) -> list[Line]:
    """Return every comparison, by number and size of images and then in the order of the parts."""
    costs = medians(rows)
    found = []
    for count, size in sorted({(at.count, at.size) for at in costs}, key=lambda c: (-c[0], len(c[1]), c[1])):
        for name, part in PARTS.items():
            peers = {peer: costs.get(At(name, PEER, peer, count, size)) for peer in part.peers}
            if part.sum_of:
                alone = PARTS[part.sum_of[0]].peers[0]
                peers = {alone if len(part.sum_of) == 1 else IN_SEQUENCE: _sum(costs, part.sum_of, count, size)}
            for stage in part.stages:
                ours, before = (costs.get(At(name, stage.name, who, count, size)) for who in OURS)
                title = part.title if stage.name == PEER and len(part.stages) == 1 else f"{part.title}: {stage.name}"
                for who, peer in peers.items():
                    if ours and peer:
                        differs = difference(ours.numbers, peer.numbers, (part.apart or {}).get(who))
                        found.append(Line(title, who, count, size, ours, peer, before, differs))
    return found


def _sum(costs: Mapping[At, Cost], parts: Sequence[str], count: int, size: str) -> Cost | None:
    each = [costs.get(At(part, PEER, PARTS[part].peers[0], count, size)) for part in parts]
    there = [cost for cost in each if cost]
    if len(there) < len(parts):
        return None
    wall, cpu = sum(c.wall for c in there), sum(c.cpu for c in there)
    return Cost(wall, cpu, max(c.peak_mb for c in there), {}, {})


def difference(ours: Mapping[str, float | None], peer: Mapping[str, float | None], why: str | None) -> str:
    """Return by how much the numbers that both have differ, relative to the peer's."""
    told, gaps = [], []
    for metric, theirs in peer.items():
        mine = ours.get(metric)
        if mine is None or theirs is None or not math.isfinite(theirs):
            told.append(f"{metric}: {'none' if mine is None else mine} against {theirs}")
            continue
        gaps.append((abs(mine - theirs) / abs(theirs) if theirs else abs(mine), metric))
    if len(gaps) > 3:
        largest, _ = max(gaps)
        told.append(f"{len(gaps)} numbers by at most {largest:.0e}" if largest else f"{len(gaps)} numbers by 0")
        gaps = []
    told += [f"{metric} {gap:.0e}" if gap else f"{metric} 0" for gap, metric in gaps]
    return ", ".join(told).replace("e-0", "e-") + (f" ({why})" if why and told else "")


def sentence(row: Row) -> str:
    """Return one measurement, with a few of its numbers."""
    what = f"{row['part']}, {row['stage']}, {row['count']:,} of {row['size']}: {row['who']}"
    shown = [f"{metric} {value:.6g}" for metric, value in row["numbers"].items() if value is not None]
    cost = f"{row['wall']:.1f} s, CPU {row['cpu']:.1f} s, {row['peak_mb']:.0f} MB"
    return ", ".join([f"{what} {cost}", *shown[:4]])


def tables(rows: Sequence[Row]) -> list[str]:
    """Return the tables in Markdown: a table for each number and size, where time went, and what is not compared."""
    told = []
    compared = lines(rows)
    for count, size in dict.fromkeys((line.count, line.size) for line in compared):
        told.append(f"### {count:,} pairs of {size.replace('x', '×')}")
        told.append(_table([line for line in compared if (line.count, line.size) == (count, size)]))
    costs = medians(rows)
    told += [*_stages(costs), *_others(costs)]
    return told


def _table(compared: Sequence[Line]) -> str:
    before = any(line.before for line in compared)
    head = ["", "beside", "ours, s", *(["before, s"] if before else []), "peer, s", "times as fast", "pairs/s"]
    head += ["CPU s, ours / peer", "memory in MB, ours / peer", "numbers differ by"]
    body = [f"| {' | '.join(head)} |", f"|---|---|{'---:|' * (len(head) - 3)}---|"]
    for line in compared:
        ours, peer = line.ours, line.peer
        cells = [line.title, line.who, f"{ours.wall:.1f}"]
        if before:
            cells.append(f"{line.before.wall:.1f}" if line.before else "")
        cells += [f"{peer.wall:.1f}", f"**{line.ratio:.2f}**", f"{line.count / ours.wall:.1f}"]
        cells += [f"{ours.cpu:.1f} / {peer.cpu:.1f}", f"{ours.peak_mb:,.0f} / {peer.peak_mb:,.0f}", line.differs]
        body.append(f"| {' | '.join(cells)} |")
    return "\n".join(body)


def _stages(costs: Mapping[At, Cost]) -> Iterator[str]:
    """Yield where wall time went: what the run's record says of its stages, and the rest (start, pairing, writing)."""
    timed = {at: cost for at, cost in costs.items() if cost.seconds and at.part in {"suite", "pixels"}}
    if not timed:
        return
    stages = list(dict.fromkeys(stage for cost in timed.values() for stage in cost.seconds))
    yield "### Where time went\n\nWall seconds by the stages in `run.json`; the rest is start, pairing and writing."
    body = [f"| | pairs | size | {' | '.join(stages)} | rest |", f"|---|---:|---|{'---:|' * (len(stages) + 1)}"]
    for at, cost in sorted(timed.items(), key=lambda item: (-item[0].count, item[0].size)):
        rest = cost.wall - sum(cost.seconds.values())
        values = [
            f"{cost.seconds.get(stage, 0):.1f} ({cost.seconds.get(stage, 0) / cost.wall:.0%})" for stage in stages
        ]
        title = f"{PARTS[at.part].title}: {at.stage}" + (" (before)" if at.who != OURS[0] else "")
        size = at.size.replace("x", "×")
        body.append(f"| {title} | {at.count:,} | {size} | {' | '.join(values)} | {rest:.1f} ({rest / cost.wall:.0%}) |")
    yield "\n".join(body)


def _others(costs: Mapping[At, Cost]) -> Iterator[str]:
    """Yield what no peer has: memory by the number of images, and commands that compute nothing."""
    alone = {at: cost for at, cost in costs.items() if not (PARTS[at.part].peers or PARTS[at.part].sum_of)}
    if not alone:
        return
    yield "### Ours alone"
    body = ["| | pairs | wall, s | CPU s | memory, MB |", "|---|---:|---:|---:|---:|"]
    for at, cost in sorted(alone.items()):
        computes = PARTS[at.part].size is not None
        title = PARTS[at.part].title if computes else f"`fhpt-eval {at.stage}`"
        title += " (before)" if at.who != OURS[0] else ""
        count = f"{at.count:,} of {at.size.replace('x', '×')}" if computes else ""
        body.append(f"| {title} | {count} | {cost.wall:.2f} | {cost.cpu:.2f} | {cost.peak_mb:,.0f} |")
    yield "\n".join(body)


def machine(device: str) -> dict[str, Any]:
    """Return what measurements depend on beside the code."""
    import os

    import torch

    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    gpu = torch.cuda.get_device_name() if device.startswith("cuda") else None
    return {
        "cpu": cpu[1].strip() if cpu else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "gpu": gpu,
        "device": device,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def described(about: Mapping[str, Any]) -> str:
    """Return the machine in a sentence."""
    gpu = f"{about['gpu']} ({about['device']})" if about["gpu"] else "no GPU was used"
    return f"{about['cpu']}, {about['cores']} cores, {gpu}; Python {about['python']}, torch {about['torch']}."


def around(path: Path) -> tuple[str, str]:
    """Return what a page has before and after the part that is written; raise SystemExit where it has none."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{path} has no part to write: it needs the lines {BEGIN} and {END}.")
    return before, after


def write(path: Path, about: Mapping[str, Any], rows: Sequence[Row], absent: Sequence[str]) -> None:
    """Write the part of a page between its marks, and the figures beside the page."""
    before, after = around(path)
    compared = lines(rows)
    told = [f"Measured on: {described(about)} {_repeats(rows)}."]
    if absent:
        told.append(f"Not installed, so not measured: {', '.join(absent)}.")
    for name, drawn, text_of in (
        ("performance_ratios.png", figures.ratios(compared), "How many times as fast as each peer"),
        ("performance_growth.png", figures.growth(compared), "Seconds over the number of pairs"),
    ):
        if drawn is not None:
            drawn.savefig(path.parent / name, dpi=200)
            told.append(f"![{text_of}]({name})")
    told += tables(rows)
    path.write_text(before + BEGIN + "\n" + "\n\n".join(told) + "\n" + END + after, encoding="utf-8")


def _repeats(rows: Sequence[Row]) -> str:
    of: dict[At, int] = {}
    for row in rows:
        at = At(*key_of(row)[:5])
        of[at] = max(of.get(at, 0), row["repeat"] + 1)
    fewest, most = min(of.values()), max(of.values())
    if most == 1:
        return "Everything was measured once"
    return f"Medians of {fewest} repeats" if fewest == most else f"Medians of {fewest} to {most} repeats"
