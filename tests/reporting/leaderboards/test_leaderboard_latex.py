"""Leaderboards as LaTeX: what is escaped, and that a paper can read them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_runs import HOSTILE, made_run

from fhpt_eval.reporting.leaderboards.as_latex import Latex, escaped
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.literature import read_literature

TEX = shutil.which("pdflatex") or shutil.which("tectonic")
PAPER = "\\documentclass{article}\n\\usepackage{booktabs,xcolor}\n\\begin{document}\n\\input{board}\n\\end{document}\n"
VALUES = [0.5, 0.6, 0.7, 0.8, 0.5, 0.6, 0.7, 0.8]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b & c%", r"a\_b \& c\%"),
        ("\\input{x}", r"\textbackslash{}input\{x\}"),
        ("$1~^#", r"\$1\textasciitilde{}\textasciicircum{}\#"),
        ('<a>|"`', r"\textless{}a\textgreater{}\textbar{}{\char34}\textasciigrave{}"),
        ("--table a-b", r"-{}-table a-b"),
        ("≈ ↑ – é", r"$\approx$ $\uparrow$ \textendash{} é"),
        ("\x1b\n", r"\textbackslash{}u001b\textbackslash{}u000a"),
    ],
)
def test_every_sign_that_does_something_is_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


def board() -> Leaderboard:
    close = [value + 0.02 + 0.1 * (-1) ** i * (1 + i % 3) for i, value in enumerate(VALUES)]
    return Leaderboard.of(
        [
            made_run("one", {"ssim": VALUES, "psnr": [20.0 + v for v in VALUES], "patn@2:ssim": VALUES}),
            made_run("two", {"ssim": close, "psnr": VALUES, "patn@2:ssim": VALUES}),
            made_run(HOSTILE, {"ssim": VALUES}, hash="other"),
            made_run("[b] * é", {"ssim": VALUES}, hash="other", generated="x"),
        ],
        table="all",
        intervals=True,
        literature=read_literature(),
    )


def test_the_best_is_bold_the_second_underlined_and_published_numbers_stand_below_a_rule() -> None:
    text = Latex().text(
        Leaderboard.of(board().blocks[0].runs, metrics=["psnr", "ssim", "patn@2:ssim"], literature=read_literature())
    )
    lines = text.splitlines()
    assert any(re.fullmatch(r"one & \\textbf\{20\.65\} & .* \\\\", line) for line in lines)
    assert any(re.fullmatch(r"two & \\underline\{0\.65\} & .* \\\\", line) for line in lines)
    rules = [i for i, line in enumerate(lines) if line == r"\midrule"]
    below = lines[rules[1] :]
    assert any(line.startswith(r"PATN 176$\times$256 [1] & ") and line.endswith("& 0.773 \\\\") for line in below)
    assert any(r"\textcolor{gray}{0.763 (unknown)}" in line for line in below)
    assert "gray" not in "\n".join(lines[: rules[1]])


def test_the_rest_is_ascii_but_for_names() -> None:
    text = Latex().text(board()).replace("é", "").replace(r"\u202e", "")
    assert {sign for sign in text if not sign.isascii()} == set()


@pytest.mark.skipif(
    TEX is None, reason="neither pdflatex nor tectonic is here: apt-get install texlive-latex-recommended"
)
def test_a_paper_with_it_compiles(tmp_path: Path) -> None:
    (tmp_path / "board.tex").write_text(Latex().text(board()), encoding="utf-8")
    (tmp_path / "paper.tex").write_text(PAPER, encoding="utf-8")
    options = ["-interaction=nonstopmode", "-halt-on-error"] if TEX and "pdflatex" in TEX else []
    command = [str(TEX), *options, "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=300)  # noqa: S603
    assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
