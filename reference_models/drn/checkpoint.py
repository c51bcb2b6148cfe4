"""Checkpoints: tensors and a JSON card in one safetensors file, with the card beside it for people."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from fhpt_eval.errors import UserError
from fhpt_eval.files import tensors as tensor_file
from fhpt_eval.files.atomic import write_atomic
from fhpt_eval.files.tensors import Card
from fhpt_eval.reference_models.drn.config import DrnConfig

FORMAT = "fhpt-eval drn"
VERSION = 1

_THIS = "this one"
"""What a list of legs says instead of repeating the card that it stands in."""

NetworkPart = Literal["body", "face"]


def card_of(part: NetworkPart, config: DrnConfig, **about: Any) -> Card:
    """Return what every checkpoint says of itself, and whatever else is worth saying."""
    return {"format": FORMAT, "version": VERSION, "part": part, "config": dataclasses.asdict(config), **about}


def save(path: Path, tensors: Mapping[str, Tensor], card: Card) -> None:
    """Write ``path`` (``.safetensors``) and the card beside it (``.json``), each whole or not at all."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}
    write_atomic(path, tensor_file.dump(arrays, card))
    write_atomic(path.with_suffix(".json"), json.dumps(card, indent=2) + "\n")


def load(path: Path, part: NetworkPart) -> tuple[dict[str, Tensor], DrnConfig, Card]:
    """Read what `save` wrote.

    Raises:
        UserError: It cannot be read, is no checkpoint of this part of the network, or is damaged.
    """
    try:
        arrays, card = tensor_file.parse(path.read_bytes())
    except OSError as error:
        raise UserError(f"the checkpoint {path} cannot be read ({error.strerror}): check the path.") from None
    except ValueError as error:
        raise UserError(f"the checkpoint {path} is damaged or of another kind ({error}): give another one.") from None
    if card is None or card.get("format") != FORMAT:
        raise UserError(f"{path} is not a checkpoint of the DRN: give one that `fhpt-eval train drn` wrote.")
    if card.get("version") != VERSION:
        raise UserError(
            f"the checkpoint {path} has version {card.get('version')}, this fhpt-eval reads {VERSION}: train again."
        )
    if card.get("part") != part:
        raise UserError(f"the checkpoint {path} is of the {card.get('part')}, and one of the {part} is needed.")
    try:
        config = TypeAdapter(DrnConfig).validate_python(card.get("config"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "config"
        raise UserError(
            f"the checkpoint {path} has a configuration that cannot be read ({where}: {first['msg']})."
        ) from None
    # What an earlier version did not know yet was as the defaults are.
    if not card["config"].items() <= dataclasses.asdict(config).items():
        raise UserError(f"the checkpoint {path} has a configuration that this fhpt-eval does not know: train again.")
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    if not all(bool(torch.isfinite(t).all()) for t in tensors.values() if t.is_floating_point()):
        raise UserError(f"the checkpoint {path} holds NaN or infinite values: damaged, or of a training that diverged.")
    return tensors, config, card


def prefixed(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict under a name."""
    return {f"{name}.{key}": value for key, value in state.items()}


def load_module(module: nn.Module, name: str, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load the tensors under ``name`` into a module.

    Raises:
        UserError: They do not fit: the checkpoint is of another configuration.
    """
    if begun_anew := load_fitting(module, name, tensors, path):
        raise _misfit(path, begun_anew[0])


def load_fitting(module: nn.Module, name: str, tensors: Mapping[str, Tensor], path: Path) -> list[str]:
    """Load the tensors under ``name`` into a module that may have more layers.

    Returns:
        What of the module is left as it began: the names of layers of which the checkpoint has nothing.

    Raises:
        UserError: They do not fit: the checkpoint is of another configuration.
    """
    given = {key: tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}
    own = prefixed(name, module.state_dict())
    for key, tensor in given.items():
        if key not in own or (tensor.shape, tensor.dtype) != (own[key].shape, own[key].dtype):
            raise _misfit(path, key)
    layers = {_layer(key, given): None for key in own if key not in given}
    module.load_state_dict({key.removeprefix(f"{name}."): tensor for key, tensor in {**own, **given}.items()})
    return list(layers)


def _layer(key: str, given: Mapping[str, Tensor]) -> str:
    """Return the largest part of a network that a tensor belongs to and of which nothing is given."""
    words = key.split(".")
    parts = (".".join(words[:count]) for count in range(1, len(words)))
    return next((part for part in parts if not any(other.startswith(f"{part}.") for other in given)), key)


def _misfit(path: Path, where: str) -> UserError:
    return UserError(
        f"the checkpoint {path} does not fit the network (first at '{where}'): it is of another configuration."
    )


def legs(card: Card, sha256: str) -> list[Card]:
    """Return what a checkpoint's card tells of the trainings that led to it, the last one being its own."""
    *before, last = card.get("legs") or [{}]
    own = {key: value for key, value in card.items() if key != "legs"}
    if last.get("card") != _THIS:
        before, last = [*before, *([last] if last else [])], {}
    return [*before, {**last, "sha256": sha256, "card": own}]
