"""The protocol `prdc` on features that are written down, and through a whole run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Command, Draw
from toys import StubRecords

from fhpt_eval.errors import UserError
from fhpt_eval.measuring.protocol import Score, Unscorable, configure
from fhpt_eval.pairing.pairs import PairReport, Pairs
from fhpt_eval.protocols.prdc import Prdc
from fhpt_eval.records import Missing, Result

LINE = Prdc(network="efficientnet-lite0", reference="targets", neighbourhood=1, density_neighbourhood=2)


def on_a_line(*places: float | None) -> list[Result]:
    rows: list[Result] = []
    for place in places:
        features = np.zeros(1280, dtype=np.float32)
        features[0] = place or 0
        rows.append(Missing("gone") if place is None else {"features": features})
    return rows


def scores(protocol: Prdc, generated: list[Result], targets: list[Result]) -> dict[str, Score]:
    records = StubRecords({("generated",): generated, ("target",): targets})
    found = protocol.score(Pairs((), PairReport(0), "csv"), records)
    return {score.metric: score for score in found}


def test_four_numbers_by_hand() -> None:
    # Balls of k = 1 reach 1, 1, 3, 5 about 0, 1, 4, 9 (real), and 2, 2, 17.5 about 0.5, 2.5, 20 (generated);
    # of k = 2 they reach 4, 3, 4, 8.
    found = scores(LINE, on_a_line(0.5, None, 2.5, 20), on_a_line(0, 1, 4, 9))
    name = "[efficientnet-lite0]"
    # 0.5 is in the ball of 0, 2.5 in that of 4; 20 in none.
    assert found[f"precision{name}"].value == pytest.approx(2 / 3)
    # 0, 1 and 4 are within 2 of a generated point, and 9 is within 17.5 of 20.
    assert found[f"recall{name}"].value == 1
    # 0.5: in those of 0, 1 and 4 (3.5 < 4), and not of 9 (8.5); 2.5: in those of 0, 1, 4 and 9 (6.5 < 8); 20: in none.
    assert found[f"density{name}"].value == pytest.approx(7 / 3 / 2)
    assert found[f"coverage{name}"].value == 1
    for score in found.values():
        assert (score.n, score.better, score.interval) == (3, "higher", None)
        assert score.missing == {"gone": 1}
        assert score.details["reference_n"] == 4
        assert score.details["reference"] == "unique targets of the evaluated pairs"
    assert found[f"precision{name}"].details["neighbours"] == 1
    assert found[f"coverage{name}"].details["neighbours"] == 2
    (warning,) = [w for score in found.values() for w in score.warnings]
    assert warning.startswith("prdc: 3 generated and 4 reference images are few")


def test_the_surface_belongs_to_a_ball_of_precision_and_not_to_one_of_density() -> None:
    found = scores(LINE, on_a_line(2, 100, 200), on_a_line(0, 1, 4))
    name = "[efficientnet-lite0]"
    # 2 lies on the surface of the ball of 1 (1 away, as 0 is), and inside that of 4 (reaches 3).
    assert found[f"precision{name}"].value == pytest.approx(1 / 3)
    # Balls of k = 2 reach 4, 3, 4: 2 lies in all three.
    assert found[f"density{name}"].value == pytest.approx(3 / 3 / 2)
    surface = scores(LINE, on_a_line(4, 100, 200), on_a_line(0, 1, 4))
    # 4 lies on the surfaces of those of 0 and 1, and in that of itself.
    assert surface[f"density{name}"].value == pytest.approx(1 / 3 / 2)


def test_too_few_images_for_their_neighbours() -> None:
    with pytest.raises(Unscorable, match="5 neighbours need at least 6 images on each side, here are 6 and 5"):
        scores(Prdc(network="efficientnet-lite0", reference="targets"), on_a_line(*range(6)), on_a_line(*range(5)))


def test_the_names_say_the_network_and_its_normalisation() -> None:
    assert configure(Prdc, "paper", {"preprocess": "pytorch-fid-2018"}).network == "inception-2015"
    with pytest.raises(UserError, match="preprocess belongs to Inception; dinov2"):
        configure(Prdc, "paper", {"network": "dinov2-vitl14", "preprocess": "clean-fid"})
    with pytest.raises(UserError, match=r"'prdc\.neighbourhood' cannot be '0'"):
        configure(Prdc, "paper", {"neighbourhood": "0"})


def test_a_run_says_what_it_was_compared_with(command: Command, draw: Draw) -> None:
    names = "abcdefgh"
    draw("mine", names, seed=1)
    draw("real", names, seed=2)
    asked = ("run", "--generated", "mine", "--target", "real", "-p", "prdc", "--profile", "embedded", "-o", "out")
    done = command(*asked, "--quiet")
    assert done.code == 0
    assert "are few for neighbourhoods" in done.err + Path("out/run.json").read_text(encoding="utf-8")
    (protocol,) = json.loads(Path("out/run.json").read_text(encoding="utf-8"))["protocols"]
    assert [s["metric"].partition("[")[0] for s in protocol["scores"]] == ["precision", "recall", "density", "coverage"]
    copies = command("run", "--generated", "real", "--target", "real", *asked[5:-1], "copies", "--quiet")
    assert copies.code == 0
    (protocol,) = json.loads(Path("copies/run.json").read_text(encoding="utf-8"))["protocols"]
    assert [s["value"] for s in protocol["scores"]] == [1, 1, 1, 1]
