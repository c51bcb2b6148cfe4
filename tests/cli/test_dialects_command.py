"""``fhpt-eval dialects`` and ``run --dialect``: listings, differences, and wrong use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Command, Draw

from fhpt_eval.evaluation.run import Run

PIXELS = ("--protocols", "ssim,psnr", "--device", "cpu")


@pytest.fixture
def images(draw: Draw) -> tuple[str, ...]:
    names = [str(i) for i in range(3)]
    size = (256, 176)
    return "-g", str(draw("mine", names, 1, size)), "-t", str(draw("real", names, 2, size))


def test_list_names_all_and_why_some_are_unknown(command: Command) -> None:
    outcome = command("dialects", "list")
    assert outcome.code == 0
    assert "gfla@2" in outcome.out
    assert "adgan xinggan" in outcome.out
    assert "unknown: its repository is a README" in outcome.out
    plain = json.loads(command("dialects", "list", "--json").out)
    assert {"clean", "gfla", "nted"} <= {dialect["key"] for dialect in plain}


def test_list_fits_a_terminal_and_cuts_nothing_off(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = command("dialects", "list").out.splitlines()
    assert max(map(len, lines)) <= 100
    assert "neither reference set, nor network, nor window" in " ".join(" ".join(lines).split())


def test_show_has_every_option_and_the_file_itself(command: Command) -> None:
    outcome = command("dialects", "show", "adgan")
    assert outcome.out.startswith("patn@2: PATN")
    assert "data_range=generated" in outcome.out
    assert "mask=none" in outcome.out
    assert "usual(width=176, height=256) > border(left=40, top=0, right=40, bottom=0, colour=white)" in outcome.out
    plain = json.loads(command("dialects", "show", "patn", "--json").out)
    assert plain["configured"]["ssim"]["taps"] == 13
    assert "unknown: its repository is a README" in command("dialects", "show", "rate").out


def test_a_file_that_was_shown_can_be_changed_checked_and_used(command: Command, images: tuple[str, ...]) -> None:
    text = command("dialects", "show", "pocold", "--toml").out
    Path("mine.toml").write_text(text.replace("sigma = 1.5", "sigma = 1.2"), encoding="utf-8")
    outcome = command("dialects", "check", "mine.toml")
    assert outcome.code == 0
    assert outcome.out.startswith("mine@2: 7 metrics")
    assert command("run", *images, *PIXELS, "--dialect", "mine.toml", "-o", "out").code == 0
    assert set(Run.load(Path("out")).scores) == {"mine@2:ssim", "mine@2:ssim_256", "mine@2:psnr"}


def test_check_refuses_with_one_sentence(command: Command) -> None:
    Path("mine.toml").write_text("title = 'a'\n[[metrics]]\nname = 'a'\nprotocol = 'simm'\n", encoding="utf-8")
    outcome = command("dialects", "check", "mine.toml")
    assert outcome.code == 2
    assert outcome.sentence == "dialect 'mine': a: there is no protocol 'simm'. Did you mean 'ssim'?"


def test_diff_tells_options_and_what_they_are_worth(command: Command, images: tuple[str, ...]) -> None:
    outcome = command("dialects", "diff", "pise", "clean")
    assert outcome.code == 0
    assert "pise@2:psnr → psnr" in outcome.out
    assert "arithmetic: uint8 → float64" in outcome.out
    assert "on 24 copied sources of the sample of rendered people" in outcome.out
    (only,) = re.findall("only in clean@2: (.*)", outcome.out)
    assert set(only.split(", ")) == {"fid", "kid", "is", "lpips", "ssim", "l1", "pckh"}
    measured = command("dialects", "diff", "pise", "clean", *images, "--json")
    assert measured.code == 0
    (difference,) = json.loads(measured.out)["differences"]
    wrapped, true = difference["value"], difference["other_value"]
    assert 26 < wrapped < 32
    assert true < 12
    by_itself = [c["value"] for c in difference["changes"] if "arithmetic" in c["options"]]
    assert by_itself == [pytest.approx(true)]
    (effect,) = [c["effect"] for c in difference["changes"] if "arithmetic" in c["options"]]
    assert effect == pytest.approx(true - wrapped)


def test_diff_gives_no_effect_of_other_images_and_says_why_numbers_are_missing(command: Command, draw: Draw) -> None:
    """DPTN's frame is 176×256, PoCoLD takes images as they are; half of these are 256×256."""
    folders = []
    for name, seed in (("mine", 1), ("real", 2)):
        draw(name, ["a", "b"], seed, (256, 256))
        folders.append(str(draw(name, ["c", "d"], seed, (256, 176))))
    images = ("-g", folders[0], "-t", folders[1], "--offline")
    outcome = command("dialects", "diff", "dptn", "pocold", *images)
    assert outcome.code == 3
    assert re.search(r"generated_geometry, target_geometry: .* → native  [0-9.]+ \(n 4\), of other images", outcome.out)
    assert "dptn@2:lpips with other" in outcome.err
    found = json.loads(command("dialects", "diff", "dptn", "pocold", *images, "--json").out)["differences"]
    (psnr,) = [d for d in found if d["one"] == "dptn@2:psnr"]
    assert (psnr["n"], psnr["other_n"]) == (2, 4)
    effects = {tuple(c["options"]): c["effect"] for c in psnr["changes"]}
    assert effects == {("generated_geometry", "target_geometry"): None}


