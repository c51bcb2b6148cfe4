"""`fhpt-eval` beside the packages that the field uses: same images, a process for each measurement, in turn, medians.

python benchmarks/side_by_side.py [--count 100 1000 8570] [--parts fid lpips …] [--page docs/performance.md]

`make benchmark` sets up what it needs; ARGS="…" are the options. Each measurement is a line in a file of OUTPUT, so
that the same command goes on where it was stopped. Weights are seeded (no download; both sides load the same files).
Ends with 3 where a peer is not installed or failed, which is named.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from beside import page, weights
from beside.images import Images, make
from beside.measure import measured
from beside.parts import PARTS, Part
from beside.peers import PROGRAMS

HERE = Path(__file__).resolve().parent
DONE, WRONG, IN_PART = 0, 2, 3
_GUESS_S = 0.15
"""A pair of 256×176, where nothing is known yet; and what a start takes is `_START_S`."""
_START_S = 5.0


@dataclass(frozen=True)
class Job:
    """Everything that one competitor does for a part, once."""

    part: str
    who: str
    count: int
    size: tuple[int, int]
    repeat: int

    def keys(self) -> list[tuple[Any, ...]]:
        """Return what identifies its measurements: one for each stage of ours."""
        stages = [stage.name for stage in PARTS[self.part].stages] if self.who in page.OURS else [page.PEER]
        size = f"{self.size[0]}x{self.size[1]}"
        return [(self.part, stage, self.who, self.count, size, self.repeat) for stage in stages]


class Bench:
    """Measures, and keeps what was measured."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._output: Path = options.output
        self._output.mkdir(parents=True, exist_ok=True)
        self._home = self._output / "torch"
        self._file = self._output / "measurements.jsonl"
        self.rows: list[dict[str, Any]] = []
        if self._file.exists():
            self.rows = [json.loads(line) for line in self._file.read_text(encoding="utf-8").splitlines()]
        self.failed: list[str] = []

    def run(self, jobs: list[Job]) -> None:
        """Measure what is not there yet."""
        done = {page.key_of(row) for row in self.rows}
        left = [job for job in jobs if not done.issuperset(job.keys())]
        total = sum(map(self._guess, left))
        print(f"{len(left)} of {len(jobs)} measurements to do, about {_minutes(total)}", flush=True)
        weights.make(self._home, sorted({name for job in left for name in PARTS[job.part].weights}))
        for number, job in enumerate(left, start=1):
            images = make(self._output / "images", job.count, job.size)
            if number == 1 or (job.count, job.size) != (left[number - 2].count, left[number - 2].size):
                images.read_once()
            for row in self._measured(job, images):
                self.rows.append(row)
                with self._file.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row) + "\n")
                rest = _minutes(sum(map(self._guess, left[number:])))
                print(f"[{number}/{len(left)}, then about {rest}] {page.sentence(row)}", flush=True)

    def _guess(self, job: Job) -> float:
        same = [row for row in self.rows if (row["part"], row["who"]) == (job.part, job.who)]
        area = job.size[0] * job.size[1]
        if same:
            nearest = min(same, key=lambda row: abs(row["count"] - job.count))
            height, width = map(int, nearest["size"].split("x"))
            a_pair: float = max(0.0, nearest["wall"] - _START_S) / nearest["count"] / (height * width)
            return _START_S + a_pair * job.count * area
        return _START_S + _GUESS_S * job.count * area / (256 * 176)

    def _measured(self, job: Job, images: Images) -> Iterator[dict[str, Any]]:
        about = {"part": job.part, "who": job.who, "count": job.count, "size": f"{job.size[0]}x{job.size[1]}"}
        about |= {"repeat": job.repeat, "device": self._options.device}
        with tempfile.TemporaryDirectory(dir=self._output) as name:
            scratch = Path(name)
            found = self._ours(job, images, scratch) if job.who in page.OURS else self._peer(job, images, scratch)
            try:
                for stage, row in found:
                    yield {**about, "stage": stage, **row}
            except _FailedError as error:
                self.failed.append(f"{job.part}, {job.who}, N = {job.count:,}: {error}")
                print(f"failed: {self.failed[-1]}", file=sys.stderr, flush=True)

    def _ours(self, job: Job, images: Images, scratch: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        python = sys.executable if job.who == page.OURS[0] else str(self._options.before)
        env = {"FHPT_EVAL_WEIGHTS": str(weights.checkpoints(self._home)), "FHPT_EVAL_CACHE": str(scratch / "cache")}
        env |= {"FHPT_EVAL_OFFLINE": "1", "TORCH_HOME": str(self._home)}
        for stage in PARTS[job.part].stages:
            command = [python, str(HERE / "beside" / "ours.py")]
            output = scratch / "run"
            if stage.method is None:
                command += stage.args
            else:
                command += ["run", *stage.args, "-g", str(images.generated(stage.method)), "-t", str(images.targets)]
                command += ["-s", str(images.sources), "--pairs", str(images.pairs), "--name", job.who, "--overwrite"]
                command += ["--device", self._options.device, "-o", str(output), "--quiet"]
                if "kid.subsets=100" in stage.args:
                    command += ["--set", f"kid.subset_size={min(1000, job.count)}"]
                    command += ["--set", f"is.splits={min(10, job.count)}"]
            row = _row(command, env, (0, 3))
            if stage.method is not None:
                record = json.loads((output / "run.json").read_text(encoding="utf-8"))
                scores = [score for protocol in record["protocols"] for score in protocol["scores"]]
                row["numbers"] = {score["metric"]: score["value"] for score in scores}
                row["seconds"] = record["seconds"]
                undone = [f"{p['name']}: {p['reason']}" for p in record["protocols"] if p["status"] != "done"]
                if undone:
                    raise _FailedError("; ".join(undone))
            yield stage.name, row

    def _peer(self, job: Job, images: Images, scratch: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        folders = (images.generated(), images.targets, images.sources, images.pairs)
        result = scratch / "numbers.json"
        program = [sys.executable, str(HERE / "beside" / "peers.py"), job.who, *map(str, folders)]
        row = _row([*program, self._options.device, str(result)], {"TORCH_HOME": str(self._home.resolve())}, (0,))
        row["numbers"] = json.loads(result.read_text(encoding="utf-8"))
        yield page.PEER, row


class _FailedError(Exception):
    pass


def _row(command: list[str], env: Mapping[str, str], good: tuple[int, ...]) -> dict[str, Any]:
    cost = measured(command, env)
    if cost.code not in good:
        raise _FailedError(f"exit code {cost.code}: {cost.said.strip()[-600:]}")
    costs = {"wall": round(cost.wall, 3), "cpu": round(cost.cpu, 3), "peak_mb": round(cost.peak_mb, 1)}
    return {**costs, "numbers": {}}


def jobs_of(options: argparse.Namespace, here: Mapping[str, bool]) -> list[Job]:
    """Return all that is to be measured, smallest first, competitors in turn."""
    jobs = []
    seen = set()
    for count in options.count:
        for size in options.sizes:
            for repeat in range(options.repeats):
                for name in options.parts:
                    part: Part = PARTS[name]
                    ours = page.OURS if options.before else page.OURS[:1]
                    for own_count in part.counts or (count,):
                        for who in (*ours, *(peer for peer in part.peers if here[peer])):
                            job = Job(name, who, own_count, part.size or size, repeat)
                            if job not in seen:
                                jobs.append(job)
                                seen.add(job)
    return jobs


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, nargs="+", default=[100, 1000, 8570], help="numbers of pairs")
    parser.add_argument("--sizes", type=_size, nargs="+", default=[(256, 176), (512, 352)], help="HEIGHTxWIDTH")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS], help="all, unless named")
    parser.add_argument("--repeats", type=int, default=3, help="of which medians are taken")
    parser.add_argument("--device", default="auto", help="of both sides: cpu, cuda; auto: a GPU where there is one")
    parser.add_argument("--before", type=Path, help="the Python of an environment with an earlier version of ours")
    parser.add_argument("--output", type=Path, default=Path("build/benchmark"), help="images and measurements")
    parser.add_argument("--page", type=Path, help="Markdown whose marked part is written anew, with its figures beside")
    return parser.parse_args()


