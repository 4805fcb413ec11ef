"""Models that a node does not serve for now: somebody has taken them out of its service, and may put them back.

The node's processes and its next start read them from Redis, so that what was said to one of them holds for all. The
registry's log tells them to look at once.
"""

from __future__ import annotations

from precompute.errors import StoreUnavailable
from precompute.keys import withdrawn_key
from precompute.registry import event_command
from precompute.store import checked
from precompute.updates import Command, Reply


def withdraw_commands(node: str, model: str) -> list[Command]:
    """Takes a model out of a node's service; for the primary, in one transaction."""
    return [("SADD", withdrawn_key(node), model), event_command(model, "withdraw")]


def restore_commands(node: str, model: str) -> list[Command]:
    """Puts it back."""
    return [("SREM", withdrawn_key(node), model), event_command(model, "restore")]


def withdrawn_command(node: str) -> Command:
    """What to ask for the models that a node does not serve."""
    return ("SMEMBERS", withdrawn_key(node))


def parse_withdrawn(reply: Reply) -> frozenset[str]:
    """Reads the reply.

    Raises:
        StoreUnavailable: it is none.
    """
    found = checked(reply)
    if not isinstance(found, list | set):
        raise StoreUnavailable(f"expected names of models, got {found!r:.80}")
    return frozenset(name.decode() for name in found)