def test_diff_draws_masks_from_the_keypoints_that_are_given(command: Command, draw: Draw) -> None:
    images = ("-g", str(draw("mine", "ab", 1, (128, 64))), "-t", str(draw("real", "ab", 2, (128, 64))), "--offline")
    places = list(range(20, 56, 2))
    Path("list.csv").write_text(
        "\n".join(["name:keypoints_y:keypoints_x", *(f"{name}.png:{places}:{places}" for name in "ab")]) + "\n"
    )
    asked = ("dialects", "diff", "patn-market", "gfla-market", *images, "--json")
    outcomes = [command(*asked, *more) for more in ((), ("--target-keypoints", "list.csv"))]
    assert [outcome.code for outcome in outcomes] == [3, 0], outcomes
    values = [{d["one"]: d["value"] for d in json.loads(outcome.out)["differences"]} for outcome in outcomes]
    assert values[0]["patn-market@2:mask_ssim"] is None
    assert values[1]["patn-market@2:mask_ssim"] > values[1]["patn-market@2:ssim"]
    unused = command("dialects", "diff", "pise", "clean", *images, "--target-keypoints", "list.csv")
    assert "none of the chosen protocols looks at keypoints of target images" in unused.sentence


def test_diff_brings_the_sample_to_the_size_that_a_dialect_expects(command: Command) -> None:
    differences = json.loads(command("dialects", "diff", "pidm", "pocold", "--json").out)["differences"]
    (ssim,) = [d for d in differences if d["one"] == "pidm@2:ssim_256"]
    frame, sigma = ssim["changes"][-1], ssim["changes"][0]
    assert list(frame["options"]) == ["generated_geometry", "target_geometry"]
    assert frame["value"] < ssim["value"] - 0.005
    assert list(sigma["options"]) == ["sigma"]
    assert sigma["value"] < ssim["value"] - 0.005


def test_explain_shows_the_same_images_under_every_dialect(command: Command, images: tuple[str, ...]) -> None:
    outcome = command("run", *images, *PIXELS, "--all-dialects", "-o", "out")
    # GFLA and PIDM want 256×256.
    assert outcome.code == 3
    shown = command("dialects", "explain", "out")
    assert shown.code == 0
    assert "ssim ↑" in shown.out
    assert "spread" in shown.out
    assert "patn@2:ssim" in shown.out
    plain = json.loads(command("dialects", "explain", "out", "--json").out)
    assert {family["protocol"] for family in plain} == {"ssim", "psnr"}
    assert command("run", *images, *PIXELS, "-o", "one").code == 0
    assert command("dialects", "explain", "one").sentence.endswith("measure with `fhpt-eval run --all-dialects` first.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--dialect", "nted"), "nobody can measure in the dialect 'nted'"),
        (("--dialect", "gfal"), "there is no dialect 'gfal'. Did you mean 'gfla'?"),
        (("--dialect", "patn", "--dialect", "adgan"), "'patn' is given twice"),
        (("--dialect", "patn", "--all-dialects"), "leave --dialect out"),
        (("--dialect", "patn", "--set", "ssim.sigma=1.2"), "--set would change what the dialect is"),
        (("--dialect", "patn", "--profile", "embedded"), "a dialect names its own networks"),
        (
            ("--dialect", "pise", "--protocols", "ssim"),
            "--protocols ssim: not in what was chosen by dialect, which has psnr",
        ),
        (("--dialect", "gfla", "--protocols", "psnr,fooo"), "--protocols fooo: not in what was chosen"),
    ],
)
def test_wrong_use_is_one_sentence(
    command: Command, images: tuple[str, ...], arguments: tuple[str, ...], sentence: str
) -> None:
    outcome = command("run", *images, *arguments)
    assert outcome.code == 2
    assert sentence in outcome.sentence


def test_a_geometry_of_the_users_goes_before_the_dialects(command: Command, images: tuple[str, ...]) -> None:
    both = "resize(width=256, height=256, filter=pil-bicubic)"
    geometry = ("--generated-geometry", both, "--target-geometry", both)
    assert command("run", *images, *PIXELS, "--dialect", "gfla", *geometry, "-o", "out").code == 0
    recipe = Run.load(Path("out")).record.protocols[0].recipe
    assert recipe.parameters["generated_geometry"] == f"{both} > usual(width=256, height=256)"
