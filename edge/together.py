"""Answers to many asks of one model at once: memory, then one gathered read, then live together.

The ladder decides as it does for everybody; what is saved is a task for each ask, and the replica is asked once.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge.answer import Ladder
from edge.ask import Answer, Ask
from precompute.errors import PermanentError

Outcome = Answer | Exception


async def answer_together(ladder: Ladder, asks: Sequence[Ask]) -> list[Outcome]:
    """What has become of each ask; all of one predictor and with the same deadline.

    An error is as `Ladder.answer` raises it, and costs the others nothing.
    """
    outcomes: list[Outcome | None] = [_at_once(ladder, ask) for ask in asks]
    wanted = [i for i, outcome in enumerate(outcomes) if outcome is None]
    if not wanted:
        return _all(outcomes)
    values = await ladder.read([asks[i].name for i in wanted], asks[0].deadline)
    for i, value in zip(wanted, values, strict=True):
        outcomes[i] = ladder.from_replica(asks[i], value)
    cold = [i for i in wanted if outcomes[i] is None]
    if cold:
        for i, outcome in zip(cold, await ladder.from_live([asks[i] for i in cold]), strict=True):
            outcomes[i] = outcome
    return _all(outcomes)


def _at_once(ladder: Ladder, ask: Ask) -> Outcome | None:
    found = ladder.from_memory(ask)
    if found is not None:
        return found
    try:
        ladder.refuse(ask)
    except PermanentError as error:
        return error
    return None


def _all(outcomes: Sequence[Outcome | None]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome is not None]
