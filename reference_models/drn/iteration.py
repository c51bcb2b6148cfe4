"""Iterations one after another without waiting for the device; on a GPU replayed as a CUDA graph."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from fhpt_eval.reference_models.drn.updates import Updates

WARM_UP = 8
"""Iterations before one is captured: libraries choose and allocate what they need in the first ones."""

AHEAD = 8
"""Iterations that may wait in the GPU's queue, so that clocks and stop signals are not far ahead of it."""


_cuda: Any = torch.cuda  # some of it has no types


class Recorder(Protocol):
    """Records what a function does on a device."""

    def apart(self) -> AbstractContextManager[None]:
        """Run what is to be recorded later as recording wants it."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record it without doing it, and return a function that does it with what its tensors hold by then."""

    def pace(self) -> None:
        """Wait until not too much is waiting for the device."""


class CudaGraphs:
    """Records CUDA graphs: thousands of kernels are then launched at once."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._stream = _cuda.Stream(device)
        self._ends: deque[Any] = deque()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Run on a stream of its own, as PyTorch's notes on CUDA graphs say."""
        usual = _cuda.current_stream(self._device)
        self._stream.wait_stream(usual)
        with _cuda.stream(self._stream):
            yield
        usual.wait_stream(self._stream)

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Capture a graph."""
        _cuda.synchronize(self._device)
        graph = _cuda.CUDAGraph()
        with _cuda.graph(graph):
            work()
        replay: Callable[[], None] = graph.replay
        return replay

    def pace(self) -> None:
        """Wait for the end of the iteration before the last `AHEAD` ones."""
        end = _cuda.Event()
        end.record(_cuda.current_stream(self._device))
        self._ends.append(end)
        if len(self._ends) > AHEAD:
            self._ends.popleft().synchronize()


class Iterations:
    """Updates on batch after batch; losses are summed up on the device until somebody asks.

    Args:
        updates: What an iteration does.
        recorder: Records an iteration after some, which is replayed from then on; None never records.
    """

    def __init__(self, updates: Updates, recorder: Recorder | None = None) -> None:
        self._updates = updates
        self._recorder = recorder
        self._records = recorder is not None
        self._done = 0
        self._inputs: dict[str, Tensor] = {}
        self._replay: Callable[[], None] | None = None
        self._names: list[str] = []
        self._sums: Tensor | None = None

    def __call__(self, batch: Mapping[str, Tensor]) -> None:
        """Do one iteration, or queue it."""
        if self._recorder is None:
            self._step(batch)
            return
        if self._records:
            self._do_recorded(batch, self._recorder)
        else:
            self._step(batch)
        self._recorder.pace()

    def take(self) -> dict[str, Tensor]:
        """Return the sums of the losses since the last time, nothing before the first iteration."""
        if self._sums is None:
            return {}
        sums = self._sums.clone()
        self._sums.zero_()
        return dict(zip(self._names, sums, strict=True))

    def _step(self, batch: Mapping[str, Tensor]) -> None:
        losses = self._updates.step(batch)
        values = torch.stack(list(losses.values()))
        if self._sums is None:
            self._names, self._sums = list(losses), torch.zeros_like(values)
        self._sums += values

    def _do_recorded(self, batch: Mapping[str, Tensor], recorder: Recorder) -> None:
        if not self._inputs:
            self._inputs = {
                name: torch.empty_like(tensor, device=self._updates.device) for name, tensor in batch.items()
            }
        for name, tensor in batch.items():
            self._inputs[name].copy_(tensor, non_blocking=True)
        if self._replay is None and self._done >= WARM_UP:
            try:
                self._replay = recorder.record(lambda: self._step(self._inputs))
            except RuntimeError as error:
                self._records = False
                print(
                    f"fhpt-eval: warning: an iteration could not be captured as a CUDA graph"
                    f" ({str(error).splitlines()[0]}): the training goes on without, and more slowly.",
                    file=sys.stderr,
                )
        if self._replay is not None:
            self._replay()
        else:
            with recorder.apart():
                self._step(self._inputs)
        self._done += 1
