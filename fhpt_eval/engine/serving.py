"""What a worker process does. What takes long to import is imported once it is known to end with its parent."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from fhpt_eval.engine.machine import one_thread
from fhpt_eval.engine.processes import end_with_parent
from fhpt_eval.libraries import explained

if TYPE_CHECKING:
    from fhpt_eval.extract.extractor import Context, ImageExtractor, Pixels
    from fhpt_eval.records import Result


def serve(line: Connection) -> None:
    """Take in where detectors run, and say so; then for each image what its detector found, and once that it is loaded.

    Args:
        line: To the process that asks; the worker ends when that one hangs up.
    """
    end_with_parent()
    # Native detectors log to the terminal from threads of their own; errors travel back as exceptions.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    loaded: dict[ImageExtractor, Callable[[Sequence[Pixels]], list[Result]]] = {}
    with contextlib.suppress(EOFError):
        context: Context = line.recv()
        line.send(None)
        while True:
            extractor, image = line.recv()
            try:
                if extractor not in loaded:
                    loaded[extractor] = _loaded(extractor, context)
                    line.send(None)
                answer: Any = loaded[extractor]([image])[0]
            except Exception as error:  # noqa: BLE001 - handed to the main process, which stops using the extractor
                answer = error
            _say(line, answer)


def _loaded(extractor: ImageExtractor, context: Context) -> Callable[[Sequence[Pixels]], list[Result]]:
    try:
        model = extractor.load(context)
    except Exception as error:
        raise explained(error) from error  # here, because the traceback does not travel to the main process
    one_thread()
    return model


def _say(line: Connection, answer: Any) -> None:
    try:
        line.send(answer)
    except (TypeError, AttributeError, ValueError, ArithmeticError) as error:
        line.send(RuntimeError(f"{type(answer).__name__}: {answer} ({error})"))
