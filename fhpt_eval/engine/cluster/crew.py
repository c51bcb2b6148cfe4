"""Workers of one size, and the parts that they have in hand.

Ray places each worker on a machine that has room for it, has the autoscaler add machines for those that wait, carries
what is handed to them, and tells which were lost. Here is what it cannot know: what a worker gets next, and what
becomes of a part whose worker was lost.
"""

from __future__ import annotations

import pickle
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from fhpt_eval.engine.cluster.connection import address_of
from fhpt_eval.engine.cluster.parts import Part, Parts, part_size
from fhpt_eval.engine.cluster.travelling import contents, files_of
from fhpt_eval.engine.cluster.worker import COMPUTING, About, Answer, Task, remote_worker, versions
from fhpt_eval.engine.contract import Computed, Decoded, Outcome, Warned, Work
from fhpt_eval.engine.executor import ExecutorOptions
from fhpt_eval.errors import UserError
from fhpt_eval.memory import out_of_memory
from fhpt_eval.records import Missing

IN_HAND = 2
"""Parts that a worker has at once: while one ends, it is busy with the other."""

_TRIES = 2
"""How often a part is handed out, before a smaller one is tried, and one image is given up."""

_LOADING = 600.0
"""Seconds in which a worker may say nothing at first, while networks load on a machine that others use, too."""

SILENCE = 60.0
"""Seconds that a worker may say nothing later, beside twice what a detector may take for an image."""

_MEASURED = 2.0
"""Seconds over which it is measured how long an image takes."""

_SEVERAL = 4
"""Images that a worker cannot read, and no other in a part, before its machine counts as one that sees no file."""

_AWAY = 5.0
"""Seconds between two looks at the workers, above which it was this process that did nothing: stopped, for example."""

_ASK_AFTER = 2.0
"""Seconds after which a worker is asked again how far it is."""

_STARTS = 3
"""Workers that may fail to start one after another, before that is taken for the rule."""


@dataclass(frozen=True)
class Size:
    """What a worker asks its machine for.

    Attributes:
        cpus: Cores.
        gpus: GPUs.
        memory: Bytes.
        images: In a part, before it is known how long one takes.
    """

    cpus: int
    gpus: int
    memory: int
    images: int

    @property
    def resources(self) -> dict[str, int]:
        """What it asks for, as Ray calls it."""
        return {"CPU": self.cpus, "GPU": self.gpus, "memory": self.memory}


@dataclass(eq=False)
class _Member:
    """A worker.

    Attributes:
        actor: Ray's handle.
        starting: Its answer to who it is, or then, that it has taken in the files that it lacked.
        told: Who it is.
        ready: Whether it can be given parts.
        hand: The parts that it is at, by Ray's reference to what will come of them.
        since: When its images were counted anew, to measure how long one takes.
        images: That it has done since.
        said: How much came of what it was given, when it was last asked, and when that was news.
        asking: The question how far it is, while it is open.
    """

    actor: Any
    starting: Any
    told: About | None = None
    ready: bool = False
    hand: dict[Any, Part] = field(default_factory=dict)
    since: float | None = None
    images: int = 0
    said: int = 0
    heard: float = field(default_factory=time.monotonic)
    asked: float = field(default_factory=time.monotonic)
    asking: Any = None

    @property
    def silence(self) -> float:
        """Seconds in which nothing was heard of it."""
        return time.monotonic() - self.heard


