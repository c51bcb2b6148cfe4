"""The pictures of a page: small, each once, within a budget; and why one is not there."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass

from fhpt_eval.evaluation.run import Run
from fhpt_eval.files.regular import read_regular
from fhpt_eval.images.decoding import ImageRef, Rgb, cut_panel, decode
from fhpt_eval.images.formats import NO_MEMORY, ImageError
from fhpt_eval.pairing.folders import PairRole
from fhpt_eval.reporting.figures.pictures import ref_of

LARGE, SMALL = 256, 128
"""Heights of pictures that are looked at one by one, and of those that stand in long rows."""

BUDGET = 18 * 2**20
"""Characters that all pictures of a page may take: with it, a page stays under 25 MB."""

_QUALITY = 88
_FEW_COLOURS = 64

TOO_MANY = "left out, so that the page stays small"
"""Why a picture is not there where the budget is spent."""


@dataclass(frozen=True)
class Picture:
    """A picture where it stands in the page.

    Attributes:
        alt: What it shows, in words.
        index: Its number among the album's; None where it is not there.
        width: In pixels.
        height: In pixels.
        why: Why it is not there.
    """

    alt: str
    index: int | None = None
    width: int = 0
    height: int = 0
    why: str = ""

    @property
    def plain(self) -> dict[str, object]:
        """As the page's script reads it."""
        return {name: getattr(self, name) for name in ("alt", "index", "width", "height", "why")}


class Album:
    """Takes pictures for a page.

    Args:
        budget: Characters that all of them may take.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._left = budget
        self._numbers: dict[str, tuple[int, int, int]] = {}
        self._files: dict[tuple[ImageRef, int], tuple[int, int, int] | str] = {}
        self.addresses: list[str] = []
        """Data URIs, by the number of the picture."""

    def take(self, run: Run, row: int, role: PairRole, height: int = LARGE) -> Picture:
        """Return an image of a run's pair, scaled down to a height.

        Args:
            run: Whose generated image it is, or whose pair's source or target.
            row: Of the run's pairs.
            role: Which of the three.
            height: In pixels, at most.
        """
        pair = run.per_pair["pair"].iloc[row]
        alt = f"{run.record.name if role == 'generated' else role} of {pair}"
        ref = ref_of(run, row, role)
        if ref is None:
            return Picture(alt, why="there is none")
        if (ref, height) not in self._files:
            self._files[ref, height] = self._taken(ref, height)
        found = self._files[ref, height]
        return Picture(alt, why=found) if isinstance(found, str) else Picture(alt, *found)

    def _taken(self, ref: ImageRef, height: int) -> tuple[int, int, int] | str:
        try:
            pixels = decode(read_regular(ref.path)).pixels
            if ref.panel is not None and ref.panels is not None:
                pixels = cut_panel(pixels, ref.panel, ref.panels)
        except OSError as error:
            return error.strerror or "it cannot be opened"
        except (ImageError, MemoryError) as error:
            return str(error) or NO_MEMORY
        return self._kept(pixels, height)

    def _kept(self, pixels: Rgb, height: int) -> tuple[int, int, int] | str:
        height = min(height, len(pixels))
        key = f"{hashlib.sha256(pixels.tobytes()).hexdigest()} {pixels.shape} {height}"
        if key not in self._numbers:
            address, width, high = _address(pixels, height)
            if len(address) > self._left:
                return TOO_MANY
            self._left -= len(address)
            self._numbers[key] = (len(self.addresses), width, high)
            self.addresses.append(address)
        return self._numbers[key]


def _address(pixels: Rgb, height: int) -> tuple[str, int, int]:
    """Return a data URI, width and height: PNG of a drawing, which has few colours, and JPEG of a photograph."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    picture.thumbnail((3 * height, height), Image.Resampling.LANCZOS)
    kind = "png" if picture.getcolors(_FEW_COLOURS) else "jpeg"
    stream = io.BytesIO()
    picture.save(stream, kind, optimize=True, **({"quality": _QUALITY} if kind == "jpeg" else {}))
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}", *picture.size
