"""Work cut into parts that one worker computes at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from fhpt_eval.engine.contract import PairOfKeys, Work
from fhpt_eval.engine.stream import AT_ONCE
from fhpt_eval.extract.extractor import PairExtractor
from fhpt_eval.images.decoding import ImageRef

LARGEST = 512
"""Images in a part, at most."""


SECONDS = 4.0
"""How long a part should take: much longer than handing it over does, and not long to lose."""

_SHORTEST = 0.25
"""How long a part should take at least: handing it over takes some milliseconds."""

AT_THE_END = 4
"""Parts a worker into which what is left is cut: fewer images in each, so that all workers end at one time."""


def part_size(usual: int, seconds_an_image: float | None, left: int, workers: int) -> int:
    """Return how many images the next part should have.

    Args:
        usual: While it is not known how long one takes.
        seconds_an_image: How long it took a worker lately.
        left: Images that no part has.
        workers: Among whom they are shared.
    """
    shortest, wanted = usual // 4, usual
    if seconds_an_image is not None:
        shortest, wanted = (int(seconds / max(seconds_an_image, 1e-6)) for seconds in (_SHORTEST, SECONDS))
    return max(1, min(max(shortest, min(wanted, left // (AT_THE_END * max(1, workers)))), LARGEST))


@dataclass
class Part:
    """Some of the work.

    Attributes:
        work: With the files of all images that it needs.
        own: The images that it is about; the others are in its pairs, and decoded once more.
        lost: How often a worker was lost while it computed this.
        sent: Hand over what the files hold: a worker could not read some of them.
        again: It was computed before, without what could not be read.
    """

    work: Work
    own: tuple[str, ...]
    lost: int = 0
    sent: bool = False
    again: bool = False

    @property
    def images(self) -> int:
        """How many images are done with this part."""
        return 0 if self.again else len(self.own)

    def halves(self) -> tuple[Part, ...]:
        """Return two parts that make up this one; itself where it is about one image, or one pair."""
        pairs = sorted({pair for group in self.work.pairs.values() for pair in group})
        first, second = self.own[: len(self.own) // 2], self.own[len(self.own) // 2 :]
        if first:
            # A pair goes with its later image, as where work is cut at first.
            late = set(pairs).difference(pair for pair in pairs if not set(pair).intersection(second))
        elif self.own and pairs:
            first, second, late = self.own, (), set(pairs)
        elif len(pairs) > 1:
            late = set(pairs[len(pairs) // 2 :])
        else:
            return (self,)
        return self._share(first, set(pairs) - late), self._share(second, late)

    def about(self, keys: Iterable[str]) -> Part:
        """Return what is asked about these images, and about the pairs that they stand in; to be done again."""
        wanted = tuple(keys)
        pairs = {pair for group in self.work.pairs.values() for pair in group if set(pair).intersection(wanted)}
        return replace(self._share(wanted, pairs), again=True)

    def _share(self, own: tuple[str, ...], pairs: set[PairOfKeys]) -> Part:
        return replace(self, work=only(self.work, set(own), pairs), own=own)


def only(work: Work, keys: set[str], pairs: set[PairOfKeys]) -> Work:
    """Return what of some work is about these images and these pairs; further images of pairs are decoded, too."""
    needed = keys.union(*pairs)
    images = {e: kept for e, wanted in work.images.items() if (kept := wanted & keys)}
    compared = {e: some for e, group in work.pairs.items() if (some := tuple(p for p in group if p in pairs))}
    return replace(
        work,
        files={key: ref for key, ref in work.files.items() if key in needed},
        images=images,
        pairs=compared,
        sizes={key: size for key in needed if (size := work.sizes.get(key)) is not None},
    )


class Parts:
    """Cuts work into parts, each as large as is asked for when it is taken.

    A pair is compared where the later of its images is; its other image is decoded once more where an earlier part had
    it. Images of one target lie together, and where few more complete them, a part is larger.

    Args:
        work: Is cut in the order of its files.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._memory = work.memory()
        self._keys = iter(work.files)
        self._next = next(self._keys, None)
        self._pairs = _by_later_image(work)
        self.left = len(work.files)

    def take(self, size: int) -> Part | None:
        """Return the next part, of about so many images; None where all is taken."""
        own: dict[str, ImageRef] = {}
        held = 0
        while (key := self._next) is not None:
            pairs = self._pairs.get(key, [])
            full = len(own) >= size or held + self._memory.get(key, 0) > AT_ONCE
            continued = len(own) < 2 * size and any(other in own for _, pair in pairs for other in pair)
            if own and full and not (continued and held <= AT_ONCE):
                break
            own[key] = self._work.files[key]
            held += self._memory.get(key, 0)
            self._next = next(self._keys, None)
        if not own:
            return None
        self.left -= len(own)
        return Part(self._of(own), tuple(own))

    def _of(self, own: Mapping[str, ImageRef]) -> Work:
        pairs: dict[PairExtractor, list[PairOfKeys]] = {}
        files: dict[str, ImageRef] = {}
        for key, ref in own.items():
            for extractor, pair in self._pairs.pop(key, ()):
                pairs.setdefault(extractor, []).append(pair)
                files |= {other: self._work.files[other] for other in pair if other not in own}
            files[key] = ref
        asked = {e: kept for e, wanted in self._work.images.items() if (kept := wanted.intersection(own))}
        return replace(
            self._work,
            files=files,
            images=asked,
            pairs={e: tuple(group) for e, group in pairs.items()},
            sizes={key: size for key in files if (size := self._work.sizes.get(key)) is not None},
        )


def _by_later_image(work: Work) -> dict[str, list[tuple[PairExtractor, PairOfKeys]]]:
    """Return the pairs by whichever of their images comes later."""
    place = {key: index for index, key in enumerate(work.files)} if work.pairs else {}
    found: dict[str, list[tuple[PairExtractor, PairOfKeys]]] = {}
    for extractor, pairs in work.pairs.items():
        for pair in pairs:
            found.setdefault(max(pair, key=place.__getitem__), []).append((extractor, pair))
    return found
