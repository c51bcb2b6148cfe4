"""What a network is shown, batch by batch: pictures that are decoded ahead of it, or features that are known."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np

from fhpt_eval.engine.contract import Plan
from fhpt_eval.engine.engine import Engine
from fhpt_eval.engine.opening import hash_file, open_image, unreadable
from fhpt_eval.engine.processes import threads
from fhpt_eval.errors import UserError
from fhpt_eval.extract.efficientnet_lite0 import EFFICIENTNET_LITE0, EfficientNetLite0
from fhpt_eval.extract.extractor import Pixels
from fhpt_eval.extract.gender_classifier import SMALLEST, TOO_SMALL, WIDTHS
from fhpt_eval.extract.weights import Store
from fhpt_eval.images.decoding import MAX_PIXELS, ImageRef
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.progress import Progress
from fhpt_eval.records import Missing
from fhpt_eval.training.sampling import Indices

if TYPE_CHECKING:
    from torch import Tensor

_DECODERS = 4
_BATCHES_AHEAD = 2
_NATIVE = Geometry()


class Inputs(ABC):
    """The pictures of a data set as a network takes them.

    Attributes:
        contents: For each picture, a hash of what it shows, or why it cannot be used.
    """

    contents: list[str | Missing]

    @abstractmethod
    def batches(self, batches: Sequence[Indices], random: np.random.Generator | None = None) -> Iterator[Any]:
        """Yield what the network takes for each batch of indices; with a generator, augmented where that can be."""


class Pictures(Inputs):
    """Pictures at their own size, H×W×3 uint8; half of them mirrored when augmented. Two batches are held in memory."""

    def __init__(self, refs: Sequence[ImageRef], progress: Progress) -> None:
        """Hash and decode every picture once, to know which can be used."""
        self._refs = refs
        self.contents = []
        with threads(_DECODERS) as decoders:
            for done, content in enumerate(decoders.map(_identify, refs), start=1):
                self.contents.append(content)
                progress("reading images", done, len(refs))

    def batches(self, batches: Sequence[Indices], random: np.random.Generator | None = None) -> Iterator[list[Pixels]]:
        """Yield lists of pictures.

        Raises:
            UserError: A picture is no longer what it was.
        """
        waiting: deque[list[Future[Pixels]]] = deque()
        with threads(_DECODERS) as decoders:
            for batch in batches:
                mirrored = np.zeros(len(batch), dtype=np.bool_) if random is None else random.random(len(batch)) < 0.5
                pairs = zip(batch.tolist(), mirrored.tolist(), strict=True)
                waiting.append([decoders.submit(self._picture, index, mirror) for index, mirror in pairs])
                if len(waiting) > _BATCHES_AHEAD:
                    yield [future.result() for future in waiting.popleft()]
            while waiting:
                yield [future.result() for future in waiting.popleft()]

    def _picture(self, index: int, mirror: bool) -> Pixels:
        ref, content = self._refs[index], self.contents[index]
        view = open_image(str(content), ref, (_NATIVE,), MAX_PIXELS).views[_NATIVE]
        if isinstance(view, Missing):
            raise UserError(f"{ref.path}: {view.reason}; bring the file back and give the same command again.")
        return view[:, ::-1] if mirror else view


def _identify(ref: ImageRef) -> str | Missing:
    content = hash_file(ref.path)
    if isinstance(content, Missing):
        return unreadable(content)
    info = open_image(content, ref, (), MAX_PIXELS).info
    if isinstance(info, Missing):
        return unreadable(info)
    return TOO_SMALL if min(info.width, info.height) < SMALLEST else content


class Features(Inputs):
    """Features of EfficientNet-Lite0, computed once by the engine; they cannot be augmented."""

    def __init__(self, refs: Sequence[ImageRef], engine: Engine, store: Store, progress: Progress) -> None:
        """Extract what the cache does not hold.

        Raises:
            UserError: The network's weights cannot be had.
        """
        import torch

        extractor = EfficientNetLite0()
        weights = {EFFICIENTNET_LITE0.name: store.get(EFFICIENTNET_LITE0)}
        extraction = engine.run(Plan({extractor: tuple(refs)}, {}), weights, progress)
        if extractor in extraction.broken:
            raise extraction.broken[extractor]
        self.contents = []
        rows = np.zeros((len(refs), WIDTHS["efficientnet_lite0"]), dtype=np.float32)
        for index, ref in enumerate(refs):
            result = extraction.image(extractor, ref)
            if isinstance(result, Missing):
                self.contents.append(result)
            else:
                self.contents.append(str(extraction.content(ref)))
                rows[index] = result["features"]
        self._rows = torch.from_numpy(rows).to(engine.own_device)

    def batches(self, batches: Sequence[Indices], random: np.random.Generator | None = None) -> Iterator[Tensor]:  # noqa: ARG002
        """Yield N×1280 float32."""
        return (self._rows[batch] for batch in batches)
