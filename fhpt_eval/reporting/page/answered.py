"""Which class was given and which was answered, for metrics that are errors of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fhpt_eval.evaluation.run import Run
from fhpt_eval.measuring.protocol import Classes
from fhpt_eval.measuring.registry import find_protocols
from fhpt_eval.reporting.page.shown import Section, Shown


def section(shown: Shown) -> Section | None:
    """Return a table of given and answered classes for each run and metric."""
    declared = {c.metric: c for protocol in find_protocols().classes.values() for c in protocol.answers}
    found = [(declared[key], m) for m in shown.metrics if (key := m.partition("[")[0]) in declared]
    if not found:
        return None
    parts = [
        {
            "metric": metric,
            "classes": classes,
            "runs": [r for run in shown.runs if (r := _of_run(run, metric, classes))],
        }
        for classes, metric in found
    ]
    return Section("answered", " and ".join(dict.fromkeys(classes.title for classes, _ in found)), parts)


def _of_run(run: Run, metric: str, classes: Classes) -> dict[str, Any] | None:
    if metric not in run.per_pair or metric not in run.scores:
        return None
    given, wrong = run.per_pair[classes.column], run.per_pair[metric]
    rows = []
    for label in classes.names:
        own = wrong[(given == label) & wrong.notna()]
        errors, count = int(own.sum()), len(own)
        answered = {answer: count - errors if answer == label else errors for answer in classes.names}
        if count:
            rows.append((label, count, [(a, n, round(100 * n / count), a == label) for a, n in answered.items()]))
    controls: Any = run.scores[metric].details.get("controls") or {}
    return {"run": run.record.name, "rows": rows, "value": run.scores[metric].value, "controls": _values(controls)}


def _values(controls: Mapping[str, Any]) -> dict[str, Any]:
    return {name: control.get("value") for name, control in controls.items() if isinstance(control, dict)}
