"""Content-based image retrieval by generated images: recall@K."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, PlainSerializer

from fhpt_eval.extract.efficientnet_lite0 import EfficientNetLite0
from fhpt_eval.extract.embeddings import Clip, Dinov2, EmbeddingNetwork, embedding
from fhpt_eval.extract.extractor import Extractor, ImageExtractor
from fhpt_eval.extract.imagenet_features import ImageNetFeatures
from fhpt_eval.images.geometry import Geometry
from fhpt_eval.maths.intervals import SHARE
from fhpt_eval.maths.ranking import Definition, Indices, Questions, Vectors, chance, rank, recall, unit_length
from fhpt_eval.measuring.flaws import ON_ANY, Effect, Flaw
from fhpt_eval.measuring.protocol import Group, Need, Protocol, Records, Score, Unscorable, mean_over_pairs, tally
from fhpt_eval.pairing.naming import picture_key
from fhpt_eval.pairing.pairs import Pair, Pairs
from fhpt_eval.records import Missing, Record, Result

RetrievalNetwork = Literal["resnet50", "vgg16", "efficientnet_lite0", EmbeddingNetwork]
Asker = Literal["generated", "target", "source"]

Networks = Annotated[
    tuple[RetrievalNetwork, ...],
    BeforeValidator(lambda v: tuple(part.strip() for part in v.split(",")) if isinstance(v, str) else v),
    PlainSerializer(lambda v: ",".join(v), return_type=str),
]
"""In text: names with commas between them."""

KS = (3, 5, 10)
"""The K of the paper's Table V."""


