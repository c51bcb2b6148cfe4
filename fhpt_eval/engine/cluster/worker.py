"""What Ray runs on the machines of a cluster: an actor that computes parts of some work there."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import ray

from fhpt_eval._version import __version__
from fhpt_eval.engine.cluster.travelling import Kept, absolute, placed, there, with_files
from fhpt_eval.engine.contract import Broken, Computed, Decoded, Key, Outcome, Warned, Work
from fhpt_eval.engine.executor import ExecutorOptions
from fhpt_eval.engine.local import LocalExecutor, Machine
from fhpt_eval.engine.machine import hardware
from fhpt_eval.extract.extractor import LIBRARIES, Extractor
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.files.given import GivenFile
from fhpt_eval.libraries import version
from fhpt_eval.progress import silent
from fhpt_eval.records import Result

COMPUTING = "computing"
"""Ray's name of the threads in which a worker computes; in another one it tells how far it is."""


@dataclass(frozen=True)
class Task:
    """What all parts of some work share.

    Attributes:
        extractors: That are asked for.
        numerics: How they compute.
        files: That they load, with the driver's paths.
        weights: The hash of the file of each weights name.
        folder: The driver's current one.
        max_pixels: Larger images are refused.
    """

    extractors: tuple[Extractor, ...]
    numerics: Numerics
    files: tuple[GivenFile, ...]
    weights: Mapping[str, str]
    folder: Path
    max_pixels: int


@dataclass(frozen=True)
class About:
    """What a worker tells of itself.

    Attributes:
        node: Ray's id of its machine.
        host: What that is called.
        processor: What computes there.
        versions: Of this package, and of the libraries that the extractors rest on.
        fingerprints: Of the extractors: two that are equal compute the same.
        lacks: Hashes of the files that it cannot read.
    """

    node: str
    host: str
    processor: str
    versions: Mapping[str, str | None]
    fingerprints: tuple[str, ...]
    lacks: tuple[str, ...]


@dataclass
class Answer:
    """What came of a part; extractors are told by their place in the task.

    Attributes:
        decoded: What decoding told of the images.
        computed: Results.
        broken: Extractors that failed.
        warned: What the user should know.
    """

    decoded: list[Decoded] = field(default_factory=list)
    computed: list[tuple[int, Key, Result]] = field(default_factory=list)
    broken: list[tuple[int, Exception]] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def outcomes(self, extractors: Sequence[Extractor]) -> Iterator[Outcome]:
        """Yield it as an executor does."""
        yield from self.decoded
        yield from (Computed(extractors[place], key, result) for place, key, result in self.computed)
        yield from (Broken(extractors[place], error) for place, error in self.broken)
        yield from map(Warned, self.warned)


def versions(extractors: Sequence[Extractor]) -> dict[str, str | None]:
    """Return the version of this package here, and those of the libraries that extractors rest on."""
    names = sorted({*LIBRARIES, *(library for extractor in extractors for library in extractor.libraries)})
    return {"fhpt-eval": __version__, **{name: version(name) for name in names}}


class Worker:
    """Computes parts of some work, two at once: while one ends, the cores are busy with the other.

    Args:
        task: What the parts share.
        options: For the executor of its machine.
    """

    def __init__(self, task: Task, options: ExecutorOptions) -> None:
        self._task = task
        self._options = options
        self._places_of = {extractor: place for place, extractor in enumerate(task.extractors)}
        self._kept: list[Kept] = []
        self._lacks = {file.sha256 for file in task.files if not there(self._here(file))}
        self._machine: Machine | None = None
        self._stack = ExitStack()
        self._lock = Lock()
        self._said = 0

    def about(self) -> About:
        """Tell who it is."""
        extractors = self._task.extractors
        context = ray.get_runtime_context()
        return About(
            node=context.get_node_id(),
            host=ray.util.get_node_ip_address(),
            processor=hardware(self._task.numerics.device),
            versions=versions(extractors),
            fingerprints=tuple(e.fingerprint(self._task.numerics) for e in extractors),
            lacks=tuple(self._lacks),
        )

    def supply(self, names: Sequence[str], *contents: bytes) -> None:
        """Take in files that it cannot read, by their hash."""
        self._kept.append(Kept(dict(zip(names, contents, strict=True))))

    def news(self) -> int:
        """Tell how much came of all that it computed."""
        return self._said

    def compute(self, work: Work, data: Mapping[str, bytes]) -> bytes:
        """Compute a part.

        Args:
            work: With the paths of the driver, and without weights.
            data: Files of its images, where they were sent.

        Returns:
            An `Answer`, pickled: many small arrays travel faster so than one by one.
        """
        sent, answer = Kept(data), Answer()
        try:
            for outcome in self._at_work().run(self._placed(work, sent), silent):
                self._said += 1
                match outcome:
                    case Decoded():
                        answer.decoded.append(outcome)
                    case Computed(extractor, key, result):
                        answer.computed.append((self._places_of[extractor], key, result))
                    case Broken(extractor, error):
                        answer.broken.append((self._places_of[extractor], _portable(error)))
                    case Warned(sentence):
                        answer.warned.append(sentence)
            return pickle.dumps(answer, protocol=5)
        finally:
            sent.close()

    def _placed(self, work: Work, sent: Kept) -> Work:
        places = self._places()
        return replace(
            placed(work, self._task.folder, sent.places),
            images={with_files(e, places): keys for e, keys in work.images.items()},
            pairs={with_files(e, places): pairs for e, pairs in work.pairs.items()},
        )

    def _at_work(self) -> Machine:
        with self._lock:
            if self._machine is None:
                places = self._places()
                weights = {name: places[sha256] for name, sha256 in self._task.weights.items()}
                executor = LocalExecutor(self._options)
                self._machine = self._stack.enter_context(executor.open(weights, self._task.max_pixels))
            return self._machine

    def _here(self, file: GivenFile) -> GivenFile:
        return replace(file, path=absolute(file.path, self._task.folder))

    def _places(self) -> dict[str, Path]:
        sent = {sha256: path for kept in self._kept for sha256, path in kept.places.items()}
        return {**{f.sha256: self._here(f).path for f in self._task.files}, **sent}


def _portable(error: Exception) -> Exception:
    """Return an exception that the driver can unpickle: it may be of any kind."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - its own
    except Exception:  # noqa: BLE001 - whatever it lacks for that
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def remote_worker(cpus: int, gpus: int, memory: int) -> Any:
    """Return the class as an actor that asks its machine for these; it is not restarted by itself."""
    as_actor = ray.remote(
        num_cpus=cpus,
        num_gpus=gpus,
        memory=memory,
        max_restarts=0,
        concurrency_groups={COMPUTING: 2},
    )
    return as_actor(Worker)
