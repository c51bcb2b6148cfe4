"""Leaderboards as LaTeX, for papers: tables of booktabs."""

from __future__ import annotations

import re
from typing import ClassVar

from fhpt_eval.reporting.leaderboards.format import LeaderboardFormat
from fhpt_eval.reporting.leaderboards.leaderboard import Leaderboard
from fhpt_eval.reporting.leaderboards.notes import closing_notes, notes
from fhpt_eval.reporting.leaderboards.tables import CLOSE, Cell, Row, Table, heading, tables
from fhpt_eval.text import visible

WIDTH = 84
"""Characters of \\footnotesize that a page holds."""

_HEAD = "% \\usepackage{booktabs,xcolor}, and \\usepackage[T1]{fontenc} for names that are not ASCII\n"

_ESCAPED = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "{}$&#%_"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"{\char34}",
    # What our own sentences are written with.
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "…": r"\ldots{}",
    "×": r"$\times$",
    "±": r"$\pm$",
    "−": "$-$",
    "→": r"$\to$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≈": r"$\approx$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "α": r"$\alpha$",
    "ε": r"$\varepsilon$",
    "σ": r"$\sigma$",
    "φ": r"$\varphi$",
}
_TABLE = str.maketrans(_ESCAPED)


class Latex(LeaderboardFormat):
    r"""Tables to be read by ``\input``: the best in bold, the second underlined; below them what must be known."""

    name: ClassVar[str] = "tex"
    everything: ClassVar[bool] = False

    def text(self, board: Leaderboard) -> str:
        """Return the tables, one below the other, without floats: pages may break between them."""
        parts = [_HEAD]
        for number in range(len(board.blocks)):
            parts += [_tabular(table) for table in tables(board, number, WIDTH)]
            parts.append(_lines(notes(board, number)))
        parts.append(_lines(closing_notes(board)))
        return "\n".join(filter(None, parts))


def _lines(lines: list[str]) -> str:
    told = "".join(f"{escaped(line)}.\\par\n" for line in lines)
    return f"{{\\scriptsize\\raggedright\\parindent=0pt\n{told}}}\n" if lines else ""


def _tabular(table: Table) -> str:
    heads = " & ".join(["run", *(escaped(heading(metric)) for metric in table.metrics)])
    rows = "".join(map(_row, table.runs))
    published = "\\midrule\n" + "".join(map(_row, table.published)) if table.published else ""
    columns = f"@{{}}l{'r' * len(table.metrics)}@{{}}"
    return (
        f"\\begin{{center}}\\footnotesize\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n{heads} \\\\\n\\midrule\n"
        f"{rows}{published}\\bottomrule\n\\end{{tabular}}\n\\end{{center}}\n"
    )


def _row(row: Row) -> str:
    name = escaped(row.name)
    # After the end of a row, a star or a bracket would belong to that.
    first = f"{{}}{name}" if name.startswith(("[", "*")) else name
    return " & ".join([first, *map(_cell, row.cells)]) + " \\\\\n"


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    text = {"best": f"\\textbf{{{text}}}", "second": f"\\underline{{{text}}}", "": text}[cell.place]
    beside = f" {escaped(cell.beside)}" if cell.beside else ""
    # The mark hangs into the gap, so that digits stay below digits.
    close = _ESCAPED[CLOSE] if cell.close and beside else f"\\rlap{{{_ESCAPED[CLOSE]}}}" if cell.close else ""
    return f"\\textcolor{{gray}}{{{text}{beside}}}" if cell.grey else text + close + beside


def escaped(text: str) -> str:
    """Return a text that LaTeX shows as it is."""
    return re.sub("-(?=-)", "-{}", visible(text).translate(_TABLE))