@dataclass(frozen=True, kw_only=True)
class Retrieval(Protocol):
    """Recall@3, @5, @10 ↑ of generated images that look for their item among the real source images (§III-B3, Table V).

    The gallery is every different source image of the pairs, also of pairs whose generated image is missing, so that
    all methods on one list are asked alike. Features are averaged over the image and scaled to length 1; search is by
    inner product, exact, ties by file name. The paper gives neither layer, size, label, exclusions nor the definition
    of recall: the defaults are ours, and all of them stand in the recipe.

    Three controls stand in each score's ``details`` under ``controls``, each with its own n, over the pairs that the
    score rests on and under the same exclusions. They belong to the data and not to the method, so they are no scores
    of their own. ``targets``: the real targets as queries (ceiling); ``chance``: a gallery in random order, in closed
    form (floor); ``source``: the source itself as query, which is what a method scores that copies its input. In
    DeepFashion's test pairs the gallery holds the query's own source and its exact target: with ``exclude=none``
    ``source`` is 1 by construction and ``targets`` nearly so, and copying pays.

    The run keeps what was retrieved with ``recall@10``, an n×10 array each, best first, without what is excluded:
    ``nearest``, int32, the first pair that has the source image (−1 beyond the last, and where the query is missing),
    and ``relevant``, whether it shows what is looked for.

    Attributes:
        networks: Any of ``resnet50``, ``vgg16``, ``efficientnet_lite0``, ``dinov2-vits14``, ``dinov2-vitb14``,
            ``dinov2-vitl14``, ``clip-vitb32`` and ``clip-vitl14``, with commas between them; each gives scores of its
            own, ``recall@5[vgg16]``.
        label: What counts as the same: ``item``, or ``item_colour``, the item in the same colour.
        recall: ``hit``: whether any of the K is relevant. ``fraction``: the share of the relevant ones among the K.
        exclude: What is taken out of the gallery for a query: ``none``, its own ``source``, or ``source+target``. A
            query that then has nothing relevant left is not scored, and counted.
        ceiling: Whether the targets are asked, too; ``false`` for runs without targets.
        generated_geometry: What is done to a generated image before it is handed over.
        target_geometry: The same for targets, as queries.
        source_geometry: The same for sources, that is for the gallery.
    """

    name: ClassVar[str] = "retrieval"
    title: ClassVar[str] = "recall of the same item among the source images"
    group: ClassVar[Group] = "semantic"
    metrics: ClassVar[tuple[str, ...]] = tuple(f"recall@{k}[{net}]" for net in ("resnet50", "vgg16") for k in KS)
    headlines: ClassVar[tuple[str, ...]] = metrics
    table: ClassVar[str] = "retrieval"
    version: ClassVar[int] = 2
    rank: ClassVar[int] = 20
    flaws: ClassVar[Mapping[Flaw, Effect]] = {**ON_ANY, "duplicates": "different", "source copies": "better"}
    libraries: ClassVar[tuple[str, ...]] = ("faiss-cpu",)
    extractors: ClassVar[tuple[type[Extractor], ...]] = (Dinov2, Clip)
    embedded: ClassVar[Mapping[str, Any]] = {"networks": ("efficientnet_lite0",)}
    networks: Networks = ("resnet50", "vgg16")
    label: Literal["item", "item_colour"] = "item"
    recall: Definition = "hit"
    exclude: Literal["none", "source", "source+target"] = "none"
    ceiling: bool = True
    generated_geometry: Geometry = Geometry()
    target_geometry: Geometry = Geometry()
    source_geometry: Geometry = Geometry()

    def __post_init__(self) -> None:
        if not self.networks or len(set(self.networks)) < len(self.networks):
            raise ValueError(f"name one or more of {', '.join(get_args(RetrievalNetwork))}, each once")

    @classmethod
    def retrieves(cls, metric: str) -> int | None:
        """Return K of ``recall@K[network]``."""
        found = re.match(r"recall@(\d+)\[", metric)
        return int(found[1]) if found else None

    def needs(self) -> tuple[Need, ...]:
        """Features of the generated images, of the gallery, and of the targets for the ceiling."""
        roles: tuple[Asker, ...] = ("generated", "source", "target") if self.ceiling else ("generated", "source")
        return tuple(Need(self.extractor(network, role), (role,)) for network in self.networks for role in roles)

    def extractor(self, network: RetrievalNetwork, role: Asker) -> ImageExtractor:
        """Return a network on the images of one role."""
        geometry: Geometry = getattr(self, f"{role}_geometry")
        if network == "efficientnet_lite0":
            return EfficientNetLite0(geometry=geometry)
        if network == "resnet50" or network == "vgg16":
            return ImageNetFeatures(backbone=network, geometry=geometry)
        return embedding(network, geometry)

    def score(self, pairs: Pairs, records: Records) -> list[Score]:
        """Search by each network, and average over the pairs."""
        questions = self.questions(pairs)
        return [s for network in self.networks for s in self._scores(network, questions, pairs, records)]

    def questions(self, pairs: Pairs) -> Questions:
        """Return what is asked: the pairs in their order, of ``pairs.unique("source")``.

        Raises:
            Unscorable: If no item is known, a source shows two of them, or all sources show the same one.
        """
        labels = [self._label(row) for row in pairs]
        if not any(labels):
            raise Unscorable(_UNKNOWN[self.label])
        shown: dict[str, str] = {}
        for row, label in zip(pairs, labels, strict=True):
            if row.source is None or label is None:
                continue
            other = shown.setdefault(row.source.name, label)
            if other != label:
                raise Unscorable(
                    f"source '{row.source.name}' stands in pairs of two items, '{other}' and '{label}', and a gallery"
                    " image can show only one: fix the item column of --pairs, or leave these pairs out"
                )
        gallery = pairs.unique("source")
        if len(shown) == len(gallery) and len(set(shown.values())) == 1:
            raise Unscorable(
                f"all {len(gallery)} source images show one item, '{min(shown.values())}', so every answer would be"
                " right: retrieval needs pairs of two or more items"
            )
        codes = {label: code for code, label in enumerate(dict.fromkeys(label for label in labels if label))}
        return Questions(
            query=np.array([codes[label] if label else -1 for label in labels], dtype=np.intp),
            gallery=np.array([codes[shown[r.name]] if r.name in shown else -1 for r in gallery], dtype=np.intp),
            excluded=self._excluded(pairs),
        )

    def _label(self, row: Pair) -> str | None:
        return row.item if self.label == "item" else row.item_colour

    def _excluded(self, pairs: Pairs) -> Indices:
        position = _positions(pairs, "source")
        rows_of: dict[str | None, dict[int, None]] = {}
        for row in pairs:
            if row.source:
                rows_of.setdefault(_picture(row, "source"), {})[position[row.source.name]] = None
        roles: tuple[Literal["source", "target"], ...] = ("source", "target")
        out = roles[: {"none": 0, "source": 1, "source+target": 2}[self.exclude]]
        excluded = [list({i: None for role in out for i in rows_of.get(_picture(row, role), ())}) for row in pairs]
        width = max((len(rows) for rows in excluded), default=0)
        filled = [rows + [-1] * (width - len(rows)) for rows in excluded]
        return np.array(filled, dtype=np.intp).reshape(len(filled), width)

    def _unaskable(self, row: Pair) -> Missing | None:
        """Why a pair cannot be a query, whatever its image."""
        if self._label(row) is None:
            return Missing("its item is not known")
        if self.exclude != "none" and _picture(row, "source") is None:
            return Missing("its source is not known, so it cannot be excluded")
        if self.exclude == "source+target" and _picture(row, "target") is None:
            return Missing("its target is not known, so it cannot be excluded")
        return None

    def _scores(self, network: RetrievalNetwork, questions: Questions, pairs: Pairs, records: Records) -> list[Score]:
        gallery = _gallery(records.unique(self.extractor(network, "source"), "source"))
        present = np.flatnonzero(gallery.there)
        asked = questions.among(present)
        depth = max(KS) + asked.excluded.shape[1]
        generated = records.per_pair(self.extractor(network, "generated"), "generated")
        own = questions.renumber(present)[_of_pairs(pairs, "source")]
        rankings = {
            "generated": _search(generated, gallery.features, depth).of_pairs(np.arange(len(pairs))),
            "source": _search_itself(gallery.features, depth).of_pairs(own),
        }
        if self.ceiling:
            targets = records.unique(self.extractor(network, "target"), "target")
            rankings["targets"] = _search(targets, gallery.features, depth).of_pairs(_of_pairs(pairs, "target"))
        relevant = asked.relevant()
        missing = [
            result if isinstance(result, Missing) else self._unaskable(row) or (None if count else _NOTHING_RELEVANT)
            for result, row, count in zip(generated, pairs, relevant, strict=True)
        ]
        *others, last = (self._score(k, network, asked, rankings, missing, pairs, gallery) for k in KS)
        return [*others, replace(last, arrays=_retrieved(asked, rankings["generated"], present, pairs))]

    def _score(
        self,
        k: int,
        network: RetrievalNetwork,
        asked: Questions,
        rankings: Mapping[str, Indices],
        missing: Sequence[Missing | None],
        pairs: Pairs,
        gallery: _Gallery,
    ) -> Score:
        """Average recall@K over the pairs, with its controls."""
        relevant = asked.relevant()
        # Where nothing is relevant there is no value, so the divisor does not matter.
        values = {
            name: recall(asked.found(ranking, k), np.maximum(relevant, 1), self.recall)
            for name, ranking in rankings.items()
        } | {"chance": chance(asked.candidates(), relevant, k, self.recall)}
        scored = np.array([why is None for why in missing])
        answered = {name: scored & (ranking[:, 0] >= 0) for name, ranking in rankings.items()} | {"chance": scored}
        controls = [name for name in ("targets", "chance", "source") if name in values]
        score = mean_over_pairs(
            f"recall@{k}[{network}]",
            "higher",
            pairs,
            [why or float(value) for why, value in zip(missing, values["generated"], strict=True)],
            within=SHARE,
            details={
                "gallery_n": len(gallery.features),
                "relevant_mean": _mean(relevant, scored),
                "controls": {
                    name: {"value": _mean(values[name], answered[name]), "n": int(answered[name].sum())}
                    for name in controls
                },
            },
        )
        lost = {f"gallery image: {why}": count for why, count in gallery.lost.items()}
        return replace(
            score,
            missing={**score.missing, **lost},
            faults=score.faults + gallery.faults,
            warnings=(*score.warnings, *_too_small(score.metric, k, len(gallery.features))),
        )


