"""Rows that come as tensors, those of several callers in one run of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from precompute.errors import PermanentError
from precompute.output_tensors import declared
from precompute.outputs import OutputRule
from precompute.runtime import Session
from precompute.signature import Array, Output


def run_together(
    session: Session, rules: Sequence[OutputRule], callers: Sequence[Mapping[str, Array]]
) -> list[dict[str, Array] | PermanentError]:
    """What each caller is answered: the declared outputs, `[N, ...]` each.

    Args:
        callers: by input, `[N, ...]` in the model's types; the rows of all have the same shapes, the N differ.

    A row that the model cannot take is its caller's affair, who is found by halving.
    """
    try:
        return [declared(rules, raw, rows) for raw, rows in _split(session, callers)]
    except PermanentError as error:
        if len(callers) == 1:
            return [error]
        half = len(callers) // 2
        return run_together(session, rules, callers[:half]) + run_together(session, rules, callers[half:])


def _split(session: Session, callers: Sequence[Mapping[str, Array]]) -> list[tuple[dict[str, Output], int]]:
    first = callers[0]
    counts = [len(next(iter(feeds.values()))) for feeds in callers]
    if len(callers) == 1:
        return [(session.run(dict(first)), counts[0])]
    together = session.run({name: np.concatenate([feeds[name] for feeds in callers]) for name in first})
    ends = np.cumsum(counts).tolist()
    return [
        ({name: output[end - count : end] for name, output in together.items()}, count)
        for count, end in zip(counts, ends, strict=True)
    ]
