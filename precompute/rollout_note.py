"""How far a rollout has come, noted in the store for people to see."""

from __future__ import annotations

import msgspec

from precompute.keys import rollout_key
from precompute.updates import Command, Reply

#: Somebody who warms a version says so again within seconds; a note that is older is nobody's.
_KEEP_S = 30


class RolloutNote(msgspec.Struct, frozen=True):
    """A version that is being warmed; `warm` is a share of the hot keys' requests."""

    variant: str
    version: int
    warm: float
    at_ms: int

    @classmethod
    def parse(cls, reply: Reply) -> RolloutNote | None:
        """The note under `rollout_key`, if there is one."""
        return None if reply is None else msgspec.json.decode(reply, type=cls)


def write_command(model: str, note: RolloutNote) -> Command:
    """Takes the place of the note before."""
    return ("SET", rollout_key(model), msgspec.json.encode(note), "EX", _KEEP_S)
