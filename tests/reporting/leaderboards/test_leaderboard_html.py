"""Leaderboards as a page: it needs nothing from elsewhere, names do nothing, and headings sort."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_runs import HOSTILE, made_run

from fhpt_eval.reporting.leaderboards.as_html import Html
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.literature import read_literature

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
CLICK = """<script>
const seen = [], button = document.querySelectorAll("thead button")[COLUMN];
for (let i = 0; i < 2; i++) {
  button.focus(); button.click();
  seen.push(button.parentElement.getAttribute("aria-sort"));
  for (const row of document.querySelector("tbody").rows) seen.push(row.cells[0].textContent);
}
document.title = seen.join(",");
</script></body>"""


def page(**choice: bool) -> str:
    runs = [
        made_run(name, {"fid": fid, "ssim": [ssim] * 8, "psnr": [20.0] * 8})
        for name, fid, ssim in (("a", 10.0, 0.5), ("b", 9.0, 0.7), ("c", 100.0, 0.6))
    ]
    runs += [made_run("gap", {"ssim": [0.1] * 8}), made_run(HOSTILE, {"fid": 1.0}, hash="other")]
    return Html().text(Leaderboard.of(runs, everything=True, literature=read_literature()))


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_it_takes_nothing_from_elsewhere_and_names_are_inert() -> None:
    text = page()
    tags = Tags(text).seen
    assert [tag for tag, _ in tags].count("script") == 1
    assert not {"src", "href", "onclick"} & {name for _, attributes in tags for name in attributes}
    assert "<script>alert" not in text
    assert r"&lt;script&gt;alert(1)&lt;/script&gt;$ \end{x}" in text
    assert r"\u202e" in text
    assert "\x1b" not in text
    assert "url(" not in text
    assert "http" not in text.replace('http-equiv="Content-Security-Policy"', "")


def test_headlines_stand_first_and_details_are_folded_away() -> None:
    text = page()
    before, _, folded = text.partition("<details>")
    assert "ssim ↑" in before
    assert "psnr ↑ (dB)" in folded.partition("</details>")[0]
    assert "psnr" not in before.split("<tbody>")[0]
    assert re.search(r'<td data-value="0.7[0-9]*"><b>0.7000</b>', before)
    assert '<td data-value="0.614" class="grey">0.614 <small>(unknown)</small></td>' in before


def title(text: str, folder: Path) -> str:
    (folder / "board.html").write_text(text, encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(  # noqa: S603
        [*command, "--dump-dom", (folder / "board.html").as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    (found,) = re.findall("<title>(.*)</title>", done.stdout)
    return str(found)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to click in: apt-get install chromium")
@pytest.mark.parametrize(
    ("column", "order"),
    [
        (1, "ascending,b,a,c,gap,descending,c,a,b,gap"),
        (2, "descending,b,c,a,gap,ascending,gap,a,c,b"),
        (0, "ascending,a,b,c,gap,descending,gap,c,b,a"),
    ],
)
def test_a_heading_sorts_the_best_first_and_then_the_other_way(column: int, order: str, tmp_path: Path) -> None:
    assert title(page().replace("</body>", CLICK.replace("COLUMN", str(column))), tmp_path) == order
