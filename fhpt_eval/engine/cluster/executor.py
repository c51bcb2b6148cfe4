"""The executor of a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fhpt_eval.engine.cluster.connection import connect, place, quietly
from fhpt_eval.engine.cluster.parts import LARGEST, only
from fhpt_eval.engine.contents import hash_files
from fhpt_eval.engine.contract import Outcome, Warned, Work
from fhpt_eval.engine.executor import RAY, Executor, ExecutorOptions
from fhpt_eval.engine.machine import pick_device
from fhpt_eval.engine.memory import memory_of_work, usual_batch_size
from fhpt_eval.errors import UserError
from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.files.remote import RemotePath
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing

if TYPE_CHECKING:
    from fhpt_eval.engine.cluster.crew import Crew, Size

_CORES = 4
"""Cores of a worker, at most: they share what is loaded, and one interpreter hands no more of them their work."""

_LOOK_AFTER = 3.0
"""Seconds after which the machines of the cluster are counted again: one may be lost, or new."""


class RayExecutor(Executor):
    """Computes on the machines of a Ray cluster.

    Each worker there is an executor of its own machine, and gets parts of the work; so the same numbers come as on one
    machine, to the bit on CPUs. Where the cluster has GPUs, networks have workers with one each, and detectors and
    comparisons of pixels workers with cores alone.
    """

    name: ClassVar[str] = RAY

    def __init__(self, options: ExecutorOptions) -> None:
        """Take the options.

        Raises:
            UserError: They name a device that workers cannot have.
        """
        self._options = options
        kind = options.device.split(":")[0]
        if kind not in {"auto", "cpu", "cuda"}:
            raise UserError(f"workers of a cluster compute on cpu or cuda, not on {options.device}: give one of these.")
        self._kind = kind

    @cached_property
    def numerics(self) -> Numerics:
        """The options, with the device that the cluster has."""
        device = self._kind
        if device == "auto":
            device = "cuda" if self._ray.cluster_resources().get("GPU") else "cpu"
        return Numerics(device, self._options.precision, self._options.reference_math)

    @cached_property
    def _ray(self) -> Any:
        """The module, once this process is connected to the cluster, and it was told to which."""
        ray = connect(self._options.ray_address)
        if self._options.tell is not None:
            self._options.tell(place(ray))
        return ray

    @property
    def own_device(self) -> str:
        """That of this machine, which may lack what the others have."""
        return "cpu" if self.numerics.device == "cpu" else pick_device("auto")

    def hash_files(self, paths: Sequence[Path], progress: Progress) -> Iterator[str | Missing]:
        """Yield the hash of each file's bytes; those at an address are read by the machines of the cluster.

        Others are read here: what lies at a path of this machine may be another file on another one.
        """
        if not any(isinstance(path, RemotePath) for path in paths):
            yield from hash_files(paths, progress)
            return
        _ = self._ray
        from fhpt_eval.engine.cluster.hashing import hash_on_cluster

        with quietly():
            yield from hash_files(paths, progress, hash_on_cluster)

    def run(self, work: Work, progress: Progress) -> Generator[Outcome, None, None]:
        """Yield what comes of the images and pairs, as it comes."""
        progress("reaching the cluster", 0, 1)
        ray = self._ray
        progress("reaching the cluster", 1, 1)
        told: set[str] = set()
        crews = self._crews(ray, work)
        try:
            with quietly():
                for outcome in self._outcomes(ray, crews, progress):
                    if isinstance(outcome, Warned):
                        if outcome.sentence in told:
                            continue
                        told.add(outcome.sentence)
                    yield outcome
        finally:
            for crew in crews:
                crew.dismiss()

    def _outcomes(self, ray: Any, crews: list[Crew], progress: Progress) -> Iterator[Outcome]:
        total = sum(crew.total for crew in crews)
        looked = 0.0
        while any(crew.busy for crew in crews):
            if time.monotonic() - looked > _LOOK_AFTER:
                self._staff(ray, crews)
                looked = time.monotonic()
            for crew in crews:
                crew.hand_out()
            awaited = [ref for crew in crews for ref in crew.pending()]
            ready, _ = ray.wait(awaited, num_returns=1, timeout=1.0, fetch_local=True)
            more, _ = ray.wait(awaited, num_returns=len(awaited), timeout=0) if ready else ([], [])
            for crew in crews:
                yield from crew.take({*ready, *more})
            if any(crew.at_work for crew in crews):
                progress("extracting", sum(crew.done for crew in crews), total)
            else:
                progress("starting workers", 0, 1)

    def _crews(self, ray: Any, work: Work) -> list[Crew]:
        """Return who computes what."""
        from fhpt_eval.engine.cluster.crew import Crew

        if self.numerics.device == "cpu":
            shares = [("cpu", work)]
        else:
            on_device, others = _on_device(work)
            shares = [(device, share) for device, share in (("cuda", on_device), ("cpu", others)) if share.files]
        crews = []
        for device, share in shares:
            size = _size(ray, share, device, shared=len(shares) > 1)
            options = replace(self._options, device=device, workers=size.cpus, ray_address=None, tell=None)
            crews.append(Crew(share, _task(share, replace(self.numerics, device=device)), size, options))
        return crews

    def _staff(self, ray: Any, crews: list[Crew]) -> None:
        """Have as many workers as there is room for, or as were asked for."""
        machines = _machines(ray)
        for crew in crews:
            crew.staff(crew.room(machines, self._options.workers))


def _on_device(work: Work) -> tuple[Work, Work]:
    """Split work into that of networks on the device and the rest, which has what is only to be decoded."""

    def share(chosen: set[Extractor], *, rest: bool) -> Work:
        images = {e: keys for e, keys in work.images.items() if e in chosen}
        pairs = {e: group for e, group in work.pairs.items() if e in chosen}
        asked = set().union(*images.values(), *(pair for group in pairs.values() for pair in group))
        if rest:
            asked |= work.files.keys() - elsewhere
        files = {key: ref for key, ref in work.files.items() if key in asked}
        return replace(work, files=files, images=images, pairs=pairs)

    every = {*work.images, *work.pairs}
    networks = {e for e in every if e.on_device}
    first = share(networks, rest=False)
    elsewhere = first.files.keys()
    return first, share(every - networks, rest=True)


def _task(work: Work, numerics: Numerics) -> Any:
    from fhpt_eval.engine.cluster.travelling import brought
    from fhpt_eval.engine.cluster.worker import Task

    extractors = (*work.images, *work.pairs)
    weights = {w.name: w.sha256 for e in extractors for w in e.weights()}
    return Task(extractors, numerics, tuple(brought(work)), weights, Path.cwd(), work.max_pixels)


def _machines(ray: Any) -> list[dict[str, float]]:
    """Return what each machine of the cluster has."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _size(ray: Any, work: Work, device: str, *, shared: bool) -> Size:
    """Return what a worker asks for, so that the machines of the cluster are filled."""
    from fhpt_eval.engine.cluster.crew import Size

    machines = [machine for machine in _machines(ray) if machine.get("CPU")]
    if device == "cuda":
        cores = [int(m["CPU"] / m["GPU"]) for m in machines if m.get("GPU")]
        # The others are for detectors.
        cpus = max(1, min(cores, default=_CORES) // (2 if shared else 1))
    else:
        cpus = fitting_cores([int(machine["CPU"]) for machine in machines])
    images = max(1, usual_batch_size(device, cpus))
    memory = memory_of_work(_beginning(work, LARGEST), batch_size=None, workers=cpus, device=device)
    # One that no machine has would be waited for in vain.
    most = max((int(machine.get("memory", 0)) for machine in machines), default=memory)
    return Size(cpus, int(device == "cuda"), min(memory, most), images)


def _beginning(work: Work, images: int) -> Work:
    """Return the work on the first images."""
    keys = {*islice(work.files, images)}
    pairs = {pair for group in work.pairs.values() for pair in group if keys.issuperset(pair)}
    return only(work, keys, pairs)


def fitting_cores(machines: list[int]) -> int:
    """Return how many cores a worker should have, so that the fewest are left over; of several the most."""
    most = min([_CORES, *machines])
    return max(range(1, most + 1), key=lambda n: (-sum(cores % n for cores in machines), n))
