"""A TFLite model without what only one of its outputs needs."""

from __future__ import annotations

import struct
from typing import Any

_OUTPUTS, _OPERATORS = 8, 10
"""Where TFLite's schema has these fields of a subgraph."""


def without_output(model: bytes, unused: int, stand_in: int) -> bytes:
    """Leave out the operators that only one output needs; all others compute what they did, to the bit.

    The file stays as long as it was: the list of its operators becomes shorter, in place.

    Args:
        model: A TFLite file of one subgraph.
        unused: The place of the output in the list of outputs.
        stand_in: The place of the output that is given there instead, so that the others keep their places.

    Returns:
        The file with fewer operators.
    """
    from mediapipe.tasks.metadata.schema_py_generated import Model

    pruned = bytearray(model)
    graph: Any = Model.GetRootAsModel(pruned, 0).Subgraphs(0)
    outputs = [int(tensor) for tensor in graph.OutputsAsNumpy()]
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    maker = {int(tensor): i for i, operator in enumerate(operators) for tensor in operator.OutputsAsNumpy()}
    needed: set[int] = set()
    tensors = [tensor for place, tensor in enumerate(outputs) if place != unused]
    while tensors:
        made_by = maker.get(tensors.pop())  # None: an input or a constant
        if made_by is not None and made_by not in needed:
            needed.add(made_by)
            tensors += [int(tensor) for tensor in operators[made_by].InputsAsNumpy()]
    # A list of tables: before it its length, in it where each table lies, seen from the entry.
    table = graph._tab  # noqa: SLF001 - flatbuffers' only way to a field's place
    first = table.Vector(table.Offset(_OPERATORS))
    struct.pack_into("<I", pruned, first - 4, len(needed))
    for entry, i in enumerate(sorted(needed)):
        place = first + 4 * entry
        struct.pack_into("<I", pruned, place, operators[i]._tab.Pos - place)  # noqa: SLF001
    struct.pack_into("<i", pruned, table.Vector(table.Offset(_OUTPUTS)) + 4 * unused, outputs[stand_in])
    return bytes(pruned)
