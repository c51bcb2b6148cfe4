"""The report page without a browser: what stands in it, that nothing in it can do anything, and what it is made of."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from made_runs import pictured_run
from PIL import Image

from fhpt_eval.errors import UserError
from fhpt_eval.evaluation.image_list import ImageList, ListedImage
from fhpt_eval.evaluation.run import Run
from fhpt_eval.progress import Progress
from fhpt_eval.reporting.blocks import blocks_of
from fhpt_eval.reporting.comparing.compare import compare
from fhpt_eval.reporting.figures.on_disk import changes
from fhpt_eval.reporting.page import album as album_module
from fhpt_eval.reporting.page.album import Album
from fhpt_eval.reporting.page.board import section as board
from fhpt_eval.reporting.page.chosen import choices
from fhpt_eval.reporting.page.document import document as document_of
from fhpt_eval.reporting.page.document import write_report
from fhpt_eval.reporting.page.shown import Shown

HOSTILE = "</script><script>alert(1)</script>\x1b[31m|$\\%&_\u202e<img src=x onerror=alert(2)>"


def document(runs: Sequence[Run], progress: Progress) -> str:
    """The page without what it says of pictures."""
    return document_of(runs, progress)[0]


class Page(HTMLParser):
    """Tags, their attributes, and the text of each kind of tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._open = tag

    def handle_data(self, text: str) -> None:
        self.texts.setdefault(self._open, []).append(text)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def data(self) -> Any:
        (found,) = (text for text in self.texts["script"] if text.startswith("{"))
        return json.loads(found)

    @property
    def sections(self) -> list[str | None]:
        return [attributes["id"] for attributes in self.all("section")]


def quiet(*_: object) -> None:
    """No progress."""


def runs_in(folder: Path) -> list[Run]:
    return [pictured_run("base", folder, seed=1), pictured_run("mine", folder, seed=2, better=0.2)]


@pytest.fixture
def two(tmp_path: Path) -> list[Run]:
    return runs_in(tmp_path)


class Written(NamedTuple):
    """Two runs, and the page about them."""

    runs: list[Run]
    html: str

    def section(self, name: str) -> str:
        (found,) = re.findall(rf'<section id="{name}".*?</section>', self.html, re.DOTALL)
        return str(found)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    runs = runs_in(tmp_path_factory.mktemp("written"))
    return Written(runs, document(runs, quiet))


@pytest.fixture(scope="module")
def alone(written: Written) -> Written:
    """The first run by itself."""
    return Written(written.runs[:1], document(written.runs[:1], quiet))


EVERY = ["answer", "board", "errors", "recalls", "gallery", "retrieved", "thresholds", "answered", "gaps", "provenance"]


