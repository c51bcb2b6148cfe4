"""Frozen dataclasses from options given as text or values: unknown options and wrong values are one sentence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from fhpt_eval.errors import UserError, did_you_mean, sentence

T = TypeVar("T")

_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def configured(
    kind: type[T], what: str, name: str, options: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> T:
    """Return an instance of a dataclass whose fields are options.

    Args:
        kind: The dataclass.
        what: What it is in errors: ``protocol``.
        name: What it is called in errors: ``ssim``.
        options: Given by the user.
        defaults: Values that differ from the class's own, where the user gives none.

    Raises:
        UserError: If an option is unknown or has a value that it cannot take.
    """
    known = {f.name for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in options:
        if key not in known:
            hint = did_you_mean(key, known) if known else " It has no options."
            raise UserError(f"{what} '{name}' has no option '{key}'.{hint}")
    try:
        return _validated(kind, {**(defaults or {}), **options})
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise UserError(f"{what} '{name}': {sentence(message)}") from None
        option = str(first["loc"][0])
        given = options.get(option, first["input"])
        raise UserError(f"option '{name}.{option}' cannot be '{given}': {sentence(message)}") from None


def _validated(kind: type[T], values: Mapping[str, Any]) -> T:
    """On the command line ``none`` is a word that some options know, and None for the others."""
    adapter: TypeAdapter[T] = _adapter(kind)
    try:
        return adapter.validate_python(values)
    except ValidationError:
        plain = {key: None if value == "none" else value for key, value in values.items()}
        if plain == values:
            raise
        return adapter.validate_python(plain)


def option_text(value: object) -> str:
    """Return an option's value as it is given on the command line."""
    return "none" if value is None else str(value)


def plain_options(configured: object) -> dict[str, Any]:
    """All options of a dataclass in plain form, as they stand in records."""
    plain: dict[str, Any] = _adapter(type(configured)).dump_python(configured, mode="json")
    return plain
