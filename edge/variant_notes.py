"""What an edge process says of its variants, in Redis, for people to see: loaded or not, how fast, taken out or not.

One key a process, at most `MAX_BYTES`, taken for gone after `KEEP_S`. Written beside telemetry, dropped rather than
waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from edge.background import Background
from edge.stats import Tier
from precompute.errors import NearcastError
from precompute.keys import variants_key
from precompute.store import checked
from precompute.telemetry import Source
from precompute.updates import Command, Reply

if TYPE_CHECKING:
    from edge.link import Link
    from edge.profiles import Profiles
    from edge.serving import Serving
    from edge.sleeper import Sleeper

log = logging.getLogger(__name__)

EVERY_S = 5.0
KEEP_S = 20
#: Variants of which something is said; those that are taken out come first, then those that are needed most.
MOST = 1_000
MAX_BYTES = 256 << 10
#: Finding a quantile takes 20 µs; so many before others get their turn.
_AT_ONCE = 20
_MOST_TEXT = 300
#: What was written by another version of this file is not read.
_FORMAT = 1


class BreakerNote(msgspec.Struct, frozen=True, array_like=True):
    """A breaker that is not closed: `open`, `trial` while the next run may close it, or `ended` where none will.

    Attributes:
        since_ms: since when nothing has worked; None if it never has.
        opened: how often it has been opened.
    """

    state: str
    since_ms: int | None
    why: str
    opened: int


class VariantNote(msgspec.Struct, frozen=True, array_like=True):
    """A version of a variant.

    Attributes:
        serves: whether it is what answers, rather than kept ready for that.
        expected_ms: the 95th percentile that routing reckons with where it has to be computed; None if never measured.
        memory_bytes: what it takes; 0 while it is not loaded.
    """

    model: str
    variant: str
    version: int
    serves: bool
    is_loaded: bool
    memory_bytes: int
    expected_ms: float | None = None
    breaker: BreakerNote | None = None


class _Written(msgspec.Struct, array_like=True):
    format: int
    notes: list[VariantNote]


def encode(notes: Sequence[VariantNote]) -> bytes:
    """For `parse`; of too many, the first ones."""
    while len(data := msgspec.msgpack.encode(_Written(_FORMAT, list(notes)))) > MAX_BYTES:
        notes = notes[: len(notes) // 2]
    return data


def read_commands(sources: Iterable[Source]) -> list[Command]:
    """Asks what these processes say."""
    return [("GET", variants_key(source.node, source.process)) for source in sources]


def parse(reply: Reply) -> list[VariantNote] | None:
    """What a process says; None if it says nothing, or something that cannot be read."""
    raw = checked(reply)
    if raw is None:
        return None
    try:
        written = msgspec.msgpack.decode(raw, type=_Written)
    except msgspec.MsgspecError:
        return None
    return written.notes if written.format == _FORMAT else None


class VariantNotes:
    """Writes on a timer.

    Attributes:
        dropped: writes that the primary has not taken.
    """

    def __init__(
        self,
        serving: Serving,
        profiles: Profiles,
        source: Source,
        primary: Link,
        now_ms: Callable[[], int],
        clock_s: Callable[[], float],
    ) -> None:
        self._serving = serving
        self._profiles = profiles
        self._key = variants_key(source.node, source.process)
        self._primary = primary
        self._now_ms = now_ms
        self._clock_s = clock_s
        self._background = Background()
        self.dropped = 0

    def start(self) -> None:
        """Writes until `stop`."""
        self._background.begin(self._run())

    async def stop(self) -> None:
        """Leaves off; what was written last is forgotten by itself."""
        await self._background.end()

    async def _run(self) -> None:
        while True:
            await self.write()
            await asyncio.sleep(EVERY_S)

    async def write(self) -> None:
        """Says how it is now."""
        notes = [note async for note in self._notes()]
        try:
            (reply,) = await self._primary.run([("SET", self._key, encode(notes), "EX", KEEP_S)])
            checked(reply)
        except NearcastError as error:
            self.dropped += 1
            log.debug("what is said of variants was not written: %s", error)

    async def _notes(self) -> AsyncIterator[VariantNote]:
        now_s = self._clock_s()
        serving = {s for model in self._serving.project.models for s in self._serving.variants(model)}
        known = sorted(self._serving.sleepers(), key=lambda s: (not is_open(s), s not in serving, -s.uses(now_s)))
        for at, sleeper in enumerate(known[:MOST]):
            if at % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            yield self._note(sleeper, now_s, serves=sleeper in serving)

    def _note(self, sleeper: Sleeper, now_s: float, *, serves: bool) -> VariantNote:
        model, version = sleeper.name
        variant = sleeper.servable.variant
        is_loaded = sleeper.awake is not None
        expected_ms = self._profiles.p95_ms(model, variant, Tier.LIVE, now_s)
        return VariantNote(
            model,
            variant,
            version,
            serves,
            is_loaded,
            sleeper.loaded_bytes if is_loaded else 0,
            None if expected_ms is None else float(f"{expected_ms:.4g}"),
            self._breaker(sleeper, now_s),
        )

    def _breaker(self, sleeper: Sleeper, now_s: float) -> BreakerNote | None:
        if not is_open(sleeper):
            return None
        breaker = sleeper.breaker
        state = "ended" if sleeper.ended else "open" if breaker.refuses_s(now_s) > 0 else "trial"
        since_ms = self._now_ms() - round((now_s - breaker.since_s) * 1000) if breaker.reason else None
        return BreakerNote(state, since_ms, (sleeper.ended or breaker.reason)[:_MOST_TEXT], breaker.opened)


def is_open(sleeper: Sleeper) -> bool:
    """Whether nothing works until a trial has, or ever."""
    return bool(sleeper.breaker.reason or sleeper.ended)


def open_breakers(sleepers: Iterable[Sleeper]) -> dict[tuple[str, str], int]:
    """How many versions of each variant are taken out; 0 where none is."""
    counts: dict[tuple[str, str], int] = {}
    for sleeper in sleepers:
        name = sleeper.name[0], sleeper.servable.variant
        counts[name] = counts.get(name, 0) + is_open(sleeper)
    return counts