def _retrieved(asked: Questions, ranking: Indices, present: Indices, pairs: Pairs) -> Record:
    """Return the first pair that has each of the images retrieved, and which of these are relevant."""
    of_pairs = _of_pairs(pairs, "source")
    first = {int(image): pair for pair, image in reversed([*enumerate(of_pairs)])}
    shown_by = np.array([*(first[int(image)] for image in present), -1], dtype=np.int32)
    depth = max(KS)
    return {"nearest": shown_by[asked.nearest(ranking, depth)], "relevant": asked.found(ranking, depth)}


class _Gallery(NamedTuple):
    """The source images that can be searched.

    Attributes:
        features: Of those that are there, rows of length 1.
        there: Which of all they are.
        lost: Why the others are not, and how many.
        faults: How many of these are faults.
    """

    features: Vectors
    there: npt.NDArray[np.bool_]
    lost: Mapping[str, int]
    faults: int


def _gallery(sources: Sequence[Result]) -> _Gallery:
    """Collect the gallery.

    Raises:
        Unscorable: Not a single image of it is there.
    """
    features, there = _features(sources)
    lost, faults = tally(sources)
    if not there.any():
        raise Unscorable(f"none of the {len(there)} source images can be searched ({'; '.join(lost)}): check --source")
    return _Gallery(features, there, lost, faults)


