"""What protocols ask of a machine: the weights of their networks, and the packages that their numbers rest on."""

from __future__ import annotations

from collections.abc import Iterable

from fhpt_eval.extract.extractor import Extractor
from fhpt_eval.extract.weights import Weights
from fhpt_eval.libraries import version
from fhpt_eval.measuring.protocol import Protocol, configure
from fhpt_eval.measuring.registry import PROFILES


def weights_of(protocols: Iterable[type[Protocol]]) -> list[Weights]:
    """Return every weights file that some options of some protocols ask for; a file may come twice."""
    return [file for protocol in protocols for kind in _extractors(protocol) for file in kind.all_weights]


def packages_of(protocols: Iterable[type[Protocol]]) -> tuple[str, ...]:
    """Return the distributions that some protocols and their extractors rest on, each once."""
    found: dict[str, None] = {}
    for protocol in protocols:
        for kind in _extractors(protocol):
            found |= dict.fromkeys(kind.libraries)
        found |= dict.fromkeys(protocol.libraries)
    return tuple(found)


def lacks_packages(protocol: Protocol) -> str | None:
    """Return which packages of an extra are missing before a protocol can run, and the way out; None for none."""
    for extractor in (need.extractor for need in protocol.needs()):
        absent = [name for name in extractor.libraries if extractor.extra and version(name) is None]
        if absent:
            return f"it needs {' and '.join(absent)}: install the extra with pip install 'fhpt-eval[{extractor.extra}]'"
    return None


def _extractors(protocol: type[Protocol]) -> list[type[Extractor]]:
    """Return the kinds of extractor that a protocol needs in either profile, and those that options bring."""
    needs = [need for profile in PROFILES for need in configure(protocol, profile, {}).needs()]
    return [*(type(need.extractor) for need in needs), *protocol.extractors]
