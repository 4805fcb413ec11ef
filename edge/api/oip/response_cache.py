"""Answers to tensors, by content: the same rows asked of the same model file need not be computed again.

What an answer depends on is digested in full: the model, its version, variant and file, the outputs that are wanted,
and each input's name, type, shape and elements. What it does not depend on is left out: the request's id, its time, and
how it is encoded. Models that draw random numbers, or large ones whose inputs never repeat, are better off without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edge.api.oip.binary_tensors import binary_data
from edge.memory import Memory
from edge.tensor_lane import Outputs
from precompute.predictor import Servable
from precompute.signature import Array, dtype_name

#: An array's own parts, beside its elements.
_ARRAY_BYTES = 200


@dataclass(slots=True)
class KeptOutputs:
    """An answer as it is kept."""

    outputs: Outputs
    size: int = field(init=False)
    hits: int = 0

    def __post_init__(self) -> None:
        self.size = sum(_ARRAY_BYTES + _bytes(array) for array in self.outputs.values())


def _bytes(array: Array) -> int:
    # A text weighs more than its letters.
    return (
        array.nbytes + sum(80 + 4 * len(text) for text in array.reshape(-1).tolist())
        if array.dtype == object
        else (array.nbytes)
    )


class ResponseCache:
    """At most so many bytes of answers."""

    def __init__(self, max_bytes: int) -> None:
        self.memory: Memory[KeptOutputs] = Memory(max_bytes)

    def get(self, name: str) -> Outputs | None:
        """The answer of a digest."""
        found = self.memory.get(name)
        return found.outputs if found is not None else None

    def put(self, name: str, outputs: Outputs) -> None:
        """Keeps an answer: a copy, since it may be part of a batch that would be kept with it."""
        self.memory.put(name, KeptOutputs({output: np.array(array) for output, array in outputs.items()}))


def digest(servable: Servable, outputs: Sequence[str], feeds: Mapping[str, Array]) -> str:
    """What an answer depends on, as 64 hex digits; different for anything else that is asked."""
    whole = hashlib.sha256()
    what = (servable.model.name, servable.version, servable.variant, servable.sha256, len(outputs), *outputs)
    for part in what:
        _add(whole, str(part).encode())
    for name, array in feeds.items():
        for text in (name, dtype_name(array), str(array.shape)):
            _add(whole, text.encode())
        _add(whole, binary_data(array))
    return whole.hexdigest()


def _add(whole: hashlib._Hash, part: bytes) -> None:
    """One part, behind its length: no two lists of parts look alike."""
    whole.update(len(part).to_bytes(8, "little"))
    whole.update(part)
