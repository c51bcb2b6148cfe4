"""What protocols say that flaws do to their scores is what scores do."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from PIL import Image, ImageFilter

from fhpt_eval.auditing.effects import effects_of, sentence_of
from fhpt_eval.measuring.flaws import Effect, Flaw
from fhpt_eval.measuring.registry import find_protocols

if TYPE_CHECKING:
    from conftest import Command

BOARD = Path(__file__).resolve().parents[2] / "results/synthetic/leaderboard.csv"
PIXELS = ("ssim", "psnr", "l1")
EMBEDDED = {
    "fid": "fd_efficientnet_lite0 ↓",
    "kid": "kd_efficientnet_lite0 ↓",
    "lpips": "pd_efficientnet_lite0 ↓",
    "ssim": "ssim ↑",
    "psnr": "psnr ↑",
    "l1": "l1 ↓",
    "kec": "kec_auc_body ↑",
    "pckh": "pckh ↑",
    "face_identity": "face_same@0.6 ↑",
    "retrieval": "recall@3[efficientnet_lite0] ↑",
    "gender": "gender_error[efficientnet_lite0] ↓",
}


@pytest.mark.parametrize(("flaw", "run"), [("source copies", "copy-source"), ("target copies", "real")])
def test_copies_do_to_the_committed_scores_what_is_said(flaw: Flaw, run: str) -> None:
    with BOARD.open(encoding="utf-8", newline="") as stream:
        rows = {row["run"]: row for row in csv.DictReader(stream)}
    for name, column in EMBEDDED.items():
        effect = find_protocols().classes[name].flaws[flaw]
        if effect == "missing":
            assert rows[run][column] == ""
            assert int(rows[run][f"{name} missing"]) > 0
            continue
        copied, honest = float(rows[run][column]), float(rows["drn-refined"][column])
        assert (copied > honest) == ((effect == "better") == column.endswith("↑")), (name, effect)


def score(command: Command, generated: str, target: str) -> dict[str, float | None]:
    outcome = command(
        "run", "-g", generated, "-t", target, "-p", ",".join(PIXELS), "--json", "--overwrite", "-o", "out"
    )
    return {s["metric"]: s["value"] for p in json.loads(outcome.out)["protocols"] for s in p["scores"]}


@pytest.mark.parametrize("flaw", ["borders", "compression", "alignment", "sizes"])
def test_pixels_move_as_is_said(command: Command, flaw: Flaw) -> None:
    for folder in ("mine", "real", "flawed", "against"):
        Path(folder).mkdir()
    for seed, name in enumerate("abc"):
        blocks = np.random.default_rng(seed).integers(0, 200, (8, 6, 3), dtype=np.uint8)
        target = Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8)))
        generated = target.filter(ImageFilter.GaussianBlur(1))
        generated.save(f"mine/{name}.png")
        target.save(f"real/{name}.png")
        framed = [Image.new("RGB", (64, 64), "white") for _ in range(2)]
        for frame, inner in zip(framed, (generated, target), strict=True):
            frame.paste(inner, (8, 0))
        turned = framed[0].transform((64, 64), Image.Transform.AFFINE, (1, 0, 4, 0, 1, 0), fillcolor="white")
        flawed = {"borders": framed[0], "compression": generated, "alignment": turned, "sizes": framed[0]}[flaw]
        if flaw == "compression":
            flawed.save(f"flawed/{name}.jpg", quality=50)
        else:
            flawed.save(f"flawed/{name}.png")
        (framed[1] if flaw in {"borders", "alignment"} else target).save(f"against/{name}.png")
    before = score(command, "mine", "real")
    after = score(command, "flawed", "against")
    for name in PIXELS:
        effect = find_protocols().classes[name].flaws[flaw]
        one, other = before[name], after[name]
        assert one is not None
        if effect == "missing":
            assert other is None
        else:
            assert other is not None
            assert (other > one) == ((effect == "better") == (name != "l1")), (name, effect)


def test_every_protocol_says_only_what_is_known() -> None:
    for name, protocol in find_protocols().classes.items():
        assert {*protocol.flaws} <= {*get_args(Flaw)}, name
        assert {*protocol.flaws.values()} <= {*get_args(Effect)}, name


def test_effects_are_one_sentence_with_the_protocols_in_the_order_of_tables() -> None:
    assert sentence_of(effects_of("sizes")).startswith("fid, kid, is, ")
    assert sentence_of({"better": ["ssim", "l1"], "missing": ["psnr"]}) == (
        "ssim, l1 look better than they are; psnr counts them as missing."
    )
    assert sentence_of(effects_of("others")) == "all metrics change."
