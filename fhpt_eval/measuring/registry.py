"""Protocols by name, found through entry points: those of this package and of any other that declares some."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from fhpt_eval.errors import UserError, did_you_mean
from fhpt_eval.measuring.flaws import Flaw
from fhpt_eval.measuring.protocol import Group, Profile, Protocol, configure
from fhpt_eval.measuring.reference_features import ReferenceNeed
from fhpt_eval.plugins import Found, find_plugins

GROUP = "fhpt_eval.protocols"
PROFILES: tuple[Profile, ...] = get_args(Profile)
GROUPS: tuple[Group, ...] = ("perceptual", "structural", "semantic")


def find_protocols() -> Found[Protocol]:
    """Import every protocol that an installed package declares, in the order of tables."""
    found = find_plugins(GROUP, "protocol", Protocol, _try_out)
    return Found({p.name: p for p in sorted(found.classes.values(), key=_place)}, found.warnings)


def _place(protocol: type[Protocol]) -> tuple[int, int, str]:
    return GROUPS.index(protocol.group), protocol.rank, protocol.name


def _try_out(protocol: type[Protocol]) -> None:
    """Raise what a listing or a run with defaults would stumble over."""
    if protocol.group not in GROUPS:
        raise ValueError(f"its group '{protocol.group}' is none of {', '.join(GROUPS)}")
    told = {*protocol.headlines, *(curve.metric for curve in protocol.curves)}
    if strange := sorted(told - {*protocol.metrics}):
        raise ValueError(f"its headline or curve '{strange[0]}' is none of its metrics")
    if strange := sorted(protocol.flaws.keys() - {*get_args(Flaw)}):
        raise ValueError(f"it says something of the flaw '{strange[0]}', which is none of {', '.join(get_args(Flaw))}")
    named = {*protocol.selecting, *protocol.units, *(option for group in protocol.together for option in group)}
    if strange := sorted(named - {field.name for field in dataclasses.fields(protocol)}):
        raise ValueError(f"it says something of '{strange[0]}', which is none of its options")
    for profile in PROFILES:
        configured = configure(protocol, profile, {})
        configured.needs()
        configured.parameters()


def select(
    names: Iterable[str] | None, profile: Profile, options: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Protocol]:
    """Return configured protocols.

    Args:
        names: Protocols or groups (``perceptual``, ``structural``, ``semantic``); None for all. What runs only on
            request must be named itself.
        profile: ``paper`` or ``embedded``.
        options: For each protocol, the options that differ from the default.

    Raises:
        UserError: If a name or an option is unknown, or options are given for a protocol that is not selected.
    """
    known = find_protocols().classes
    chosen: dict[str, type[Protocol]] = {}
    for name in GROUPS if names is None else names:
        if name in GROUPS:
            chosen |= {n: p for n, p in known.items() if p.group == name and not p.on_request}
        elif name in known:
            chosen[name] = known[name]
        else:
            raise UserError(f"there is no protocol '{name}'.{did_you_mean(name, [*known, *GROUPS])}")
    for name in options or {}:
        if name not in chosen:
            hint = " It is not among the selected ones." if name in known else did_you_mean(name, chosen)
            raise UserError(f"options are given for protocol '{name}', which does not run.{hint}")
    return [configure(p, profile, (options or {}).get(n, {})) for n, p in chosen.items()]


def reference_needs(options: Mapping[str, Any]) -> list[ReferenceNeed]:
    """Return what protocols that have these options look at of a reference set, with these values.

    Raises:
        UserError: A value is unknown or impossible.
    """
    having = [
        protocol
        for protocol in find_protocols().classes.values()
        if options.keys() <= {field.name for field in dataclasses.fields(protocol)}
    ]
    defaults = [kind for kind in having if configure(kind, "paper", {}).reference_need() is not None]
    needs = (configure(kind, "paper", options).reference_need() for kind in defaults)
    return [need for need in needs if need is not None]
