"""``--precision`` and ``--reference-math``: what a record says of them, and what ``verify`` makes of that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhpt_eval.evaluation.run_record import RECORD, Recipe
from fhpt_eval.extract.efficientnet_lite0 import EfficientNetLite0
from fhpt_eval.extract.numerics import Numerics
from fhpt_eval.extract.pixels import PixelDifference

if TYPE_CHECKING:
    from conftest import Command

Folders = tuple[str, str, str, str]
EMBEDDED = ("--profile", "embedded", "-p", "lpips,l1", "--device", "cpu")


def record(folder: str) -> Any:
    return json.loads(Path(folder, RECORD).read_bytes())


def test_a_recipe_names_the_precision_of_its_networks_and_verify_asks_for_it(
    command: Command, folders: Folders
) -> None:
    assert command("run", *folders, *EMBEDDED, "--precision", "bfloat16", "-o", "out").code == 0
    assert {p["name"]: p["recipe"]["precision"] for p in record("out")["protocols"]} == {
        "lpips": "bfloat16",
        "l1": "float32",
    }
    found = command("verify", "out", *folders, "--device", "cpu", "--json")
    assert found.code == 3
    numbers = {number["metric"]: number for number in json.loads(found.out)["numbers"]}
    assert numbers["l1"]["verdict"] == "same bits"
    (other,) = (number for metric, number in numbers.items() if metric != "l1")
    assert other["reason"] == "its networks computed in bfloat16: give --precision bfloat16"
    assert command("verify", "out", *folders, "--device", "cpu", "--precision", "bfloat16").code == 0


def test_a_record_says_that_it_was_computed_by_definitions(command: Command, folders: Folders) -> None:
    assert command("run", *folders, *EMBEDDED, "--reference-math", "-o", "slow").code == 0
    assert command("run", *folders, *EMBEDDED, "-o", "fast").code == 0
    slow, fast = record("slow"), record("fast")
    assert (slow["environment"]["reference_math"], fast["environment"]["reference_math"]) == (True, False)
    for one, other in zip(slow["protocols"], fast["protocols"], strict=True):
        assert one["recipe"] == other["recipe"]
        assert abs(one["scores"][0]["value"] / other["scores"][0]["value"] - 1) < 1e-5
        assert one["extractors"].values() != other["extractors"].values()


def test_recipes_of_before_are_of_float32() -> None:
    recipe = Recipe(protocol="x", version=1, parameters={}, extractors={}, weights={}, reference=None)
    other = recipe.model_copy(update={"precision": "tf32"})
    assert recipe.difference(other) == "networks compute in tf32 instead of float32"


def test_numerics_are_in_the_fingerprint_where_they_count() -> None:
    network, pixels = EfficientNetLite0(), PixelDifference()
    assert len({network.fingerprint(Numerics("cuda", precision=p)) for p in ("float32", "tf32", "bfloat16")}) == 3
    assert pixels.fingerprint(Numerics("cuda", "tf32")) == pixels.fingerprint(Numerics())
    for extractor in (network, pixels):
        assert extractor.fingerprint(Numerics(reference_math=True)) != extractor.fingerprint(Numerics())
