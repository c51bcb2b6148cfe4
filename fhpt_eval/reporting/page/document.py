"""The whole page: its sections in order, its style and script inside, and nothing that is asked of a network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from fhpt_eval.evaluation.named_file import write_named
from fhpt_eval.evaluation.run import Run
from fhpt_eval.progress import Progress
from fhpt_eval.reporting.blocks import blocks_of
from fhpt_eval.reporting.comparing.compare import compare
from fhpt_eval.reporting.figures.on_disk import changes
from fhpt_eval.reporting.page import (
    answer,
    answered,
    board,
    curves,
    gallery,
    gaps,
    near_threshold,
    provenance,
    retrieved,
)
from fhpt_eval.reporting.page.album import Album
from fhpt_eval.reporting.page.shown import Section, Shown
from fhpt_eval.text import visible

SECTIONS: tuple[Callable[[Shown], Section | None], ...] = (
    answer.section,
    board.section,
    curves.errors,
    curves.recalls,
    gallery.section,
    retrieved.section,
    near_threshold.section,
    answered.section,
    gaps.section,
    provenance.section,
)


def write_report(runs: Sequence[Run], file: str | Path, progress: Progress, *, overwrite: bool = False) -> list[str]:
    """Write a page about runs; the same runs and images give the same bytes.

    Args:
        runs: One or more; the first is what the others are compared with.
        file: Where it goes.
        progress: Called often.
        overwrite: Replace another file of this name.

    Returns:
        What the page says of pictures that are gone or changed, a sentence each.

    Raises:
        UserError: Two runs have one name, or the file is there with other content or cannot be written.
    """
    html, changed = document(runs, progress)
    write_named(Path(file), html, overwrite=overwrite)
    return changed


def document(runs: Sequence[Run], progress: Progress) -> tuple[str, list[str]]:
    """Return the page as HTML, and what it says of pictures that are gone or changed.

    Raises:
        UserError: Two runs that can be compared have one name.
    """
    steps = len(SECTIONS) + 2
    progress("making the page", 0, steps)
    blocks = blocks_of(runs)
    shown = Shown(blocks, compare(blocks[0].runs) if len(blocks[0].runs) > 1 else None, Album())
    progress("making the page", 1, steps)
    changed = changes(shown.runs, progress)
    made = {}
    # The gallery takes what room for pictures is left.
    for done, section in enumerate(sorted(SECTIONS, key=lambda section: section is gallery.section), start=2):
        progress("making the page", done, steps)
        made[section] = section(shown)
    sections = [found for section in SECTIONS if (found := made[section]) is not None]
    html = _rendered(shown, sections, changed)
    progress("making the page", steps, steps)
    return html, changed


def _rendered(shown: Shown, sections: Sequence[Section], changed: Sequence[str]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fhpt_eval.reporting.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What others named is seen, and does nothing.
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    styles = [_static("uPlot.min.css"), _static("page.css")]
    scripts = [f"/*\n{_static('uPlot.LICENSE')}\n*/\n{_static('uPlot.iife.min.js')}", _static("page.js")]
    data = {section.name: _visible(section.script) for section in sections if section.script is not None}
    return environment.get_template("page.html").render(
        runs=shown.names,
        record=shown.runs[0].record,
        sections=sections,
        changed=changed,
        styles=styles,
        scripts=scripts,
        policy=_policy(styles, scripts),
        data={**data, "pictures": shown.album.addresses},
    )


def _static(name: str) -> str:
    return resources.files(__package__).joinpath(f"static/{name}").read_text(encoding="utf-8").strip()


def _policy(styles: Sequence[str], scripts: Sequence[str]) -> str:
    """Return a Content-Security-Policy that allows what the page holds, and no request."""
    hashes = {
        kind: " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in texts)
        for kind, texts in (("style", styles), ("script", scripts))
    }
    return (
        f"default-src 'none'; img-src data:; style-src {hashes['style']}; script-src {hashes['script']};"
        " base-uri 'none'; form-action 'none'"
    )


def _visible(value: Any) -> Any:
    """Return data with every text in it written out; the script shows it as text."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(key) if isinstance(key, str) else key: _visible(inner) for key, inner in value.items()}
    return [_visible(inner) for inner in value] if isinstance(value, list | tuple) else value
