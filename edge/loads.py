"""Loads versions into a bounded memory, and lets the least valuable ones go for those that are needed.

Loading never holds up others: it happens in threads, one at a time; one that takes long gives up its turn, and one that
does not end is left alone and not tried again. The rest of the edge learns of a load by the sleeper that is awake.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections.abc import Awaitable, Callable, Iterable, Set
from typing import Any, TypeVar

import msgspec

from edge.own_memory import resident_bytes
from edge.residents import Resident, to_let_go
from edge.sleeper import Sleeper
from edge.threads import in_thread
from precompute.errors import ModelRejected, ModelUnavailable, NearcastError, PermanentError
from precompute.predictor import Predictor

log = logging.getLogger(__name__)

#: A load gives up its turn after so long, and is given up altogether.
_TURN_S, LIMIT_S = 0.25, 120.0
#: How long a stop waits for loads.
_PATIENCE_S = 2.0
#: Share of the memory that is freed beyond what is needed: looking at hundreds of models takes half a millisecond.
_SPARE = 1 / 64
_MIB = 1 << 20
T = TypeVar("T")

#: Makes a predictor of what was fetched; takes its time, so it is called in a thread.
Build = Callable[[], Predictor]


class Loads:
    """All loads of one edge.

    Attributes:
        failures: why a version could not be loaded, by model and version.
        loaded: how often one was loaded.
        let_go: how often one was let go of, for another.
    """

    def __init__(
        self,
        fetch: Callable[[Sleeper], Awaitable[Build]],
        residents: Callable[[], Iterable[Sleeper]],
        max_bytes: int,
        clock_s: Callable[[], float],
    ) -> None:
        """Begins with nothing.

        Args:
            fetch: reads a version's file.
            residents: every version that may be awake.
        """
        self.max_bytes = max_bytes
        self._fetch = fetch
        self._residents = residents
        self._clock_s = clock_s
        #: For loads that somebody waits for, and for what is only kept ready. One at a time can be measured.
        self._turn, self._standby_turn = asyncio.Lock(), asyncio.Lock()
        self._tasks: dict[Sleeper, asyncio.Task[None]] = {}
        #: Of these, those that nobody waits for.
        self._patient: weakref.WeakSet[Sleeper] = weakref.WeakSet()
        #: Memory of those whose turn it is.
        self._reserved: dict[Sleeper, int] = {}
        self._in_threads: set[asyncio.Future[Any]] = set()
        self.failures: dict[tuple[str, int], str] = {}
        self.loaded = 0
        self.let_go = 0

    @property
    def bytes(self) -> int:
        """What everything that is loaded takes, or will take in a moment."""
        awake = [s.loaded_bytes for s in self._residents() if s.awake is not None]
        return sum(awake) + sum(self._reserved.values())

    def begin(self, sleeper: Sleeper, *, urgent: bool = True) -> asyncio.Task[None]:
        """The load of a version, which may be under way already; it raises nothing."""
        task = self._tasks.get(sleeper)
        if task is not None and urgent and sleeper in self._patient and sleeper not in self._reserved:
            # It waits behind others that nobody waits for.
            task.cancel()
            task = None
        if task is None:
            (self._patient.discard if urgent else self._patient.add)(sleeper)
            task = self._tasks[sleeper] = asyncio.create_task(self._load(sleeper, urgent=urgent))
            task.add_done_callback(lambda done: self._ended(sleeper, done))
        return task

    def _ended(self, sleeper: Sleeper, done: asyncio.Task[None]) -> None:
        if self._tasks.get(sleeper) is done:
            del self._tasks[sleeper]

    def under_way(self) -> list[tuple[str, int]]:
        """Models and versions that are being loaded."""
        return [sleeper.name for sleeper in self._tasks]

    def keep_failures(self, names: Set[tuple[str, int]]) -> None:
        """Forgets why others could not be loaded."""
        for gone in self.failures.keys() - names:
            del self.failures[gone]

    async def stop(self) -> None:
        """Begins nothing more; what is under way in threads has a moment to end."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._in_threads:
            await asyncio.wait(self._in_threads, timeout=_PATIENCE_S)

    async def _load(self, sleeper: Sleeper, *, urgent: bool) -> None:
        name = sleeper.name
        try:
            await self._in_turn(sleeper, urgent=urgent)
        except (NearcastError, msgspec.MsgspecError, TimeoutError) as error:
            text = str(error) or f"loading did not end within {LIMIT_S:.0f} s"
            if self.failures.get(name) != text:
                log.error("cannot serve %s version %d: %s", *name, text)
            # What is only kept ready is not tried again if that is known to be of no use.
            if urgent or isinstance(error, PermanentError):
                self.failures[name] = text
                sleeper.breaker.open(text, self._clock_s())
        else:
            self.failures.pop(name, None)

    async def _in_turn(self, sleeper: Sleeper, *, urgent: bool) -> None:
        turn = self._turn if urgent else self._standby_turn
        await turn.acquire()
        in_turn = True
        try:
            if sleeper.awake is not None or not self._make_room(sleeper, urgent=urgent):
                return
            built = await self._begun(sleeper)
            await asyncio.wait([built], timeout=_TURN_S)
            turn.release()
            in_turn = False
            await self._wake(sleeper, built)
        finally:
            if in_turn:
                turn.release()

    async def _begun(self, sleeper: Sleeper) -> asyncio.Future[tuple[Predictor, float, int]]:
        try:
            build = await self._fetch(sleeper)
        except BaseException:
            del self._reserved[sleeper]
            raise
        return self._in_thread(f"load {sleeper.servable.model.name}", lambda: _measured(build))

    async def _wake(self, sleeper: Sleeper, built: asyncio.Future[tuple[Predictor, float, int]]) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                predictor, took_s, grown_bytes = await built
            sleeper.wake(predictor, took_s, self._taken(sleeper, grown_bytes))
        except TimeoutError:
            # Each further try would cost another thread.
            sleeper.ended = "loading it did not end"
            raise
        finally:
            del self._reserved[sleeper]
        self.loaded += 1
        if (excess := self.bytes - self.max_bytes) > 0:
            self._let_go(excess)
        log.info("%s version %d is loaded (%.1f MiB)", *sleeper.name, sleeper.loaded_bytes / _MIB)

    def _taken(self, sleeper: Sleeper, grown_bytes: int) -> int:
        """What a session takes: by how much the process has grown meanwhile, within what is likely.

        It grows and shrinks for other reasons, too; where two were loaded at once, nothing can be said.
        """
        size = sleeper.record.size
        if len(self._reserved) > 1:
            return sleeper.loaded_bytes
        return max((256 << 10) + size * 3 // 2, min(grown_bytes, _MIB + 8 * size))

    def _make_room(self, sleeper: Sleeper, *, urgent: bool) -> bool:
        """Reserves memory; False if there is none for something that nobody waits for.

        Raises:
            ModelRejected: it would not fit if it were alone.
            ModelUnavailable: everything else is in use.
        """
        needed = sleeper.loaded_bytes
        limits = f"it takes about {needed / _MIB:.1f} MiB; model_memory_bytes allows {self.max_bytes / _MIB:.1f} MiB"
        if needed > self.max_bytes:
            raise ModelRejected(limits)
        excess = self.bytes + needed - self.max_bytes
        if excess > 0 and not urgent:
            return False
        if excess > 0 and not self._let_go(excess):
            raise ModelUnavailable(f"{limits}, and all of that is in use")
        self._reserved[sleeper] = needed
        return True

    def drop(self, sleeper: Sleeper) -> None:
        """Lets go of one that is not served any more."""
        sleeper.ended = "it is not served any more"
        self._forget([sleeper])

    def _let_go(self, excess_bytes: int) -> bool:
        now_s = self._clock_s()
        residents = [
            Resident(s, s.loaded_bytes, s.uses(now_s), s.load_s, pinned=s.wanted)
            for s in self._residents()
            if s.awake is not None
        ]
        chosen = to_let_go(residents, excess_bytes, int(self.max_bytes * _SPARE))
        if chosen is None:
            return False
        self.let_go += len(chosen)
        self._forget(chosen)
        return True

    def _forget(self, sleepers: Iterable[Sleeper]) -> None:
        sessions = [awake for sleeper in sleepers if (awake := sleeper.sleep()) is not None]
        if sessions:
            # Takes milliseconds for large ones.
            self._in_thread("let go", sessions.clear)

    def _in_thread(self, name: str, work: Callable[[], T]) -> asyncio.Future[T]:
        under_way = in_thread(name, work)
        self._in_threads.add(under_way)
        under_way.add_done_callback(self._in_threads.discard)
        # A copy: who waits may be cancelled, while the thread goes on.
        return asyncio.shield(under_way)


def _measured(build: Build) -> tuple[Predictor, float, int]:
    """What was built, the seconds it took, and by how much the process has grown."""
    began_s, before = time.monotonic(), resident_bytes()
    predictor = build()
    return predictor, time.monotonic() - began_s, resident_bytes() - before
