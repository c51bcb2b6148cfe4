"""What an executor is: the only part of an engine that differs between one machine and many."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fhpt_eval.engine.contents import hash_files
from fhpt_eval.engine.contract import Outcome, Work
from fhpt_eval.extract.numerics import Numerics, Precision
from fhpt_eval.plugins import Found, find_plugins
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing

GROUP = "fhpt_eval.executors"
LOCAL = "local"
RAY = "ray"


@dataclass(frozen=True)
class ExecutorOptions:
    """What a command line says about where and how to compute.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``…
        batch_size: Images of an extractor at work at once, at most; None for as many as suit the device and its
            memory. Lowered, and said, when memory does not suffice. On a GPU a network sees that many together, and its
            results may differ in the last digit of float32. On a CPU every image goes through by itself in one thread,
            as many at once as there are workers: that is as fast, and the results do not depend by a single bit on
            batch size, order or number of cores.
        workers: Threads for networks on the CPU, processes for detectors and, where there is another device, for
            decoding; None for one a core.
        detector_timeout: Seconds that a detector may take for an image before it is stopped.
        precision: See `Numerics`.
        reference_math: See `Numerics`.
        ray_address: Of a Ray cluster, for the executor that has one: ``auto`` or ``HOST:PORT``.
        tell: Called with what the user should know at once, such as which cluster it is.
    """

    device: str = "auto"
    batch_size: int | None = None
    workers: int | None = None
    detector_timeout: float = 60.0
    precision: Precision = "float32"
    reference_math: bool = False
    ray_address: str | None = None
    tell: Callable[[str], None] | None = None


class Executor(ABC):
    """Computes what an engine asks for.

    It decodes each image where it computes (`fhpt_eval.engine.opening.open_image`), shows it to each extractor in that
    extractor's geometry, and says what came of it, in any order and as it comes. The engine keeps it in the cache. An
    image that cannot be read costs that image, an extractor that raises is `Broken` and costs no other extractor.

    Class attributes:
        name: What it is called with ``--engine``.
    """

    name: ClassVar[str]

    @abstractmethod
    def __init__(self, options: ExecutorOptions) -> None:
        """Take the options; nothing is started before there is work.

        Raises:
            UserError: If they ask for what is not there.
        """

    @property
    @abstractmethod
    def numerics(self) -> Numerics:
        """How it computes, as recorded with a run; part of the keys under which results are kept."""

    @property
    def own_device(self) -> str:
        """The torch device of this process, for what is computed from the results."""
        return self.numerics.device

    @abstractmethod
    def run(self, work: Work, progress: Progress) -> Generator[Outcome, None, None]:
        """Yield a `Decoded` for each file, and a `Computed` for each image and pair that an extractor is asked about.

        Args:
            work: What to compute; there is at least one file.
            progress: Called often with ``extracting``, the images done and their number; cheap.

        The generator is closed where a run ends early: what it started then ends, too.
        """

    def hash_files(self, paths: Sequence[Path], progress: Progress) -> Iterator[str | Missing]:
        """Yield the SHA-256 of each file's bytes, or why it cannot be opened, in the order of the paths.

        This process reads them; an executor of many machines may have them read where the work is.

        Args:
            paths: Each once.
            progress: Called with ``reading files``, the files read and their number.
        """
        return hash_files(paths, progress)


def find_executors() -> Found[Executor]:
    """Import every executor that an installed package declares; that of this machine is not among them."""
    return find_plugins(GROUP, "executor", Executor, _try_out)


def _try_out(executor: type[Executor]) -> None:
    """Raise what opening an engine would stumble over."""
    if inspect.isabstract(executor):
        raise TypeError(f"it lacks {', '.join(sorted(executor.__abstractmethods__))}")
    if executor.name == LOCAL:
        raise ValueError(f"the name {LOCAL} is taken")
