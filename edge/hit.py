"""The bytes of a memory hit: the same response that the plain way would give, put together from prepared parts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from email.utils import formatdate

import xxhash

from edge.answer import Ladder
from edge.api.headers import cache_status
from edge.api.predict import PREFIX
from edge.ask import Answer
from edge.held import Held
from edge.latest import Latest
from edge.meaning import Meaning, Served
from edge.memory import GONE, MOST_HITS
from edge.serving import Serving
from edge.stats import LISTED_S, LISTED_US, Stats, Tier
from precompute.hot_counter import HotCounter
from precompute.keys import entry_prefix

_PREFIX = PREFIX.encode()
_PREFIX_BYTES = len(_PREFIX)
_START = b"HTTP/1.1 200 OK\r\n"
#: What may mean something else in a query than behind the `?` of a key: escapes, and parameters of the request.
_NOT_IN_KEYS = ("~", "variant=", "budget_ms=")

#: `Server-Timing` for what takes less than a millisecond, and at the end for what takes longer: formatting a number for
#: each hit would cost more than finding it.
_TIMING = [b"server-timing: memory;dur=%.3f\r\n" % (us / 1000) for us in range(LISTED_US)]


#: Targets whose meaning is remembered, in each of so many parts: 7 MB, and 0.6 of 3.5 µs a hit. A dictionary that
#: things come into and go out of is written anew now and then, and a large one holds up everybody for 3 ms.
_REMEMBERED = 1 << 10
_PARTS = 1 << 4

#: A fresh answer of another tier.
_FRESH = (
    b"%bserver-timing: %b;dur=%.3f\r\ncache-status: %b\r\nage: %d\r\ncontent-type: application/json\r\n"
    b'cache-control: %b\r\netag: "%b"\r\n%bcontent-length: %d\r\n\r\n%b'
)


class HitDoor:
    """Answers GETs of fresh entries in memory; an `edge.door.Door`."""

    def __init__(
        self,
        ladder: Ladder,
        serving: Serving,
        stats: Stats,
        counter: Callable[[str], HotCounter],
        now_ns: Callable[[], int] = time.time_ns,
        clock_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`counter` says what counts requests of a model; `clock_s` is what arrivals are told by."""
        self._now_ns = now_ns
        self._clock_s = clock_s
        self._ladder = ladder
        self._known = ladder.judge.known
        self._serving = serving
        self._stats = stats
        self._counter = counter
        self._served: dict[str, Served] = {}
        self._meanings = [Latest[bytes, Meaning](_REMEMBERED) for _ in range(_PARTS)]
        self._missed: tuple[bytes, Meaning | None] = (b"", None)
        #: The millisecond that it is until a moment of `clock_s`, and our replica's lag in it.
        self._now_ms, self._turns_s, self._lag_s = 0, -math.inf, math.inf
        self._second = 0
        self._start = b""

    def answer(self, target: bytes, arrived_s: float) -> bytes | None:
        """The whole response, or None if this is not a plain hit.

        A key that is not spelled canonically is not found here and takes the plain way.
        """
        remembered = self._remembered(target)
        meaning = remembered or self._read(target)
        if meaning is None:
            return None
        # A key that is new here need not be looked for in the way of all others.
        answer = self.again(meaning, arrived_s) if remembered or meaning.name in self._ladder.memory else None
        if answer is None:
            self._missed = target, meaning
        elif remembered is None:
            self._meanings[hash(target) % _PARTS].put(target, meaning)
        return answer

    def again(self, meaning: Meaning, arrived_s: float) -> bytes | None:
        """As `answer`, for a target that meant this.

        Written out, because this is what an edge does all day. Whatever is not as it was at the last hit is left to
        `_found`, and so is the first hit in each millisecond: no other asks for the time.
        """
        held, served = meaning.held, meaning.served
        if (
            held is None
            or arrived_s >= self._turns_s
            or held.judged != self._known.moves
            or served.generation != self._serving.generation
            or self._lag_s > served.max_lag_s
            or (hits := held.hits) >= GONE
        ):
            if not self._found(meaning, arrived_s):
                return None
            served = meaning.served
        else:
            if self._now_ms >= meaning.until_ms:
                # Keys that are asked for twice a second come by here every time.
                if self._now_ms >= held.fresh_until_ms:
                    return None
                meaning.write(held, self._now_ms)
            if hits & MOST_HITS != MOST_HITS:
                held.hits = hits + 1
        if meaning.asked:
            meaning.asked += 1
        else:
            meaning.count()
        took_s = self._clock_s() - arrived_s
        if took_s < LISTED_S:
            us = int(took_s * 1_000_000)
            served.took_us[us] += 1
        else:
            us = -1
            self._stats.answered(served.model, served.variant, Tier.MEMORY, took_s)
        return b"".join((self._start, _TIMING[us], meaning.text))

    def _found(self, meaning: Meaning, arrived_s: float) -> bool:
        """Looks for the entry as everybody does, and makes the meaning ready for the next time."""
        if meaning.served.generation != self._serving.generation and not self._renew(meaning):
            return False
        now_ms, rest_ns = divmod(self._now_ns(), 1_000_000)
        held = self._ladder.hit(meaning.name, now_ms)
        if held is None:
            return False
        if arrived_s >= self._turns_s:
            # What arrived a while ago turns the millisecond too early, never too late.
            self._now_ms, self._turns_s = now_ms, arrived_s + (1_000_000 - rest_ns) / 1e9
            self._lag_s = self._ladder.judge.lag_seen_s
        if now_ms >= meaning.until_ms or meaning.held is not held:
            meaning.write(held, now_ms)
        self._begin_second(now_ms // 1000)
        return True

    def _renew(self, meaning: Meaning) -> bool:
        """Another version may be served now; whether any is."""
        model = meaning.served.model
        served = self._served.get(model)
        if served is None or served.generation != self._serving.generation:
            served = self._learn(model)
        if served is None:
            return False
        meaning.served, meaning.name, meaning.held = served, served.prefix + meaning.key, None
        return True

    def missed(self, target: bytes) -> Meaning | None:
        """What a target asks for, mostly of the one that has just had no answer."""
        last, meaning = self._missed
        return meaning if last is target else self._remembered(target) or self._read(target)

    def meaning(self, target: bytes) -> Meaning | None:
        """What a target asks for, for whoever will see it again."""
        meaning = self._remembered(target) or self._read(target)
        if meaning is not None:
            meaning.is_kept = True
        return meaning

    def _remembered(self, target: bytes) -> Meaning | None:
        meaning = self._meanings[hash(target) % _PARTS].get(target)
        return meaning if meaning is not None and meaning.served.generation == self._serving.generation else None

    def _read(self, target: bytes) -> Meaning | None:
        """What a target asks for, if it is a key of a model that is served; the key may be no canonical one."""
        if not target.startswith(_PREFIX) or not target.isascii():
            return None
        model, _, key = target[_PREFIX_BYTES:].decode().partition("/")
        served = self._served.get(model)
        if served is None or served.generation != self._serving.generation:
            served = self._learn(model)
        if served is None or ("?" in key and any(mark in key for mark in _NOT_IN_KEYS)):
            return None
        return Meaning(served, served.prefix + key, key)

    def _learn(self, model: str) -> Served | None:
        """Called again for every request of a model that is not served; only served ones are remembered."""
        version = self._serving.default_version(model)
        if version is None:
            self._served.pop(model, None)
            return None
        declared = self._serving.project.model(model)
        served = self._served[model] = Served(
            model,
            self._serving.generation,
            entry_prefix(model, version),
            declared.policy.max_age_s,
            declared.policy.max_lag_s,
            self._counter(model),
            declared.default_variant,
            self._stats.hits(model, declared.default_variant),
        )
        return served

    def response(self, answer: Answer, held: Held, tag_lines: bytes, took_s: float) -> bytes:
        """The response with a fresh entry of another tier, whose tags are at hand as header lines."""
        self._begin_second(self._now_ns() // 1_000_000_000)
        fresh_for_s, body = answer.fresh_for_ms // 1000, answer.body
        return _FRESH % (
            self._start,
            answer.tier.encode(),
            took_s * 1000,
            cache_status(answer),
            answer.age_ms // 1000,
            held.edition.for_caches.control(fresh_for_s),
            xxhash.xxh3_64_hexdigest(body).encode(),
            tag_lines,
            len(body),
            body,
        )

    def _begin_second(self, second: int) -> None:
        """Makes the first line and a header that is the same for a second."""
        if second != self._second:
            self._second = second
            self._start = b"%bdate: %b\r\n" % (_START, formatdate(second, usegmt=True).encode())
