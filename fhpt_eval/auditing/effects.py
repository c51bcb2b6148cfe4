"""What a flaw does to which metrics, as the protocols say it of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fhpt_eval.measuring.flaws import Effect, Flaw
from fhpt_eval.measuring.protocol import Protocol
from fhpt_eval.measuring.registry import find_protocols

_WORDS: Mapping[Effect, tuple[str, str]] = {
    "better": ("looks better than it is", "look better than they are"),
    "worse": ("looks worse than it is", "look worse than they are"),
    "different": ("changes", "change"),
    "missing": ("counts them as missing", "count them as missing"),
}


def effects_of(flaw: Flaw) -> dict[Effect, list[str]]:
    """Return the protocols that a flaw has each effect on, in the order of tables."""
    protocols = _usual()
    found = {effect: [name for name, p in protocols.items() if p.flaws.get(flaw) == effect] for effect in _WORDS}
    return {effect: names for effect, names in found.items() if names}


def _usual() -> dict[str, type[Protocol]]:
    """Return the protocols that run without being named."""
    return {name: protocol for name, protocol in find_protocols().classes.items() if not protocol.on_request}


def sentence_of(effects: Mapping[Effect, Sequence[str]]) -> str:
    """Return what a flaw does in one sentence."""
    if len(effects) == 1 and len(*effects.values()) == len(_usual()):
        return f"all metrics {_WORDS[next(iter(effects))][1]}."
    parts = [f"{', '.join(names)} {_WORDS[effect][len(names) > 1]}" for effect, names in effects.items()]
    return "; ".join(parts) + "."
