"""Evaluation beside a training loop, in a second process, while the loop goes on."""

from __future__ import annotations

import multiprocessing
import operator
import os
import sys
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, SupportsIndex

from fhpt_eval.engine.cache import Cache
from fhpt_eval.engine.engine import open_engine
from fhpt_eval.engine.executor import LOCAL
from fhpt_eval.engine.machine import check_device_name, one_thread
from fhpt_eval.engine.processes import end_with_parent, give_way, without_interrupts
from fhpt_eval.errors import UserError, sentence
from fhpt_eval.evaluation.evaluate import choose
from fhpt_eval.evaluation.evaluator import evaluate_fed
from fhpt_eval.evaluation.fed_images import FedImages, TemporaryFolder
from fhpt_eval.evaluation.reference_given import read_reference
from fhpt_eval.evaluation.run import Run
from fhpt_eval.evaluation.run_folder import check_name
from fhpt_eval.evaluation.tensorboard import Board
from fhpt_eval.extract.insight_face import FaceModels
from fhpt_eval.extract.weights import Store
from fhpt_eval.files.given import GivenFile
from fhpt_eval.files.owned_folder import claiming
from fhpt_eval.files.remote import refuse_address
from fhpt_eval.images.decoding import ImageRef
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.measuring.protocol import Profile, Protocol
from fhpt_eval.pairing.pairs import Pairs


@dataclass(frozen=True)
class _Job:
    """One evaluation.

    Attributes:
        step: Of the training.
        pairs: What was fed.
        folder: Where the images are.
        output: Where the run goes.
    """

    step: int
    pairs: Pairs
    folder: TemporaryFolder
    output: Path


