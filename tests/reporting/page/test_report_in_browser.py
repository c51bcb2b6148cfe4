"""The report page in Debian's Chromium, driven by Playwright: what readers do, and that it asks for nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import pictured_run

from fhpt_eval.reporting.page import album as album_module
from fhpt_eval.reporting.page import document as document_module
from fhpt_eval.reporting.page.document import write_report

CHROMIUM = shutil.which("chromium")
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=https://example.org/x onerror=document.title='owned'>"
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is here: apt-get install chromium"),
]

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    runs = [pictured_run(name, folder, seed=seed, better=seed / 10)
            for seed, name in enumerate(["base", "mine", HOSTILE], start=1)]  # fmt: skip
    write_report(runs, folder / "report.html", lambda *_: None)
    return folder / "report.html"


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Open]:
    """Open the page; at the end, nothing was said on the console and nothing was asked of anyone."""
    said: list[str] = []
    asked: list[str] = []
    pages = []

    def call(file: Path = report, **options: Any) -> Any:
        page = browser.new_page(**options)
        pages.append(page)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_timeout(200)
        return page

    yield call
    for page in pages:
        page.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def column(page: Any, place: int) -> list[str]:
    script = f"rows => rows.map(row => row.cells[{place}].textContent.trim().split(/\\s/)[0])"
    found: list[str] = page.eval_on_selector_all("#board table:first-of-type tbody tr", script)
    return found


def test_a_heading_sorts_by_pointer_and_by_keyboard(opened: Open) -> None:
    page = opened()
    heading = page.locator("#board th:has-text('ssim') button").first
    place = heading.evaluate("button => button.parentElement.cellIndex")
    rows = page.locator("#board table").first.locator("tbody tr")
    heading.click()
    values = [float(rows.nth(i).locator("td").nth(place - 1).locator(".value").inner_text()) for i in range(3)]
    assert values == sorted(values, reverse=True)
    assert heading.evaluate("button => button.parentElement.ariaSort") == "ascending"
    heading.focus()
    page.keyboard.press("Enter")
    values = [float(rows.nth(i).locator("td").nth(place - 1).locator(".value").inner_text()) for i in range(3)]
    assert values == sorted(values)
    assert heading.evaluate("button => button.parentElement.ariaSort") == "descending"
    assert "sorted by ssim" in page.inner_text("#said")


def test_curves_are_read_under_the_pointer_and_by_arrows(opened: Open) -> None:
    page = opened()
    plot = page.locator("#errors .plot").first
    plot.scroll_into_view_if_needed()
    read = "() => document.querySelector('#errors .u-series .u-value').textContent"
    at_rest = page.evaluate(read)
    assert at_rest.endswith("px")
    box = plot.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 50)
    quarter = float(page.evaluate(read).split()[0])
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    half = float(page.evaluate(read).split()[0])
    assert half == pytest.approx(2 * quarter, rel=0.1)
    values = page.eval_on_selector_all("#errors .u-value", "cells => cells.map(cell => cell.textContent)")
    data = page.evaluate("JSON.parse(document.getElementById('data').textContent).errors.charts[0]")
    index = min(range(len(data["xs"])), key=lambda i: abs(data["xs"][i] - half))
    shown = [line for line in data["series"] if line["dash"] != "found"]
    assert values[1:] == [f"{line['values'][index]:.3f}" for line in shown]
    page.mouse.move(0, 0)
    page.wait_for_timeout(100)
    assert page.evaluate(read) == at_rest
    plot.focus()
    page.keyboard.press("End")
    assert page.evaluate(read) == f"{data['xs'][-1]:g} px"
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#said").startswith("distance α")
    page.check("#found")
    assert page.locator("#errors .u-series").count() == 1 + len(data["series"])


def test_the_gallery_shows_what_is_chosen_and_the_slider_moves_by_keys(opened: Open) -> None:
    page = opened()
    first = page.inner_text("#gallery-rows h3 >> nth=0")
    page.select_option("#gallery-choice", label="best")
    assert page.inner_text("#gallery-rows h3 >> nth=0") != first
    assert page.locator("#gallery-rows .pair").first.locator("img").count() == 5
    width = "() => document.querySelector('#comparator-stage .over').style.clipPath"
    assert page.evaluate(width) == "inset(0px 50% 0px 0px)"
    page.focus("#comparator-share")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(width) == "inset(0px 48% 0px 0px)"
    box = page.locator("#comparator-stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + 20)
    assert page.input_value("#comparator-share") == "25"
    page.locator("#gallery-rows .pair").nth(1).locator("button").nth(2).click()
    assert page.input_value("#comparator-right") == "2"
    assert page.eval_on_selector("#comparator-stage .over", "image => image.alt").startswith("target of")
    assert page.locator("#gallery-rows button[aria-pressed=true]").count() == 2
    loaded = "images => images.every(image => image.complete && image.naturalWidth > 0)"
    assert page.eval_on_selector_all("#gallery img", loaded)


def test_hostile_names_do_nothing(opened: Open) -> None:
    page = opened()
    assert page.title() != "owned"
    assert page.title().startswith("base, mine, </script>")
    assert page.locator("img[onerror]").count() == 0
    page.select_option("#gallery-choice", index=4)
    page.locator("#gallery-rows button").last.click()
    assert page.locator("img[onerror]").count() == 0
    assert page.title() != "owned"


@pytest.mark.parametrize("width", [360, 800, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_and_can_be_read(opened: Open, width: int, scheme: str) -> None:
    page = opened(viewport={"width": width, "height": 900}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    script = """() => ['color', 'backgroundColor'].map(name => getComputedStyle(document.body)[name]
        .match(/\\d+/g).map(Number).reduce((sum, part) => sum + part))"""
    ink, paper = page.evaluate(script)
    assert (paper > ink) == (scheme == "light")


def test_every_control_is_reached_by_tab_and_has_a_name(opened: Open) -> None:
    page = opened()
    script = """() => [...document.querySelectorAll('select, input, button, [tabindex]')]
        .filter(it => !(it.ariaLabel || it.textContent.trim() || it.labels?.length)).length"""
    assert page.evaluate(script) == 0
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('nav') !== null")


def test_without_scripts_the_numbers_are_there(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("#board td .value").first.inner_text()
    assert page.locator("#errors table td").count() > 10


def test_a_large_page_is_small_and_can_be_used(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """8,570 pairs by six runs, as DeepFashion has them, with a different picture of noise wherever one is asked for."""
    random = np.random.default_rng(0)
    monkeypatch.setattr("made_runs.write_pictures", lambda folder, count, seed: [f"{folder}/{i}" for i in range(count)])
    monkeypatch.setattr("made_runs.Path.read_bytes", lambda path: b"")
    monkeypatch.setattr(document_module, "changes", lambda *_: [])
    monkeypatch.setattr(
        album_module.Album,
        "_taken",
        lambda album, ref, height: album._kept(random.integers(0, 256, (256, 176, 3), dtype=np.uint8), height),
    )
    runs = [pictured_run(f"method {i}", tmp_path, count=8570, seed=i) for i in range(6)]
    write_report(runs, tmp_path / "report.html", lambda *_: None)
    assert (tmp_path / "report.html").stat().st_size < 25e6
    page = browser.new_page()
    page.goto((tmp_path / "report.html").as_uri())
    page.select_option("#gallery-choice", index=1)
    assert page.locator("#gallery-rows img").count() > 20
    page.close()
