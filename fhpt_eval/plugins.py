"""Classes by name that installed packages declare through entry points, ours and anyone else's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from fhpt_eval.errors import UserError
from fhpt_eval.libraries import explained

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """What the entry points gave.

    Attributes:
        classes: By name.
        warnings: One sentence for each entry point that could not be used.
    """

    classes: dict[str, type[T]]
    warnings: tuple[str, ...]


def find_plugins(group: str, what: str, base: Any, try_out: Callable[[Any], object]) -> Found[Any]:
    """Import every class that an installed package declares; one that fails is a warning, not a crash.

    Args:
        group: Of the entry points.
        what: What the classes are, in warnings.
        base: What they derive from; they have a ``name``.
        try_out: Raises what a listing or a run with defaults would stumble over.
    """
    classes: dict[str, type[Any]] = {}
    warnings = []
    ours_first = sorted(entry_points(group=group), key=lambda e: (not e.value.startswith("fhpt_eval."), e.name))
    for entry in ours_first:
        try:
            found: Any = entry.load()
            if not (isinstance(found, type) and issubclass(found, base)):
                raise TypeError(f"it is not a fhpt_eval.{base.__name__} class")
            try_out(found)
            plugin: Any = found
            name = str(plugin.name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module may raise anything
            warnings.append(f"{what} '{entry.name}' of {_package(entry)} cannot be used ({why(error)})")
            continue
        if name in classes:
            if found is not classes[name]:
                warnings.append(f"{what} '{name}' of {_package(entry)} is left out: the name is taken")
        else:
            classes[name] = found
    return Found(classes, tuple(warnings))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "?"


def why(error: BaseException) -> str:
    """Return in a few words why something of another package cannot be used."""
    reason = explained(error)
    if isinstance(reason, UserError):
        return str(reason).rstrip(".")
    return " ".join(f"{type(error).__name__}: {error}".splitlines())
