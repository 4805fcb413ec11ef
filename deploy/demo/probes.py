"""How long a change takes: until no old answer is given as fresh, and until it has been recomputed near the edge.

Now and then one change is followed, for the two figures in turn, so that the one does not disturb the other:

* *to stale*: asks the edge for one prediction behind it again and again, from before the row is stored, until an answer
  knows of the change. The figure is the time from before the put to the sending of the first such request.
* *to refreshed*: does not ask, and looks at the replica until there is an entry that was computed after the change.
  Only predictions are looked for that the refresher means to recompute, by its own note.

Asking makes the edge compute, so the second figure must come from a change that only passengers ask about.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

import msgspec

from deploy.demo.events import Departure, FeatureEvent
from deploy.load.http_client import Connection
from edge.link import Link
from precompute.entry import decode, identity
from precompute.errors import EntryCorrupt, StoreUnavailable
from precompute.keys import entry_key, hot_plan_key, row_key
from precompute.models import Key, Model
from precompute.rows import STAMP, stamp
from precompute.updates import milliseconds
from workers.plan_notes import PlanNote

#: From one change that is followed to the next.
PROBE_EVERY_S = 0.2
#: Longest that a change is followed; what takes longer counts as that long.
GIVE_UP_S = 10.0
#: Between two requests, and between two looks at the replica.
_ASK_EVERY_S = 0.0005
_LOOK_EVERY_S = 0.005
#: What an answer knows of that is not presented as fresh.
_EVERYTHING = float("inf")


class _Body(msgspec.Struct):
    as_of: str
    stale: bool = False


_DECODER = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class Followed:
    """A change to follow, and a prediction behind it.

    Attributes:
        dependency: position among the model's dependencies of the view that changes.
    """

    view: str
    entity: str
    key: Key
    dependency: int


def choose(
    model: Model, events: Sequence[FeatureEvent], asked_about: Sequence[Departure], random: Random
) -> Followed | None:
    """One of the changes behind one of the flights; None where no change is behind any."""
    behind: dict[tuple[str, str], list[Followed]] = {}
    for departure in asked_about:
        key = model.parse_key(departure.key)
        for at, (dependency, entity) in enumerate(zip(model.dependencies, model.entities(key), strict=True)):
            behind.setdefault((dependency.view, entity), []).append(Followed(dependency.view, entity, key, at))
    changing = [behind[change] for event in events if (change := (event.view, event.entity)) in behind]
    return random.choice(random.choice(changing)) if changing else None


@dataclass(slots=True)
class Probes:
    """Durations in seconds, in the order they were measured; and how many were broken off."""

    to_stale_s: list[float] = field(default_factory=list)
    to_refreshed_s: list[float] = field(default_factory=list)
    broken: int = 0


@dataclass(frozen=True, slots=True)
class _Began:
    """The moment before a put, by two clocks."""

    at_s: float
    at_ms: int


class Prober:
    """Follows one change at a time."""

    def __init__(self, model: Model, version: int, edge: Connection, primary: Link, replica: Link) -> None:
        self.probes = Probes()
        self.model = model
        self._version = version
        self._edge = edge
        self._primary = primary
        self._replica = replica
        self._next_s = 0.0
        self._asked = False
        #: What the refresher recomputes when something behind it changes.
        self._pushed: frozenset[str] = frozenset()
        self._task: asyncio.Task[None] | None = None

    def is_due(self, now_s: float) -> bool:
        """Whether another change should be followed."""
        return now_s >= self._next_s and (self._task is None or self._task.done())

    def follow(self, followed: Followed, putting: asyncio.Future[int]) -> None:
        """Follows a change that is about to be stored; one that turns out to change nothing is forgotten."""
        self._next_s = time.monotonic() + PROBE_EVERY_S
        self._asked = not self._asked or followed.key.text not in self._pushed
        began = _Began(time.perf_counter(), int(time.time() * 1000))
        follow = self._until_stale if self._asked else self._until_refreshed
        self._task = asyncio.create_task(self._followed(follow(followed, putting, began)))

    async def close(self) -> None:
        """Gives up what is being followed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._edge.close()
        await self._primary.close()
        await self._replica.close()

    async def _followed(self, following: Coroutine[None, None, None]) -> None:
        try:
            await following
            self._pushed = await self._read_plan()
        except (StoreUnavailable, OSError):
            # Whoever puts and asks notices as well, and says so.
            self.probes.broken += 1

    async def _until_stale(self, followed: Followed, putting: asyncio.Future[int], began: _Began) -> None:
        path = f"/v1/predict/{self.model.name}/{followed.key.text}"
        #: When a request was sent, and what its answer, given as fresh, knew of.
        asked: list[tuple[float, float]] = []
        change_ms: int | None = None
        while change_ms is None or asked[-1][1] < change_ms:
            if time.perf_counter() - began.at_s > GIVE_UP_S:
                asked.append((began.at_s + GIVE_UP_S, _EVERYTHING))
                break
            sent_s = time.perf_counter()
            reply = await self._edge.get(path)
            asked.append((sent_s, _knows_of_ms(reply.body) if reply.status == 200 else _EVERYTHING))
            if change_ms is None and putting.done():
                change_ms = await self._change_ms(followed)
                if change_ms < began.at_ms:
                    return
            await asyncio.sleep(_ASK_EVERY_S)
        first_s = next(at_s for at_s, known_ms in asked if known_ms >= (change_ms or 0))
        self.probes.to_stale_s.append(first_s - began.at_s)

    async def _until_refreshed(self, followed: Followed, putting: asyncio.Future[int], began: _Began) -> None:
        await asyncio.wait([putting])
        change_ms = await self._change_ms(followed)
        if change_ms < began.at_ms:
            return
        while (took_s := time.perf_counter() - began.at_s) < GIVE_UP_S:
            if await self._refreshed_ms(followed) >= change_ms:
                break
            await asyncio.sleep(_LOOK_EVERY_S)
        self.probes.to_refreshed_s.append(min(took_s, GIVE_UP_S))

    async def _read_plan(self) -> frozenset[str]:
        (text,) = await self._primary.run([("GET", hot_plan_key(self.model.name))])
        if not isinstance(text, bytes):
            return frozenset()
        note = msgspec.json.decode(text, type=PlanNote)
        return frozenset(key for key, found in note.keys.items() if found.refreshed)

    async def _change_ms(self, followed: Followed) -> int:
        """When the row changed last."""
        (head,) = await self._primary.run([("GETRANGE", row_key(followed.view, followed.entity), 0, STAMP.size - 1)])
        return milliseconds(stamp(head).update_id) if isinstance(head, bytes) and len(head) == STAMP.size else 0

    async def _refreshed_ms(self, followed: Followed) -> int:
        """Up to when the entry on the replica knows of the view's changes; 0 if there is none."""
        name, version = self.model.name, self._version
        (value,) = await self._replica.run([("GET", entry_key(name, version, followed.key.text))])
        try:
            entry = decode(value or b"", identity(name, version, self.model.default_variant, followed.key.text))
        except EntryCorrupt:
            return 0
        return milliseconds(entry.as_of[followed.dependency])


def _knows_of_ms(body: bytes) -> float:
    answer = _DECODER.decode(body)
    return _EVERYTHING if answer.stale else datetime.fromisoformat(answer.as_of).timestamp() * 1000
