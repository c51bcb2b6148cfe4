"""What docs/dialects.md says of the dialects' files: ``python -m fhpt_eval.reporting.dialects_page FILE``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.measuring.dialects import Dialect, default_id, own_dialects
from fhpt_eval.measuring.measurement import Measurement
from fhpt_eval.measuring.protocol import configure
from fhpt_eval.options import option_text

BEGIN, END = "<!-- from protocols/dialects/*.toml: python -m fhpt_eval.reporting.dialects_page -->", "<!-- end -->"


def page() -> str:
    """Return a table for each protocol, with every option that some dialect changes, and the dialects' notes."""
    dialects = [dialect for dialect in own_dialects().values() if not dialect.refused]
    unknown = [dialect for dialect in own_dialects().values() if dialect.refused]
    measured = [m for dialect in dialects for m in dialect.measurements()]
    names = dict.fromkeys(m.protocol.name for m in measured)
    parts = [_table(name, [m for m in measured if m.protocol.name == name]) for name in names]
    parts += ["## Each by itself\n", *(_notes(dialect) for dialect in dialects), "## Unknown: refused\n"]
    parts.append("".join(f"- **{d.key}**, {d.title}: {d.refused}\n" for d in unknown))
    return "\n".join(parts)


def _table(name: str, measured: list[Measurement]) -> str:
    """Return a row a metric; options that are at their default are left out."""
    defaults = configure(type(measured[0].protocol), "paper", {}).parameters()
    options = [o for o in defaults if any(m.protocol.parameters()[o] != defaults[o] for m in measured)]
    rows = [["dialect", *options], ["---"] * (len(options) + 1)]
    for m in measured:
        values = m.protocol.parameters()
        label = m.name if m.dialect else f"{default_id()}:{m.name}"
        rows.append([f"`{label}`", *("" if values[o] == defaults[o] else f"`{values[o]}`" for o in options)])
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    usual = ", ".join(f"`{o}={option_text(defaults[o])}`" for o in options)
    return f"### {name}\n\n{lines}\n\nEmpty: as ours{f', {usual}' if usual else ''}.\n"


def _notes(dialect: Dialect) -> str:
    also = f" (also {', '.join(dialect.aliases)})" if dialect.aliases else ""
    code = f"{dialect.repository} {dialect.commit}: {', '.join(f'`{file}`' for file in dialect.files)}"
    facts = {
        "code": code if dialect.repository else "",
        "reference set": dialect.reference,
        "order of files": dialect.order,
    }
    lines = [f"### `{dialect.id}`{also}\n", f"{dialect.title}; {dialect.paper}.\n"]
    lines += _items(f"{what}: {text}" for what, text in facts.items() if text)
    lines += _items(dialect.known)
    lines += _items(f"not known: {text}" for text in dialect.unknown)
    return "\n".join(lines) + "\n"


def _items(texts: Iterable[str]) -> list[str]:
    return [f"- {text}" for text in texts]


def with_page(text: str) -> str:
    """Return a document with the part between the marks made again."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{page()}\n{END}{after}"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    write_atomic(file, with_page(file.read_text(encoding="utf-8")))