class Crew:
    """Workers of one size, as many as the cluster has room for, and some work that they compute.

    Args:
        work: What they are to compute.
        task: What all parts of it share.
        size: Of each worker.
        options: For the executor on its machine.
    """

    def __init__(self, work: Work, task: Task, size: Size, options: ExecutorOptions) -> None:
        self.done = 0
        self.total = len(work.files)
        self._task = task
        self._size = size
        self._options = options
        self._parts = Parts(work)
        self._again: deque[Part] = deque()
        self._members: list[_Member] = []
        self._stored: dict[str, Any] = {}
        self._blind: set[str] = set()
        self._processors: dict[str, str] = {}
        self._looked = time.monotonic()
        self._failed_starts = 0
        self._seconds_an_image: float | None = None

    @property
    def busy(self) -> bool:
        """Whether something is left to do."""
        return bool(self._parts.left or self._again or any(member.hand for member in self._members))

    @property
    def at_work(self) -> int:
        """Workers that have started."""
        return sum(member.ready for member in self._members)

    def room(self, machines: list[dict[str, float]], cores: int | None) -> int:
        """Return how many workers there should be: as many as fit, or where so many cores are asked for, have these."""
        if cores is not None:
            return max(1, cores // self._size.cpus)
        fits = [
            min(machine.get(what, 0) // asked for what, asked in self._size.resources.items() if asked)
            for machine in machines
        ]
        return max(1, int(sum(fits)))

    def staff(self, count: int) -> None:
        """Have as many workers, as far as there is work for them."""
        waiting = self._parts.left + len(self._again)
        for _ in range(min(count - len(self._members), waiting)):
            actor = remote_worker(self._size.cpus, self._size.gpus, self._size.memory).remote(self._task, self._options)
            self._members.append(_Member(actor, actor.about.remote()))

    def pending(self) -> list[Any]:
        """Return Ray's references to all that is awaited."""
        return [
            ref
            for member in self._members
            for ref in (*([] if member.ready else [member.starting]), *member.hand, member.asking)
            if ref is not None
        ]

    def hand_out(self) -> None:
        """Give each worker that has started as many parts as it should have."""
        for member in self._members:
            alone = any(part.lost >= _TRIES for part in member.hand.values())
            while member.ready and len(member.hand) < IN_HAND and not alone:
                if (part := self._next(idle=not member.hand)) is None:
                    break
                alone = part.lost >= _TRIES
                self._give(member, part)
            if member.hand and member.asking is None and time.monotonic() - member.asked > _ASK_AFTER:
                member.asking, member.asked = member.actor.news.remote(), time.monotonic()

    def take(self, ready: set[Any]) -> Iterator[Outcome]:
        """Yield what came of what was awaited, and of workers that are lost or hang."""
        self._allow_for_absence()
        for member in [*self._members]:
            if not member.ready and member.starting in ready:
                yield from self._started(member)
            for ref in [ref for ref in member.hand if ref in ready]:
                if ref in member.hand:  # a worker that is found lost has nothing in hand any more
                    yield from self._finished(member, ref)
            if member.asking in ready and member in self._members:
                yield from self._heard(member)
            if member in self._members and member.hand and member.silence > self._patience(member):
                yield from self._lost(member, "stopped: it did nothing any more")

    def _allow_for_absence(self) -> None:
        """Blame no worker for time in which nobody listened."""
        now = time.monotonic()
        if (away := now - self._looked) > _AWAY:
            for member in self._members:
                member.heard += away
        self._looked = now

    def dismiss(self) -> None:
        """End all workers."""
        for member in self._members:
            ray.kill(member.actor)
        self._members = []

    def _patience(self, member: _Member) -> float:
        """Return how many seconds a worker may say nothing."""
        later = 2 * self._options.detector_timeout + SILENCE
        return later if member.said else max(later, _LOADING)

    def _next(self, *, idle: bool) -> Part | None:
        """Return the next part; one that is computed alone only for a worker that has nothing else in hand."""
        for index, part in enumerate(self._again):
            if idle or part.lost < _TRIES:
                del self._again[index]
                return part
        size = part_size(self._size.images, self._seconds_an_image, self._parts.left, len(self._members))
        return self._parts.take(size)

    def _give(self, member: _Member, part: Part) -> None:
        if not member.hand:
            member.heard = time.monotonic()
        data: dict[str, bytes] = {}
        if part.sent or (member.told is not None and member.told.node in self._blind):
            data = contents(file for key, ref in part.work.files.items() for file in files_of(key, ref))
            part.sent = True
        computing = member.actor.compute.options(concurrency_group=COMPUTING)
        member.hand[computing.remote(_bare(part.work), data)] = part

    def _started(self, member: _Member) -> Iterator[Outcome]:
        try:
            told: About | None = ray.get(member.starting)
        except RayError as error:
            self._members.remove(member)
            self._failed_starts += 1
            if self._failed_starts >= _STARTS and not self.at_work:
                raise UserError(
                    f"no worker of the Ray cluster at {address_of(ray)} can start{_where(error)}: {_why(error)}. Ray's"
                    " logs on that machine (/tmp/ray/session_latest/logs) tell more; see that fhpt-eval is installed"
                    " there as it is here, and that there is memory."
                ) from None
            return
        member.told = told or member.told
        self._failed_starts = 0
        if told is None or not told.lacks:
            member.ready = True
        else:
            member.starting = self._supply(member.actor, told.lacks)
        if told is not None:
            self._check(told)
            self._processors.setdefault(told.processor, told.host)
        if told is not None and len(self._processors) > 1:
            kinds = " and ".join(f"{kind} ({host})" for kind, host in sorted(self._processors.items()))
            yield Warned(
                f"the cluster has processors of several kinds, {kinds}: the last digits of what networks compute can"
                " differ between them"
            )

    def _supply(self, actor: Any, lacking: Sequence[str]) -> Any:
        """Send files that extractors load; return what tells that they came."""
        files = {file.sha256: file for file in self._task.files}
        for sha256, data in contents(files[sha] for sha in lacking if sha not in self._stored).items():
            self._stored[sha256] = ray.put(data)
        there = [sha256 for sha256 in lacking if sha256 in self._stored]
        return actor.supply.remote(there, *(self._stored[sha256] for sha256 in there))

    def _check(self, about: About) -> None:
        """Refuse a machine that computes something else.

        Raises:
            UserError: It does.
        """
        extractors = self._task.extractors
        if about.fingerprints == tuple(e.fingerprint(self._task.numerics) for e in extractors):
            return
        here = versions(extractors)
        differing = [name for name in here if here[name] != about.versions.get(name)]
        told = ", ".join(f"{n} {about.versions.get(n) or 'is not there'} (here {here[n] or 'none'})" for n in differing)
        raise UserError(
            f"the machine {about.host} of the cluster would compute other numbers"
            f"{': ' + told if told else ' than this one'}. Install the same versions on all machines."
        )

    def _finished(self, member: _Member, ref: Any) -> Iterator[Outcome]:
        try:
            answer: Answer = pickle.loads(ray.get(ref))  # noqa: S301 - of our own worker
        except RayTaskError as error:
            if not out_of_memory(error.cause):
                raise error.cause or error from None
            yield from self._lost(member, "not enough memory")
            return
        except RayError as error:
            yield from self._lost(member, _why(error))
            return
        part = member.hand.pop(ref)
        member.heard = time.monotonic()
        self._measure(member, part.images)
        unread = set() if part.sent else {d.key for d in answer.decoded if isinstance(d.info, Missing)}
        if unread and member.told is not None:
            if len(unread) == len(part.work.files) >= _SEVERAL:
                self._blind.add(member.told.node)
            self._again.append(replace(part.about(unread), sent=True))
        self.done += part.images
        for outcome in answer.outcomes(self._task.extractors):
            if not (isinstance(outcome, Decoded | Computed) and unread.intersection(_keys(outcome))):
                yield outcome

    def _measure(self, member: _Member, images: int) -> None:
        """Note how long an image takes; not in the first part, where networks load, and of some parts together.

        A worker is at two parts at once, and ends the second right after the first.
        """
        now = time.monotonic()
        if member.since is None:
            member.since = now
            return
        member.images += images
        if now - member.since > _MEASURED and member.images:
            measured, before = (now - member.since) / member.images, self._seconds_an_image
            self._seconds_an_image = measured if before is None else (measured + before) / 2
            member.since, member.images = now, 0

    def _heard(self, member: _Member) -> Iterator[Outcome]:
        asking, member.asking = member.asking, None
        try:
            said = ray.get(asking, timeout=0)
        except GetTimeoutError:
            return
        except RayError as error:
            yield from self._lost(member, _why(error))
            return
        if said != member.said:
            member.said, member.heard = said, time.monotonic()

    def _lost(self, member: _Member, why: str) -> Iterator[Outcome]:
        """Let a worker go; others get what it had in hand, in smaller parts where that was so before."""
        self._members.remove(member)
        ray.kill(member.actor)
        host = "of the cluster" if member.told is None else f"on {member.told.host}"
        yield Warned(f"a worker {host} was lost, and what it was at given to another ({why})")
        hand, member.hand = member.hand, {}
        for part in hand.values():
            part.lost += 1
            halves = part.halves()
            if part.lost > _TRIES and len(halves) == 1:
                self.done += part.images
                yield from _given_up(part)
            elif part.lost < _TRIES or len(halves) == 1:
                self._again.append(part)
            else:
                for half in halves:
                    half.lost = _TRIES - 1
                    self._again.append(half)


def _given_up(part: Part) -> Iterator[Outcome]:
    """Yield what is said of one image, or one pair, that cost several workers."""
    why = Missing("workers of the cluster were lost when they computed this image")
    for key in part.own:
        yield Decoded(key, why)
    for extractor, keys in part.work.images.items():
        yield from (Computed(extractor, key, why) for key in keys)
    for comparison, pairs in part.work.pairs.items():
        yield from (Computed(comparison, pair, why) for pair in pairs)


def _bare(work: Work) -> Work:
    """Return some work without what workers have from the start."""
    return Work(work.files, work.images, work.pairs, {}, work.max_pixels, work.sizes)


def _keys(outcome: Decoded | Computed) -> tuple[str, ...]:
    return (outcome.key,) if isinstance(outcome.key, str) else outcome.key


def _where(error: BaseException) -> str:
    """Return on which machine it was that Ray tells of, as far as it says."""
    found = re.search(r"\bip[:=] *([^\s,)]+)", str(error))
    return f" on {found[1]}" if found else ""


def _why(error: BaseException) -> str:
    """Return in few words what Ray says at length."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return f"{type(cause).__name__}: {cause}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # Where a worker raised when it was made, what it raised stands at the end of its traceback.
    return (lines[-1] if "creation task" in lines[0] else lines[0]).rstrip(".:")
