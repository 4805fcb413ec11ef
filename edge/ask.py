"""What is asked of an edge, one key at a time, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import orjson

from edge.held import Held
from edge.stats import Tier
from precompute.entry import identity
from precompute.keys import entry_key
from precompute.models import Key
from precompute.predictor import Predictor


class Answer(msgspec.Struct, frozen=True, eq=False):
    """What to send.

    Attributes:
        tier: where it came from.
        memory: why memory did not answer (`uri-miss`, `stale` or `request`), empty if it did.
        held: what it was made from; None for a default.
        fresh_for_ms: negative when stale.
    """

    body: bytes
    tier: Tier
    memory: str
    held: Held | None
    age_ms: int
    fresh_for_ms: int


class Ask(msgspec.Struct, frozen=True, eq=False):
    """One key to answer.

    Attributes:
        deadline: event-loop time by which the answer is wanted.
        revalidate: the caller wants nothing from memory (`Cache-Control: no-cache`).
        name: the entry's key in every tier; made from the others.
    """

    predictor: Predictor
    key: Key
    deadline: float
    revalidate: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            servable = self.predictor.servable
            name = entry_key(servable.model.name, servable.version, self.key.text)
            msgspec.structs.force_setattr(self, "name", name)

    def why(self, held: Held | None) -> str:
        """Why memory does not answer from what it has, in the words of RFC 9211."""
        if self.revalidate:
            return "request"
        return "uri-miss" if held is None else "stale"

    def default_body(self, outputs: Mapping[str, object]) -> bytes:
        """The answer of last resort, in the shape of any other."""
        servable = self.predictor.servable
        head = identity(servable.model.name, servable.version, servable.variant, self.key.text)
        return head + b'"outputs":' + orjson.dumps(outputs) + b',"as_of":null,"computed_at":null,"stale":true}'
