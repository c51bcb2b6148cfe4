"""The folder of a training: what it holds, whose it is, and what an earlier command left in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fhpt_eval.errors import UserError
from fhpt_eval.files.owned_folder import OwnedFolder
from fhpt_eval.files.tensors import Arrays, Card, dump, parse


class Stopped(NamedTuple):
    """A training as the last whole epoch left it."""

    arrays: Arrays
    card: Card


class TrainingFolder(OwnedFolder):
    """A folder that belongs to one training.

    Attributes:
        result: Name of the file that a finished training leaves, a `fhpt_eval.files.tensors`.
        state: Name of the file from which a stopped training goes on; removed when it is finished.
    """

    def __init__(self, path: Path, *, result: str, state: str, others: Sequence[str]) -> None:
        """Make the folder, or take over that of an earlier training.

        Raises:
            UserError: It cannot be written, or holds files that are none of a training.
        """
        super().__init__(path, "fhpt-eval train gender")
        self.result, self.state = result, state
        self._owns = frozenset((result, state, *others)).__contains__
        self.claim(self._owns)

    def delete_training(self) -> None:
        """Delete an earlier training."""
        self.clear(self._owns)

    def finished(self, recipe: Mapping[str, Any]) -> Card | None:
        """Return the card of a training that was finished here, or None.

        Raises:
            UserError: It was another training, or one that was stopped and has lost its state.
        """
        if (self.path / self.state).exists() or not (self.path / self.result).exists():
            return None
        card = self._read(self.result, recipe).card
        if card.get("finished") is not True:
            raise UserError(
                f"{self.path} holds a training that was stopped, without the {self.state} from which it would go on:"
                " bring that file back, choose another folder with -o, or begin again with --overwrite."
            )
        return card

    def stopped(self, recipe: Mapping[str, Any]) -> Stopped | None:
        """Return the state of a training that was stopped here, or None.

        Raises:
            UserError: It was another training, or the state is damaged.
        """
        return self._read(self.state, recipe) if (self.path / self.state).exists() else None

    def put_away(self, arrays: Mapping[str, Any], card: Card) -> None:
        """Write the state, arrays and card in one file, so that they always belong together."""
        self.write(self.state, dump(arrays, card))

    def finish(self) -> None:
        """Remove the state."""
        self.remove(self.state)

    def damaged(self, name: str) -> UserError:
        """Return the error for a file of the folder that does not hold what it should."""
        return UserError(f"{self.path / name} is damaged: begin the training again with --overwrite.")

    def _read(self, name: str, recipe: Mapping[str, Any]) -> Stopped:
        try:
            arrays, card = parse((self.path / name).read_bytes())
        except (ValueError, OSError):
            card = None
        before = None if card is None else card.get("recipe")
        if card is None or not isinstance(before, dict):
            raise self.damaged(name)
        self.require_same(before, recipe, "holds another training", {"data": "other images or labels"})
        return Stopped(arrays, card)
