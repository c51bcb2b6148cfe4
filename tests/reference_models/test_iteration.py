"""Iterations that are recorded and replayed, by what stands in for CUDA graphs; and TF32 off unless asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from toy_updates import body, body_batch, moved, snapshot

from fhpt_eval.reference_models.drn.arithmetic import float32_as
from fhpt_eval.reference_models.drn.iteration import WARM_UP, Iterations


class Recorded:
    """Does again what it recorded, with the tensors that were there then: as a CUDA graph."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.apart_now = False
        self.replayed = self.recorded = self.paced = 0

    @contextmanager
    def apart(self) -> Iterator[None]:
        self.apart_now = True
        yield
        self.apart_now = False

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        assert not self.apart_now
        self.recorded += 1
        if self.broken:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")

        def replay() -> None:
            self.replayed += 1
            work()

        return replay

    def pace(self) -> None:
        self.paced += 1


def run(iterations: Iterations, count: int) -> list[dict[str, float]]:
    taken = []
    for seed in range(count):
        iterations(body_batch(seed))
        if seed % 3 == 2:
            taken.append({name: float(value) for name, value in iterations.take().items()})
    return taken


def test_replayed_iterations_are_the_iterations_to_the_bit() -> None:
    plain, recorded, recorder = body(), body(), Recorded()
    count = WARM_UP + 4
    assert run(Iterations(plain), count) == run(Iterations(recorded, recorder), count)
    assert not moved(snapshot(plain), snapshot(recorded))
    assert (recorder.recorded, recorder.replayed, recorder.paced) == (1, 4, count)


def test_where_recording_fails_the_training_goes_on_and_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    plain, recorded, recorder = body(), body(), Recorded(broken=True)
    count = WARM_UP + 4
    assert run(Iterations(plain), count) == run(Iterations(recorded, recorder), count)
    assert not moved(snapshot(plain), snapshot(recorded))
    assert recorder.recorded == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "could not be captured as a CUDA graph (operation not permitted when stream is capturing)" in said


def test_sums_begin_anew_when_they_are_taken() -> None:
    iterations = Iterations(body())
    assert iterations.take() == {}
    iterations(body_batch())
    first = body().step(body_batch())
    assert {name: float(value) for name, value in iterations.take().items()} == {n: float(v) for n, v in first.items()}
    assert {float(value) for value in iterations.take().values()} == {0.0}


@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("tf32", True), ("bfloat16", False)])
def test_a_gpu_takes_tf32_only_where_it_is_asked_for(precision: str, allowed: bool) -> None:
    libraries: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    before = [library.allow_tf32 for library in libraries]
    try:
        for default in (True, False):
            for library in libraries:
                library.allow_tf32 = default
            with float32_as(precision, "cuda:0"):  # type: ignore[arg-type]
                assert {library.allow_tf32 for library in libraries} == {allowed}
            assert {library.allow_tf32 for library in libraries} == {default}
    finally:
        for library, value in zip(libraries, before, strict=True):
            library.allow_tf32 = value
