"""Protocols by name, found through entry points: those of this package and of any other that declares some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any, NamedTuple

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.protocol import Group, Profile, Protocol, configure

GROUP = "fhpt_eval.protocols"
GROUPS: tuple[Group, ...] = ("perceptual", "structural", "semantic")


class Found(NamedTuple):
    """What the entry points gave."""

    protocols: dict[str, type[Protocol]]
    warnings: tuple[str, ...]
    """One sentence for each entry point that could not be used."""


def find_protocols() -> Found:
    """Import every protocol that an installed package declares; one that fails is a warning, not a crash."""
    protocols: dict[str, type[Protocol]] = {}
    warnings = []
    ours_first = sorted(entry_points(group=GROUP), key=lambda e: (not e.value.startswith("fhpt_eval."), e.name))
    for entry in ours_first:
        package = entry.dist.name if entry.dist else "?"
        try:
            found = entry.load()
        except Exception as error:  # noqa: BLE001 - a stranger's module may raise anything
            warnings.append(f"protocol '{entry.name}' of {package} cannot be loaded ({type(error).__name__}: {error})")
            continue
        if not (isinstance(found, type) and issubclass(found, Protocol)):
            warnings.append(f"protocol '{entry.name}' of {package} is not a fhpt_eval.Protocol class")
        elif found.name in protocols:
            if found is not protocols[found.name]:
                warnings.append(f"protocol '{found.name}' of {package} is left out: the name is taken")
        else:
            protocols[found.name] = found
    order = {name: (GROUPS.index(p.group), p.name) for name, p in protocols.items()}
    return Found(dict(sorted(protocols.items(), key=lambda item: order[item[0]])), tuple(warnings))


def select(
    names: Iterable[str] | None, profile: Profile, options: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Protocol]:
    """Return configured protocols.

    Args:
        names: Protocols or groups (``perceptual``, ``structural``, ``semantic``); None for all.
        profile: ``paper`` or ``embedded``.
        options: For each protocol, the options that differ from the default.

    Raises:
        UserError: If a name or an option is unknown, or options are given for a protocol that is not selected.
    """
    known = find_protocols().protocols
    chosen: dict[str, type[Protocol]] = {}
    for name in known if names is None else names:
        if name in GROUPS:
            chosen |= {n: p for n, p in known.items() if p.group == name}
        elif name in known:
            chosen[name] = known[name]
        else:
            raise UserError(f"there is no protocol '{name}'.{did_you_mean(name, [*known, *GROUPS])}")
    for name in options or {}:
        if name not in chosen:
            hint = " It is not among the selected ones." if name in known else did_you_mean(name, chosen)
            raise UserError(f"options are given for protocol '{name}', which does not run.{hint}")
    return [configure(p, profile, (options or {}).get(n, {})) for n, p in chosen.items()]