_UNKNOWN = {
    "item": "no pair's item is known: it comes from DeepFashion names, or from an item column in --pairs",
    "item_colour": "no pair's item and colour are known: they come from DeepFashion names, or from an"
    " item_colour column in --pairs; otherwise use --set retrieval.label=item",
}


_NOTHING_RELEVANT = Missing("no relevant image in the gallery", "finding")


def _picture(row: Pair, role: Literal["source", "target"]) -> str | None:
    """Return what an image shows, in one spelling: folders of sources and targets may spell it otherwise."""
    name, ref = (row.source_name, row.source) if role == "source" else (row.target_name, row.target)
    return name or (picture_key(ref.name) if ref else None)


def _positions(pairs: Pairs, role: Literal["source", "target"]) -> dict[str, int]:
    return {ref.name: i for i, ref in enumerate(pairs.unique(role))}


def _of_pairs(pairs: Pairs, role: Literal["source", "target"]) -> Indices:
    """For each pair, which of the unique images of a role it has; −1 for none."""
    position = _positions(pairs, role)
    refs = [row.source if role == "source" else row.target for row in pairs]
    return np.array([position[ref.name] if ref else -1 for ref in refs], dtype=np.intp)


class _Search(NamedTuple):
    """Rankings of the images that could be searched for, and which of them is each image's (−1: none)."""

    rankings: Indices
    of_image: Indices

    def of_pairs(self, images: Indices) -> Indices:
        """Return the ranking of each pair, given its image (−1: none); all −1 where there is none."""
        nothing = np.full((1, self.rankings.shape[1]), -1, dtype=np.intp)
        ranking: Indices = np.concatenate([self.rankings, nothing])[np.append(self.of_image, -1)[images]]
        return ranking


def _search(results: Sequence[Result], gallery: Vectors, depth: int) -> _Search:
    rankings, answered = [np.empty((0, min(depth, len(gallery))), dtype=np.intp)], []
    # A part of the images at a time, so that there are not as many features as images in memory.
    for start in range(0, len(results), _AT_ONCE):
        features, there = _features(results[start : start + _AT_ONCE])
        rankings.append(rank(features, gallery, depth))
        answered.append(there)
    there = np.concatenate([np.empty(0, np.bool_), *answered])
    return _Search(np.concatenate(rankings), np.where(there, np.cumsum(there) - 1, -1))


_AT_ONCE = 4096
"""Images that are searched for."""


def _search_itself(gallery: Vectors, depth: int) -> _Search:
    return _Search(rank(gallery, gallery, depth), np.arange(len(gallery)))


def _features(results: Sequence[Result]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """Return the features that are there as rows of length 1, and where they are."""
    rows = np.empty((0, 0), dtype=np.float32)
    there = np.zeros(len(results), dtype=np.bool_)
    n = 0
    for i, result in enumerate(results):
        if isinstance(result, Missing):
            continue
        row = unit_length(result["features"])
        if not n:
            rows = np.empty((len(results), len(row)), dtype=np.float32)
        rows[n] = row
        there[i] = True
        n += 1
    return rows[:n], there


def _mean(values: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> float | None:
    return float(values[where].mean()) if where.any() else None


def _too_small(metric: str, k: int, gallery: int) -> tuple[str, ...]:
    if gallery > k:
        return ()
    return (f"{metric}: the gallery has {gallery} images, so the first {k} are all of it and nothing can be missed",)