def test_the_page_has_every_section_in_order_and_the_navigation_leads_to_it(written: Written) -> None:
    page = Page(written.html)
    assert page.sections == EVERY
    assert [a["href"] for a in page.all("a")[1:]] == [f"#{name}" for name in EVERY]
    assert [tag for tag, _ in page.tags if tag in {"header", "nav", "main"}] == ["header", "nav", "main"]
    assert page.all("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(below <= above + 1 for above, below in itertools.pairwise(levels))


def test_every_picture_says_what_it_shows_and_is_in_the_page(written: Written) -> None:
    page = Page(written.html)
    pictures = page.all("img")
    assert len(pictures) > 20
    assert all(picture["alt"] for picture in pictures)
    addresses = page.data["pictures"]
    assert {int(picture["data-picture"] or "") for picture in pictures} <= set(range(len(addresses)))
    assert all(re.match(r"data:image/(png|jpeg);base64,", address) for address in addresses)
    assert len(set(addresses)) == len(addresses)


def test_the_policy_allows_what_the_page_holds_and_no_request(written: Written) -> None:
    html = written.html
    page = Page(html)
    (policy,) = (a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert allowed.pop("img-src") == "data:"
    assert {allowed.pop(kind) for kind in ("default-src", "base-uri", "form-action")} == {"'none'"}
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        inside = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inside]
        assert allowed.pop(kind).split() == [f"'sha256-{found}'" for found in hashes]
        assert len(hashes) == 2
    assert not allowed
    assert not [a for _, a in page.tags if {"src", "style", "onclick", "srcset"} & a.keys()]
    assert not page.all("link")
    assert "The MIT License" in html


def test_hostile_names_are_text(two: list[Run]) -> None:
    hostile = _renamed(two[1], HOSTILE)
    hostile.per_pair["pair"] = two[0].per_pair["pair"] = [f"{HOSTILE}{i}" for i in range(12)]
    html = document([two[0], hostile], quiet)
    page = Page(html)
    assert "<script>alert" not in html
    assert "<img src" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert len(page.all("script")) == 3
    written = "</script><script>alert(1)</script>\\u001b[31m|$\\%&_\\u202e<img src=x onerror=alert(2)>"
    assert page.data["gallery"]["runs"] == ["base", written]
    assert any(written in text for text in page.texts["title"])


def _renamed(run: Run, name: str, **about: Any) -> Run:
    return dataclasses.replace(run, record=run.record.model_copy(update={"name": name, **about}))


def test_the_same_runs_give_the_same_bytes_and_another_file_stays(two: list[Run], tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    write_report(two, file, quiet)
    before = file.read_bytes()
    write_report(two, file, quiet)
    assert file.read_bytes() == before
    with pytest.raises(UserError, match="--overwrite"):
        write_report(two[:1], file, quiet)
    write_report(two[:1], file, quiet, overwrite=True)
    assert file.read_bytes() != before


def test_one_run_has_a_page_without_comparison(alone: Written) -> None:
    page = Page(alone.html)
    assert page.sections == EVERY
    assert any("Give a baseline" in text for text in page.texts["p"])


@pytest.mark.slow
def test_twelve_runs_have_a_page(tmp_path: Path) -> None:
    page = Page(document([pictured_run(f"run {i}", tmp_path, seed=i) for i in range(12)], quiet))
    assert page.sections == EVERY
    assert len(page.data["gallery"]["runs"]) == 12


def test_a_gallery_that_grows_too_large_keeps_whole_rows(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Page(written.html).data
    size = sum(map(len, whole["pictures"]))
    monkeypatch.setattr(album_module.Album.__init__, "__defaults__", (size - 1,))
    page = Page(document(written.runs, quiet))
    kept = page.data["gallery"]["rows"]
    assert 0 < len(kept) < len(whole["gallery"]["rows"])
    pictures = [p for row in kept.values() for p in (row["source"], row["target"], *row["generated"])]
    assert all(picture["index"] is not None for picture in pictures)
    shown = {str(pair) for m in page.data["gallery"]["metrics"] for choice in m["choices"] for pair in choice["pairs"]}
    assert shown == set(kept)
    assert any("Some pairs were left out" in text for text in page.texts["p"])


def test_two_runs_of_one_name_are_refused(two: list[Run]) -> None:
    with pytest.raises(UserError, match="two runs are called 'base'"):
        document([two[0], _renamed(two[1], "base")], quiet)


def test_runs_that_cannot_be_compared_stand_apart_with_the_reason(two: list[Run]) -> None:
    other = _renamed(two[1], "other", pairs=two[1].record.pairs.model_copy(update={"hash": "c" * 64}))
    page = Page(document([two[0], other], quiet))
    assert any("Not comparable: other pairs than base" in text for text in page.texts["h3"])
    assert page.data["gallery"]["runs"] == ["base"]


def test_sections_without_data_are_left_out(two: list[Run]) -> None:
    bare = [
        dataclasses.replace(
            run, arrays={}, record=run.record.model_copy(update={"protocols": run.record.protocols[:1]})
        )
        for run in two
    ]
    assert Page(document(bare, quiet)).sections == ["answer", "board", "gallery", "gaps", "provenance"]
    nothing = [dataclasses.replace(run, record=run.record.model_copy(update={"protocols": []})) for run in bare]
    assert Page(document(nothing, quiet)).sections == ["answer", "board", "gaps", "provenance"]


def test_runs_of_before_say_how_to_see_what_was_retrieved(two: list[Run]) -> None:
    before = [dataclasses.replace(run, arrays={}) for run in two]
    page = Page(document(before, quiet))
    assert "retrieved" in page.sections
    assert any("score them again" in text for text in page.texts["p"])


def test_retrieved_pictures_are_the_sources_of_the_nearest_pairs(written: Written) -> None:
    section = written.section("retrieved")
    rows = re.findall(r'<div class="asked">.*?alt="(\w+) of pair (\d+)".*?<ol>(.*?)</ol>', section, re.DOTALL)
    assert len(rows) >= 6
    for name, pair, answers in rows:
        run = next(run for run in written.runs if run.record.name == name)
        kept = run.arrays["recall@10[resnet50]"]
        shown = re.findall(r'<li class="(right|wrong)"><img .*? alt="source of pair (\d+)"', answers)
        assert [int(source) for _, source in shown] == kept["nearest"][int(pair)].tolist()
        assert [kind == "right" for kind, _ in shown] == kept["relevant"][int(pair)].tolist()


def test_face_pairs_are_those_next_to_the_threshold_and_furthest_from_it(alone: Written) -> None:
    section = alone.section("thresholds")
    shown = re.findall(r'class="(right|wrong)" title="pair (\d+)".*?class="under">([\d.]+) ', section, re.DOTALL)
    values = alone.runs[0].per_pair["face_distance"].to_numpy()
    assert all(float(told) == pytest.approx(values[int(pair)], abs=1e-4) for _, pair, told in shown)
    assert all((kind == "right") == (values[int(pair)] < 0.6) for kind, pair, _ in shown)
    pairs = {int(pair) for _, pair, _ in shown}
    assert {int(np.nanargmin(values)), int(np.nanargmax(values)), int(np.nanargmin(np.abs(values - 0.6)))} <= pairs
    assert 0 not in pairs


def test_answers_of_the_classifier_add_up(alone: Written) -> None:
    section = alone.section("answered")
    rows = re.findall(r"<td>(WOMEN|MEN)</td>(.*?)</tr>", section, re.DOTALL)
    table = alone.runs[0].per_pair
    for label, row in rows:
        count, women, men = map(int, re.findall(r'<td class="number[^"]*">(\d+)</td>', row))
        own = table[table["gender"] == label]
        wrong = int(own["gender_error"].sum())
        assert count == len(own)
        assert (men if label == "WOMEN" else women) == wrong
        assert women + men == count


def test_what_is_missing_has_its_reason_and_pictures(alone: Written) -> None:
    section = alone.section("gaps")
    assert "no face in target" in section
    assert "<code>face_same@0.6</code>" in section
    assert section.count('title="pair 0"') == 1


def test_curves_are_the_shares_of_all_distances(written: Written) -> None:
    (chart,) = Page(written.html).data["errors"]["charts"]
    base = next(line for line in chart["series"] if line["label"] == "base")
    distances = written.runs[0].arrays["kec_auc_body"]["distance"]
    for place in (0, 40, 120):
        expected = float((distances < chart["xs"][place]).mean())
        assert base["values"][place] == pytest.approx(expected, abs=0.01)
    assert chart["mark"] == [12.8, 12.8]


def test_recall_has_its_floor_and_ceiling(written: Written) -> None:
    (chart,) = Page(written.html).data["recalls"]["charts"]
    lines = {line["label"]: line["values"] for line in chart["series"]}
    assert chart["xs"] == [3, 5, 10]
    assert lines["chance (floor)"] == [0.2, 0.2, 0.2]
    assert lines["real targets (ceiling)"] == [0.9, 0.9, 0.9]
    assert lines["base"][2] == pytest.approx(written.runs[0].scores["recall@10[resnet50]"].value, abs=1e-4)


def test_best_and_second_are_marked_and_a_best_that_is_not_told_apart(tmp_path: Path) -> None:
    runs = [pictured_run(name, tmp_path, count=40, seed=i, better=shift)
            for i, (name, shift) in enumerate([("a", 0.0), ("b", 0.3), ("c", 0.001)])]  # fmt: skip
    shown = Shown(blocks_of(runs), compare(runs), Album())
    table = board(shown).view["table"]
    column = next(i for i, metric in enumerate(table.metrics) if metric.name == "ssim")
    cells = {name: cells[column] for name, _, cells in table.rows}
    values = {run.record.name: run.scores["ssim"].value or 0 for run in runs}
    ranked = sorted(values, key=lambda name: -values[name])
    assert [cells[name].rank for name in ranked] == [1, 2, 0]
    assert ranked[0] == "b"
    assert not cells["b"].alike
    near = Shown(blocks_of(runs[::2]), compare(runs[::2]), Album())
    alike = [cells[column].alike for _, _, cells in board(near).view["table"].rows]
    assert sorted(alike) == [False, True]


def test_pairs_are_chosen_by_the_mean_the_spread_and_the_first_run() -> None:
    gains = np.array([[1.0, 5, 3, 9, np.nan], [1, 7, 3, 2, 4]])
    assert choices(gains, ["a", "b"], 1) == {
        "worst": [0],
        "best": [1],
        "median": [4],
        "most disputed": [3],
        "b furthest behind a": [3],
    }
    assert list(choices(gains[:1], ["a"], 2)) == ["worst", "best", "median"]
    assert choices(np.full((2, 3), np.nan), ["a", "b"], 1) == {}


def test_pictures_that_are_gone_or_changed_are_told_and_the_page_still_works(two: list[Run]) -> None:
    assert 'class="note warn"' not in document(two, quiet)
    Path(two[0].per_pair["generated"][3]).unlink()
    Image.new("RGB", (22, 32), "red").save(two[1].per_pair["generated"][4])
    Path(two[0].per_pair["source"][5]).write_bytes(b"no picture")
    html = document(two, quiet)
    assert "1 of 12 generated images of base are not where the run found them." in html
    assert "some generated images of mine have changed since they were measured." in html
    rows = Page(html).data["gallery"]["rows"]
    assert rows["3"]["generated"][0]["index"] is None if "3" in rows else True
    assert Page(html).sections == EVERY


def test_a_run_that_lists_its_images_tells_how_many_changed(two: list[Run]) -> None:
    paths = dict(zip(two[1].per_pair["pair"], map(Path, two[1].per_pair["generated"]), strict=True))
    rows = [
        ListedImage("generated", pair, hashlib.sha256(path.read_bytes()).hexdigest()) for pair, path in paths.items()
    ]
    listed = dataclasses.replace(two[1], image_list=ImageList(tuple(rows)))
    for pair in ("pair 4", "pair 7"):
        Image.new("RGB", (22, 32), "red").save(paths[pair])
    assert changes([listed], quiet) == ["2 generated images of mine have changed since they were measured"]


def test_the_commands_of_the_runs_are_told(two: list[Run]) -> None:
    told = _renamed(two[0], "base", command=["fhpt-eval", "run", "-g", "my images"])
    assert "fhpt-eval run -g &#39;my images&#39;" in document([told], quiet)


def test_an_album_keeps_each_picture_once_and_ends_at_its_budget(two: list[Run]) -> None:
    album = Album(budget=6000)
    one = album.take(two[0], 0, "target")
    assert album.take(two[1], 0, "target") == dataclasses.replace(one)
    assert len(album.addresses) == 1
    assert (one.width, one.height) == (22, 32)
    assert album.take(two[0], 0, "target", 16).height == 16
    taken = [album.take(two[0], row, "source") for row in range(12)]
    assert sum(map(len, album.addresses)) <= 6000
    assert {picture.why for picture in taken if picture.index is None} == {album_module.TOO_MANY}


def test_a_panel_of_a_strip_is_cut(two: list[Run], tmp_path: Path) -> None:
    colours = ("red", "green", "blue")
    strip = Image.new("RGB", (30, 10))
    for place, colour in enumerate(colours):
        strip.paste(Image.new("RGB", (10, 10), colour), (10 * place, 0))
    strip.save(tmp_path / "strip.png")
    run = _renamed(two[0], "strips", pairs=two[0].record.pairs.model_copy(update={"naming": "dsc-strip"}))
    for role in ("generated", "target", "source"):
        run.per_pair[role] = str(tmp_path / "strip.png")
    album = Album()
    for role, colour in zip(("source", "target", "generated"), colours, strict=True):
        picture = album.take(run, 0, role)  # type: ignore[arg-type]
        assert (picture.width, picture.height) == (10, 10)
        assert picture.index is not None
        data = base64.b64decode(album.addresses[picture.index].partition(",")[2])
        (tmp_path / "panel").write_bytes(data)
        assert Image.open(tmp_path / "panel").convert("RGB").getpixel((5, 5)) == Image.new(
            "RGB", (1, 1), colour
        ).getpixel((0, 0))
