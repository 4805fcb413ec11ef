"""How a request is answered: from the nearest tier that has something fresh.

1. `memory`, this process: if fresh, answer. A key that was found to have no row is refused from here as well.
2. `replica`, the Redis near us, reads of one loop turn gathered: if fresh, keep it in memory and answer.
3. An answer that stopped being fresh only just now (`stale_while_revalidate_s`) is given as `stale`, while 4 goes on.
4. `live`: one flight for each key reads the features and runs the model; the result is kept and written back.
5. If that fails or takes longer than the budget: `stale`, within `stale_if_error_s`; else the declared `default`;
   else the error. A key that cannot be computed at all is never answered from 5, and an answer made from a row that
   has been deleted since is never given as `stale`: somebody may have asked to be forgotten.

Requests that are read for together (`edge/fetch.py`) begin 4 along with 2 where the replica has had nothing for their
model of late.

Fresh means: within its TTL, no dependency has changed since its as-of, and our replica is close enough to its primary
for that to be known.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence

from edge.absent import SHARE, AbsentKeys
from edge.ask import Answer, Ask
from edge.deadlines import Deadlines
from edge.edition import Editions
from edge.flying import Flying
from edge.held import Held
from edge.judge import Judge
from edge.key_facts import KeyFacts
from edge.landing import Landing
from edge.live import Live
from edge.memory import Memory
from edge.reads import Reads
from edge.replica import Replica
from edge.stats import Stats, Tier
from edge.write_back import WriteBack
from precompute.entry import mark_stale
from precompute.errors import DeadlineExceeded, EntryCorrupt, PermanentError, TransientError
from precompute.freshness import Freshness

#: Looking a member up takes 0.05 µs.
_REPLICA, _LIVE = Tier.REPLICA, Tier.LIVE


class Ladder:
    """Answers asks; see the module for the steps."""

    def __init__(
        self,
        memory: Memory[Held],
        replica: Replica,
        freshness: Freshness,
        lag_s: Callable[[], float],
        write_back: WriteBack,
        stats: Stats,
        now_ms: Callable[[], int],
        *,
        max_waiting: int,
        set_aside: Callable[[str, bytes, str], None] = lambda name, value, why: None,
    ) -> None:
        """Begins with nothing.

        Args:
            max_waiting: keys that may wait for live inference.
            set_aside: told of entries that cannot be read: the name, the bytes, and what is wrong with them.
        """
        self.memory = memory
        self.editions = Editions(freshness)
        self.absent = AbsentKeys(memory.max_bytes // SHARE, freshness, lag_s, now_ms)
        landing = Landing(memory, self.editions, self.absent, write_back)
        self.live = Live(replica, landing.take, now_ms, max_waiting=max_waiting)
        self.reads = Reads(replica, stats)
        self._freshness = freshness
        self.judge = Judge(freshness, lag_s, stats, now_ms)
        self._stats = stats
        self._set_aside = set_aside
        self._now_ms = now_ms
        self._deadlines = Deadlines()

    async def answer(self, ask: Ask) -> Answer:
        """The answer to one ask.

        Raises:
            PermanentError: the prediction cannot be computed.
            TransientError: not now, and there is nothing older that may be served.
        """
        found = self.from_memory(ask)
        if found is not None:
            return found
        self.refuse(ask)
        (value,) = await self.read([ask.name], ask.deadline)
        answer: Answer | Exception | None = self.from_replica(ask, value)
        if answer is None:
            (answer,) = await self.from_live([ask])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def refuse(self, ask: Ask) -> None:
        """The rest of step 1; raises if the key is known to have no row."""
        if not ask.revalidate:
            self.absent.refuse(ask.name, ask.predictor.servable.model.policy)

    def from_memory(self, ask: Ask) -> Answer | None:
        """Step 1, without waiting for anything."""
        if ask.revalidate:
            return None
        held = self.hit(ask.name, self._now_ms())
        return self._answer(held, Tier.MEMORY, "") if held is not None else None

    def hit(self, name: str, now_ms: int) -> Held | None:
        """What memory has under an entry's key, if it is fresh."""
        held = self.memory.get(name)
        return held if held is not None and self.judge.is_fresh(held, now_ms) else None

    async def read(self, names: Sequence[str], deadline: float) -> Sequence[bytes | None]:
        """What the replica has under the keys of some entries; nothing if it cannot be asked, or takes too long."""
        return await self.reads.wait_for(names, deadline)

    def from_replica(self, ask: Ask, value: bytes | None, facts: KeyFacts | None = None) -> Answer | None:
        """Steps 2 and 3, with what was read; and what is known of the key, if somebody has that at hand."""
        before = self._kept(ask)
        why = ask.why(before)
        candidates = [] if before is None else [before]
        if value is not None and (held := self._held(ask, value, facts)) is not None:
            now_ms = self._now_ms()
            if self.judge.is_fresh(held, now_ms) and not ask.revalidate:
                self.memory.put(ask.name, held)
                age_ms = max(0, now_ms - held.computed_ms)
                return Answer(held.body, _REPLICA, why, held, age_ms, held.fresh_until_ms - now_ms)
            candidates.append(held)
            self._keep_for_later(ask, before, held)
        return self._revalidating(ask, candidates, why)

    def _kept(self, ask: Ask) -> Held | None:
        """What memory has. An answer made from a row that is gone is not even kept."""
        before = self.memory.get(ask.name)
        if before is None or not before.is_deleted(self._freshness):
            return before
        self.memory.remove(ask.name)
        return None

    def _keep_for_later(self, ask: Ask, before: Held | None, held: Held) -> None:
        """A stale entry is worth memory only where the policy may serve it."""
        policy = held.edition.policy
        if policy.keep_s > policy.ttl_s and (before is None or before.computed_ms < held.computed_ms):
            self.memory.put(ask.name, held)

    def _revalidating(self, ask: Ask, candidates: list[Held], why: str) -> Answer | None:
        """Step 3."""
        window_ms = ask.predictor.servable.model.policy.stale_while_revalidate_s * 1000
        held = self.judge.least_stale(candidates, window_ms)
        if held is None or ask.revalidate:
            return None
        try:
            is_first = ask.key.text not in self.live.under_way(ask.predictor)
            self.live.fly(ask.predictor, ask.key)
            self._stats.revalidations += is_first
        except TransientError:
            self._stats.revalidations_shed += 1
        return self._answer(held, Tier.STALE, why)

    def from_live(
        self, asks: Sequence[Ask], *, at_once: bool = False
    ) -> Coroutine[None, None, list[Answer | Exception]]:
        """Steps 4 and 5 for asks of one model that have the same time left; where `answer` raises, the error.

        They are begun when this returns; what it returns is to be awaited.
        """
        outcomes = [self._again(ask) for ask in asks]
        cold = [i for i, outcome in enumerate(outcomes) if outcome is None]
        flying = self.begin([asks[i] for i in cold], at_once=at_once) if cold else None
        return self._filled_in(outcomes, cold, flying)

    async def _filled_in(
        self, outcomes: list[Answer | Exception | None], cold: Sequence[int], flying: Flying | None
    ) -> list[Answer | Exception]:
        if flying is not None:
            for i, outcome in zip(cold, await self.landed(flying), strict=True):
                outcomes[i] = outcome
        return outcomes  # type: ignore[return-value]

    def _again(self, ask: Ask) -> Answer | Exception | None:
        """Step 1 once more: a flight may have landed while the replica was read, and is no longer there to join."""
        if (found := self.from_memory(ask)) is not None:
            return found
        try:
            self.refuse(ask)
        except PermanentError as error:
            return error
        return None

    def begin(self, asks: Sequence[Ask], *, at_once: bool = False) -> Flying:
        """Sees to it that asks are computed, as for `from_live`; `landed` brings what comes of them."""
        return Flying(self.live, asks, [ask.why(self._kept(ask)) for ask in asks], at_once=at_once)

    async def landed(self, flying: Flying) -> list[Answer | Exception]:
        """Steps 4 and 5 for what was begun, one outcome for each ask."""
        landed = await flying.landed(self._deadlines, self._freshness)
        now_ms, is_near = self._now_ms(), self.judge.is_near_enough(flying.policy)
        outcomes: list[Answer | Exception] = []
        for ask, why, outcome in zip(flying.asks, flying.whys, landed, strict=True):
            if is_near and isinstance(outcome, Held):
                age_ms = max(0, now_ms - outcome.computed_ms)
                outcomes.append(Answer(outcome.body, _LIVE, why, outcome, age_ms, outcome.fresh_until_ms - now_ms))
            else:
                outcomes.append(self._instead(ask, why, outcome))
        return outcomes

    def _instead(self, ask: Ask, why: str, outcome: Held | Exception) -> Answer | Exception:
        """What is answered where a flight brought nothing that can be presented as fresh."""
        if isinstance(outcome, Held):
            return self._answer(outcome, Tier.STALE, why)
        if isinstance(outcome, TimeoutError) and (found := self.from_memory(ask)) is not None:
            # Its own flight has landed; others that it was asked for together with have not.
            return found
        return self._last(ask, why, outcome) if isinstance(outcome, TransientError | TimeoutError) else outcome

    def _last(self, ask: Ask, why: str, error: Exception) -> Answer | Exception:
        """Step 5."""
        policy = ask.predictor.servable.model.policy
        before = self.memory.get(ask.name)
        held = self.judge.least_stale([before] if before else [], policy.stale_if_error_s * 1000)
        if held is not None:
            return self._answer(held, Tier.STALE, why)
        if policy.default is not None:
            return Answer(ask.default_body(policy.default), Tier.DEFAULT, why, None, 0, -1)
        return DeadlineExceeded("no answer within the budget") if isinstance(error, TimeoutError) else error

    def _held(self, ask: Ask, value: bytes, facts: KeyFacts | None) -> Held | None:
        facts = facts or self.editions.of(ask.predictor.servable).facts(ask.key)
        try:
            return facts.edition.read(facts, value)
        except EntryCorrupt as error:
            self._stats.corrupt_entries += 1
            self._set_aside(ask.name, value, str(error))
            return None

    def _answer(self, held: Held, tier: Tier, why: str) -> Answer:
        now_ms = self._now_ms()
        left_ms = held.fresh_until_ms - now_ms
        if tier is Tier.STALE:
            left_ms = -held.stale_for_ms(self._freshness, now_ms) - 1
        body = mark_stale(held.body) if tier is Tier.STALE else held.body
        return Answer(body, tier, why, held, max(0, now_ms - held.computed_ms), left_ms)