class BackgroundEvaluator(FedImages):
    """Scores images of a training in a second process, while the training goes on.

    Images are fed by `update`, as to `Evaluator`; `submit` hands them over and returns at once. Each evaluation has a
    process of its own, one at a time, which leaves the cores to the training while that wants them and ends with it,
    whatever ends it. An evaluation that fails costs its run, not the training.

    After a ``with`` block, evaluations that wait are done first; where an exception leaves the block, they are dropped.

    Args:
        folder: Gets the folder of each run; made where it is not there.
        protocols: As in `evaluate`, and so for all up to ``store``.
        profile: Which networks.
        reference: The reference set of FID and KID, or its folder; None for the targets, equal ones once.
        gender_classifier: What judges genders.
        face_models: What finds and embeds faces.
        store: Where weights are looked for.
        name: Runs and their folders are called ``NAME-STEP``.
        writer: A ``SummaryWriter``, which gets scores, pictures and what is missing.
        pictures: How many pairs it gets pictures of.
        waiting: How many evaluations wait, at most, while one is done.
        when_full: ``skip`` drops the one that has waited longest, so that the last one of a training is never dropped;
            ``wait`` has the training wait.
        device: Where networks compute.
        batch_size: Images in work at once, at most.
        workers: Threads and processes on the CPU.
        memory_share: Of the memory of a CUDA device, what the process takes at most.

    Attributes:
        missed: Why there is no run, by step.

    Raises:
        UserError: A protocol is unknown, an option is impossible, what is named cannot be read, the folder cannot be
            written, or it is made in a script that lacks ``if __name__ == "__main__":``.
    """

    def __init__(
        self,
        folder: str | Path,
        protocols: Sequence[Measurement | Protocol | str] | None = None,
        *,
        profile: Profile = "paper",
        reference: Sequence[ImageRef] | str | Path | None = None,
        gender_classifier: GivenFile | str | Path | None = None,
        face_models: FaceModels | str | Path | None = None,
        store: Store | None = None,
        name: str = "epoch",
        writer: Any = None,
        pictures: int = 4,
        waiting: int = 1,
        when_full: Literal["skip", "wait"] = "skip",
        device: str = "auto",
        batch_size: int = 16,
        workers: int = 1,
        memory_share: float = 0.25,
    ) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            # The second process imports the script, which would train once more.
            raise UserError(
                "put what this script does under `if __name__ == '__main__':`: a second process imports it."
            )
        counts = {"waiting": waiting, "pictures": pictures, "workers": workers, "batch_size": batch_size}
        for option, value in counts.items():
            if value < 1:
                raise UserError(f"{option} is {value}, and has to be at least 1.")
        if not 0 < memory_share <= 1:
            raise UserError(f"memory_share is {memory_share}, and has to be above 0 and at most 1.")
        if when_full not in {"skip", "wait"}:
            raise UserError(f"when_full is '{when_full}': choose skip or wait.")
        check_name(name, "name")
        check_device_name(device)
        if isinstance(reference, str | Path):
            read_reference(reference)
        self._protocols = choose(protocols, profile)
        self._options = {
            "profile": profile,
            "reference": reference,
            "gender_classifier": GivenFile.at(gender_classifier)
            if isinstance(gender_classifier, str | Path)
            else gender_classifier,
            "face_models": FaceModels.at(face_models) if isinstance(face_models, str | Path) else face_models,
            "store": store,
        }
        self._machine = _Machine(device, batch_size, workers, memory_share)
        self._board = None if writer is None else Board(writer)
        self._output = _made(Path(folder))
        self._name = name
        super().__init__()
        self._pictures = pictures
        self._waiting = waiting
        self._when_full = when_full
        self.missed: dict[int, str] = {}
        self._jobs: list[tuple[_Job, Future[Run]]] = []
        self._thread = ThreadPoolExecutor(1)
        self._lock = threading.Lock()
        self._process: Any = None
        self._ended = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._end()
        self.close()

    def submit(self, step: SupportsIndex) -> Future[Run]:
        """Have all that was fed since the last time scored, and start again.

        Args:
            step: Of the training, its epoch or iteration, from 0 on: where TensorBoard shows it. One that is submitted
                again, by a training that was stopped and went on, replaces its run.

        Returns:
            The run that will be. Cancelled if it is dropped while it waits.

        Raises:
            UserError: Nothing was fed, or the step is none; what was fed stays.
        """
        number = _number(step)
        job = _Job(number, *self._hand_over(), self._output / f"{self._name}-{number:04}")
        while len(unfinished := self._unfinished()) > self._waiting:
            oldest, future = unfinished[1]
            if self._when_full == "wait":
                wait([future for _, future in unfinished], return_when=FIRST_COMPLETED)
            elif future.cancel():
                self._miss(oldest, _NO_ROOM)
        future = self._thread.submit(self._evaluate, job)
        self._jobs = [*self._unfinished(), (job, future)]
        return future

    def close(self) -> None:
        """Wait for the evaluations that were submitted, which is told on stderr, and forget all images."""
        unfinished = self._unfinished()
        if unfinished:
            names = ", ".join(job.output.name for job, _ in unfinished)
            one = "evaluation" if len(unfinished) == 1 else "evaluations"
            print(f"fhpt-eval: waiting for the {one} of {names} …", file=sys.stderr)
        try:
            wait([future for _, future in unfinished])
        finally:
            self._end()
            super().close()

    def _end(self) -> None:
        """Drop what is not done."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()
        for job, future in self._unfinished():
            if future.cancel():
                self._miss(job, _ENDED)
        self._thread.shutdown()

    def _unfinished(self) -> list[tuple[_Job, Future[Run]]]:
        return [(job, future) for job, future in self._jobs if not future.done()]

    def _evaluate(self, job: _Job) -> Run:
        """Have a process evaluate, and show what comes of it; in the thread that waits for it."""
        try:
            if self._board is not None:
                self._board.show_pictures(job.step, job.pairs, self._pictures)
            run = self._run_process(job)
            if self._board is not None:
                self._board.show_run(job.step, run)
        except Exception as error:
            self._miss(job, str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}")
            raise
        self.missed.pop(job.step, None)
        job.folder.remove()
        return run

    def _run_process(self, job: _Job) -> Run:
        """Return what a new process sends.

        Raises:
            UserError: The process ended early, or what is given does not fit.
            Exception: What else went wrong in it.
        """
        spawning = multiprocessing.get_context("spawn")
        line, its_line = spawning.Pipe()
        options = {**self._options, "name": job.output.name}
        process = spawning.Process(
            target=_serve, args=(its_line, job.pairs, self._protocols, options, self._machine, job.output)
        )
        with self._lock:
            if self._ended:
                raise UserError(_ENDED)
            with without_interrupts():
                process.start()
            self._process = process
        its_line.close()
        said = _said(line, process)
        process.join()
        if isinstance(said, Run):
            return said
        if said is None:
            said = UserError(_ENDED if self._ended else f"its process died ({_cause(process.exitcode)})")
        raise said

    def _miss(self, job: _Job, reason: str) -> None:
        """Tell why there is no run."""
        job.folder.remove()
        self.missed[job.step] = reason
        told = sentence(f"{job.output.name} was not evaluated: {reason}")
        print(f"fhpt-eval: warning: {told}", file=sys.stderr)
        if self._board is not None:
            self._board.show_gap(job.step, told)


_ENDED = "the training ended before"
_NO_ROOM = (
    "it had to make room for later ones, because evaluating takes longer than training:"
    ' when_full="wait" (the training waits) or a larger waiting= gives every step its run'
)


def _made(folder: Path) -> Path:
    """Return the folder of all runs, which is there from now on and can be written.

    Raises:
        UserError: It cannot be.
    """
    refuse_address(folder, instead="give a folder of this machine with the argument folder")
    with claiming(folder, "another folder"):
        folder.mkdir(parents=True, exist_ok=True)
        # As a run is written. Permissions alone do not tell of a file system that cannot be written.
        tempfile.TemporaryDirectory(dir=folder, prefix=".").cleanup()
    return folder


def _number(step: SupportsIndex) -> int:
    """Return a step as an int, whoever's integer it is.

    Raises:
        UserError: It is no integer from 0 on.
    """
    truth = isinstance(step, bool) or str(getattr(step, "dtype", "")).endswith("bool")
    try:
        number = -1 if truth else operator.index(step)
    except TypeError:
        number = -1
    if number < 0:
        raise UserError(f"the step is {step!r}: give the number of an epoch or an iteration, an int from 0 on.")
    return number


@dataclass(frozen=True)
class _Machine:
    """What a process may take of this machine; see `BackgroundEvaluator`."""

    device: str
    batch_size: int
    workers: int
    memory_share: float


def _serve(
    line: Connection,
    pairs: Pairs,
    protocols: Sequence[Measurement],
    options: dict[str, Any],
    machine: _Machine,
    output: Path,
) -> None:
    """Evaluate, and send the run or what went wrong."""
    end_with_parent()
    give_way()
    os.environ["OMP_NUM_THREADS"] = "1"
    one_thread()
    try:
        said: Run | Exception = _evaluated(pairs, protocols, options, machine, output)
    except Exception as error:  # noqa: BLE001 - handed to the training, which tells it
        said = error if isinstance(error, UserError) else RuntimeError(f"{type(error).__name__}: {error}")
    line.send(said)


def _evaluated(
    pairs: Pairs, protocols: Sequence[Measurement], options: dict[str, Any], machine: _Machine, output: Path
) -> Run:
    with Cache() as cache:
        engine = open_engine(
            LOCAL, cache, device=machine.device, batch_size=machine.batch_size, workers=machine.workers
        )
        bound_memory(engine.numerics.device, machine.memory_share)
        run = evaluate_fed(pairs, protocols, engine=engine, **options)
    run.save(output, overwrite=True)
    return run


def _said(line: Connection, process: BaseProcess) -> Any:
    """Return what a process sends; None if it ends before."""
    with line:
        # A process that the training forked meanwhile may hold the other end open, so that this one's end counts.
        while not line.poll(1) and process.is_alive():
            pass
        try:
            return line.recv() if line.poll() else None
        except EOFError:
            return None


def bound_memory(device: str, share: float) -> None:
    """Have this process take at most a share of the memory of a CUDA device; of others nothing is bounded."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.set_per_process_memory_fraction(share, torch.device(device).index)


def _cause(exit_code: int | None) -> str:
    """Return how a process ended."""
    if exit_code is not None and exit_code < 0:
        return f"signal {-exit_code}; memory may be short"
    return (
        f"exit code {exit_code}; if this is a script of yours, put what it does under `if __name__ == '__main__':`,"
        " because the process imports it"
    )
