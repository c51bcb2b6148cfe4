"""What is printed can be shown anywhere: what an encoding lacks is replaced, and control characters are written out."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from fhpt_eval.text import visible


class Screen(io.TextIOBase):
    """A stream that takes any text.

    Of what Python's own streams have it lacks ``buffer``, so that nobody writes bytes past it.
    """

    def __init__(self, stream: TextIO, *, coloured: bool = False) -> None:
        self._stream = stream
        self._coloured = coloured

    @property
    def rich_proxied_file(self) -> Screen:
        """Where rich looks for the stream to write to: to this one it writes the codes of colours, too."""
        return Screen(self._stream, coloured=True)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self._stream.encoding or "utf-8"

    def write(self, text: str) -> int:
        """Write what can be shown of a text."""
        shown = text if self._coloured else visible(text, keep="\n\t")
        self._stream.write(shown.encode(self.encoding, "replace").decode(self.encoding))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()

    def writable(self) -> bool:
        """Say yes."""
        return True


@contextlib.contextmanager
def on_screen() -> Iterator[None]:
    """Have all that is printed go through `Screen`."""
    with contextlib.ExitStack() as stack:
        # There is no stream where the shell has closed it.
        nowhere = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(Screen(sys.stdout or nowhere)))
        stack.enter_context(contextlib.redirect_stderr(Screen(sys.stderr or nowhere)))
        yield