def _code() -> str:
    """Return what identifies the code that is measured, whatever else of the repository changed."""
    git = shutil.which("git")
    if git is None:
        return "unknown"
    asked = [git, "-C", str(HERE), "rev-parse", "--short", "HEAD:fhpt_eval", "HEAD:protocols"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return "-".join(done.stdout.split()) or "unknown"


def main() -> int:
    """Measure, print the tables, and write the page where one is named."""
    options = _parse()
    options.output = options.output.resolve()
    if options.device == "auto":
        import torch

        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    bench = Bench(options)
    if options.page:
        page.around(options.page)
    about = {**page.machine(options.device), "code": _code()}
    known = options.output / "about.json"
    if known.exists() and (earlier := json.loads(known.read_text(encoding="utf-8"))) != about:
        changed = ", ".join(key for key in about if earlier.get(key) != about[key])
        print(f"{options.output} was measured with another {changed}: name another --output.", file=sys.stderr)
        return WRONG
    known.write_text(json.dumps(about, indent=1), encoding="utf-8")
    print(page.described(about), flush=True)
    peers = [peer for name in options.parts for peer in PARTS[name].peers]
    here = {peer: find_spec(PROGRAMS[peer][1]) is not None for peer in peers}
    absent = [peer for peer, found in here.items() if not found]
    if absent:
        print(f"not installed, so not measured: {', '.join(absent)} (the extra `benchmark` brings them)", flush=True)
    started = time.monotonic()
    bench.run(jobs_of(options, here))
    print(f"measured for {_minutes(time.monotonic() - started)}\n")
    print("\n\n".join(page.tables(bench.rows)))
    if options.page:
        page.write(options.page, about, bench.rows, absent)
        print(f"\nwritten: {options.page} and its figures")
    if bench.failed:
        print("\nfailed:\n" + "\n".join(bench.failed), file=sys.stderr)
    return IN_PART if absent or bench.failed else DONE


if __name__ == "__main__":
    sys.exit(main())
