"""The published numbers: their form, a sample typed from the notes on the field, and where they may stand."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from made_runs import made_run

from fhpt_eval.measuring.dialects import find_dialects
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.reporting.leaderboards.as_csv import Csv
from fhpt_eval.reporting.leaderboards.as_markdown import Markdown
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.literature import UNKNOWN, Published, read_literature
from fhpt_eval.reporting.leaderboards.notes import closing_notes
from fhpt_eval.reporting.leaderboards.tables import placed, tables

ROOT = Path(__file__).resolve().parents[3]
NUMBERS = read_literature()
DIALECTS = {dialect.id: {metric.name for metric in dialect.metrics} for dialect in find_dialects().values()}
OTHERS = {"mask_ssim", "parameters", "speed", "face_similarity", "face_distance"}
"""What no protocol of ours measures."""

EIGHT = [0.5] * 8


def test_the_file_is_read_as_it_is() -> None:
    with (ROOT / "results" / "literature.csv").open(encoding="utf-8", newline="") as stream:
        assert [vars(number) for number in NUMBERS] == list(csv.DictReader(stream))
    assert len(NUMBERS) == 142


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: f"{n.method}-{n.metric}-{n.source}")
def test_every_row_has_its_form(number: Published) -> None:
    assert re.fullmatch(r"\d+\.\d+", number.value)
    assert re.fullmatch(r"(\d+\.\d+)?", number.std)
    assert number.resolution in {"", "256x176", "256x256", "512x352"}
    assert number.unit == {"psnr": "dB", "parameters": "M", "speed": "fps"}.get(number.metric, "")
    assert number.method
    assert number.source
    assert all(text == text.strip() and text.isprintable() for text in vars(number).values())
    if number.dialect == UNKNOWN:
        known = {*find_protocols().classes, *OTHERS}
        assert number.metric in known
    else:
        assert number.metric in DIALECTS[number.dialect]


def test_no_number_stands_there_twice() -> None:
    keys = [(n.method, n.metric, n.resolution, n.dialect, n.source) for n in NUMBERS]
    # ADGAN's issue 13 has two papers' numbers of DSC.
    assert {key for key in keys if keys.count(key) > 1} == {
        ("DSC", metric, "", UNKNOWN, "ADGAN issue 13") for metric in ("ssim", "is")
    }


@pytest.mark.parametrize(
    ("method", "metric", "resolution", "dialect", "value"),
    [
        ("PG2", "ssim", "", "unknown", "0.614"),
        ("VUNet", "is", "", "unknown", "3.440"),
        ("PATN", "ssim", "256x176", "patn@2", "0.773"),
        ("PATN", "is", "256x176", "patn@2", "3.209"),
        ("PATN (re-run)", "ssim", "256x176", "patn@2", "0.77259"),
        ("PATN (re-run)", "is", "256x176", "patn@2", "3.2041"),
        ("real images", "is", "", "unknown", "4.053"),
        ("APS", "pckh", "", "unknown", "0.96"),
        ("DSC", "is", "", "unknown", "3.265"),
        ("DSC (re-run)", "l1", "256x256", "dsc@2", "0.1255"),
        ("PATN", "parameters", "", "unknown", "41.36"),
        ("DSC", "fid", "256x176", "unknown", "18.46"),
        ("PATN", "ssim", "256x176", "unknown", "0.671"),
        ("GFLA", "fid", "256x176", "gfla@2", "10.57"),
        ("GFLA", "lpips", "256x176", "unknown", "0.223"),
        ("GFLA", "lpips", "256x256", "gfla@2", "0.2341"),
        ("PIDM", "fid", "256x176", "pidm@2", "6.37"),
        ("PIDM", "ssim_256", "", "pidm@2", "0.7312"),
        ("PIDM (re-run)", "ssim_256", "", "gfla@2", "0.7168"),
        ("CFLD", "lpips", "512x352", "unknown", "0.152"),
        ("Leffa", "lpips", "512x352", "leffa@2", "0.119"),
        ("MCLD", "psnr", "512x352", "cfld@2", "18.211"),
        ("CFLD", "face_distance", "512x352", "unknown", "27.54"),
        ("X-MDPT-S", "fid", "", "unknown", "7.42"),
        ("PISE", "psnr", "256x176", "pise@2", "31.38"),
        ("DiOr", "fid", "", "dior@2", "13.10"),
        ("DPTN (re-run)", "fid", "", "dptn@2", "11.4556"),
        ("PIDM (baseline)", "fid", "", "unknown", "9.8510"),
        ("GFLA (re-run)", "ssim_256", "256x176", "gfla@2", "0.68"),
    ],
)
def test_it_is_what_our_notes_have(method: str, metric: str, resolution: str, dialect: str, value: str) -> None:
    found = [
        n.value
        for n in NUMBERS
        if (n.method, n.metric, n.resolution, n.dialect) == (method, metric, resolution, dialect)
    ]
    assert value in found


def test_daggers_typos_and_other_networks_are_noted() -> None:
    def note(method: str, metric: str, resolution: str, value: str) -> str:
        wanted = (method, metric, resolution, value)
        (found,) = (n.note for n in NUMBERS if (n.method, n.metric, n.resolution, n.value) == wanted)
        return found

    assert "check it in CFLD's paper" in note("CFLD", "lpips", "512x352", "0.152")
    assert "SqueezeNet" in note("Leffa", "lpips", "256x176", "0.114")
    assert "2.265, a typo" in note("DSC", "is", "", "3.265")
    assert "wraps around" in note("PISE", "psnr", "256x176", "31.38")


def board(*metrics: str) -> Leaderboard:
    values = {metric: 0.5 if metric.endswith("fid") else EIGHT for metric in metrics}
    return Leaderboard.of([made_run("ours", values)], metrics=list(metrics), literature=NUMBERS)


def cells(shown: Leaderboard, row: str) -> list[tuple[str, bool]]:
    (table,) = tables(shown, 0, float("inf"))
    return [(cell.plain, cell.grey) for each in table.published if each.name.startswith(row) for cell in each.cells]


def test_a_number_stands_in_the_column_of_its_dialect_or_grey_with_the_dialects_name() -> None:
    assert cells(board("ssim", "patn@2:ssim"), "PATN 176×256 [1]") == [("", False), ("0.773", False)]
    assert cells(board("ssim"), "PATN 176×256 [1]") == [("0.773 (patn@2)", True)]
    assert cells(board("ssim"), "VUNet")[0] == ("0.763 (unknown)", True)
    # Ours before another's; and where only another's is there, in that.
    assert cells(board("gfla@2:ssim_256"), "PATN 176×256 [1]") == [("0.773 (patn@2:ssim)", True)]
    # Two numbers of a source for one column.
    assert cells(board("ssim"), "GFLA (re-run)") == [("0.65 (gfla@2)", True), ("0.68 (gfla@2:ssim_256)", True)]


def test_nothing_published_stands_beside_a_number_of_another_network() -> None:
    run = made_run("ours", {"ssim": EIGHT})
    protocols = [
        p.model_copy(
            update={"name": "lpips", "scores": [p.scores[0].model_copy(update={"metric": "pd_efficientnet_lite0"})]}
        )
        for p in run.record.protocols
    ]
    record = run.record.model_copy(update={"protocols": protocols})
    shown = Leaderboard.of([type(run)(record, run.per_pair, run.missing)], literature=NUMBERS)
    assert list(shown.metrics) == ["pd_efficientnet_lite0"]
    assert placed(shown) == []
    assert closing_notes(shown)[-1] == "no published number is of a metric that stands here"


def test_sources_are_numbered_as_shown_and_named_below_with_their_notes() -> None:
    shown = board("psnr")
    assert [row.name for row in tables(shown, 0)[0].published] == [
        "MCLD 352×512 [1]",
        "CFLD 352×512 [1]",
        "PISE 176×256 [2]",
    ]
    assert closing_notes(shown)[-2:] == [
        "[1] material of MCLD (MCLD, CFLD: MCLD measures by the code of CFLD)",
        "[2] PISE issue 18 (PISE: uint8 that wraps around: between 27 and 31 dB whatever the images)",
    ]


def test_markdown_has_them_in_italics_and_csv_in_columns_of_their_own_name() -> None:
    text = Markdown().text(board("ssim", "patn@2:ssim"))
    assert "| PATN 176×256 [1] |  | 0.773 |" in text
    assert "| VUNet [1] | *0.763 (unknown)* |  |" in text
    rows = list(csv.DictReader(Csv().text(board("ssim", "patn@2:ssim")).splitlines()))
    patn = next(row for row in rows if row["run"] == "PATN" and row["patn@2:ssim ↑"] == "0.773")
    assert (patn["block"], patn["ssim ↑"], patn["source"]) == ("literature", "", "2s-ATN, Table 1 (arXiv 2011.04181)")
    assert all(row["ssim ↑"] == "" for row in rows if row["block"] == "literature")
    assert (
        sum(
            row[column] != ""
            for row in rows
            if row["block"] == "literature"
            for column in row
            if ":" in column and not column.endswith("std")
        )
        == 142
    )
