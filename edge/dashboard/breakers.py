"""Breakers that are not closed, from what the processes of edges say of their variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge.dashboard.model_state import Breaker
from edge.variant_notes import VariantNote
from precompute.telemetry import Source

#: Breakers that are listed.
MOST = 50
_RANK = {"ended": 0, "open": 1, "trial": 2}


def breakers(notes: Mapping[Source, Sequence[VariantNote]]) -> list[Breaker]:
    """Those that let nothing pass first, and of these the latest."""
    found = [
        Breaker(
            model=note.model,
            variant=note.variant,
            version=note.version,
            node=source.node,
            process=source.process,
            state=note.breaker.state,
            since_ms=note.breaker.since_ms,
            why=note.breaker.why,
            opened=note.breaker.opened,
        )
        for source, said in notes.items()
        for note in said
        if note.breaker is not None
    ]
    return sorted(found, key=lambda it: (_RANK.get(it.state, 1), -(it.since_ms or 0)))[:MOST]
