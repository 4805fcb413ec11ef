"""What is known of a declared job's runs: the last fire that was dealt with, the runs that are open, those that ended.

The ledger of a job is one JSON value, replaced as a whole and only if it is still what the decision was made from, and
only by the leader of the latest term. So each fire is dealt with once, whoever leads, and however often they change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec

from precompute.keys import fence_key, schedule_key
from precompute.store import Store, checked
from workers.lease import LEASE

#: Ended runs that are kept of each job.
MAX_PAST = 100

State: TypeAlias = Literal[
    "queued", "running", "finished", "failed", "timed out", "replaced", "refused", "skipped", "missed"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a declared job, for one fire.

    Attributes:
        fire_ms: when it was due; what happened then, for a job that runs on events.
        state: `skipped` gave way to a run at work, `missed` was due while nobody led, `refused` could not be done.
        fence: the term of the leader that has it in hand.
        attempt: grows when its keys are listed anew, because a leader died or a server was away.
        version: of the model; what is served if None.
        fires: how many fires a record of missed runs stands for.
        total: keys; `written` and `failed` of them are done.
    """

    schedule: str
    id: str
    fire_ms: int
    variants: tuple[str, ...]
    state: State = "queued"
    fence: int = 0
    attempt: int = 0
    attempted_ms: int = 0
    version: int | None = None
    started_ms: int = 0
    ended_ms: int = 0
    reason: str = ""
    fires: int = 1
    total: int = 0
    written: int = 0
    failed: int = 0

    @property
    def attempt_id(self) -> str:
        """Names one listing of the run's keys."""
        return f"{self.id}.{self.attempt}"

    def job_id(self, variant: str) -> str:
        """The job that computes a variant; of no other attempt."""
        return f"{self.attempt_id}.{variant}"

    @property
    def jobs(self) -> tuple[str, ...]:
        """Its jobs, one for each variant."""
        return tuple(map(self.job_id, self.variants))

    @property
    def keys_per_s(self) -> float:
        """Average over the run, once it has ended."""
        took_ms = self.ended_ms - self.started_ms
        return 1000 * (self.written + self.failed) / took_ms if self.started_ms and took_ms > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where a declared job stands.

    Attributes:
        kind: what the cursor counts: `time` (ms since 1970), or the update ids of a log.
        cursor: everything up to here has been dealt with.
        last_ms: when the latest run was begun.
        open: runs that are queued or at work, oldest first.
    """

    kind: str
    cursor: int
    last_ms: int = 0
    open: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """A ledger as it was read; `raw` tells whether it still is what it was."""

    raw: bytes
    ledger: Ledger | None


#: KEYS: ledger, ended runs, last fence. ARGV: ledger before, ledger after, fence, most ended runs kept, ended runs...
_COMMIT = """
if tonumber(redis.call('GET', KEYS[3]) or 0) > tonumber(ARGV[3]) then return 0 end
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
for i = 5, #ARGV do redis.call('LPUSH', KEYS[2], ARGV[i]) end
redis.call('LTRIM', KEYS[2], 0, ARGV[4] - 1)
return 1
"""


class Ledgers:
    """The ledgers of one server."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self, names: Sequence[str]) -> list[Known]:
        """The ledgers of these jobs. Raises StoreUnavailable."""
        replies = self._store.run([("GET", schedule_key(name, "ledger")) for name in names]) if names else []
        return [_known(checked(reply)) for reply in replies]

    def commit(self, name: str, before: Known, after: Ledger, ended: Sequence[Run], fence: int) -> bool:
        """Replaces a ledger; False if somebody else has done so, or leads by now. Raises StoreUnavailable."""
        keys = schedule_key(name, "ledger"), schedule_key(name, "past"), fence_key(LEASE)
        records = [msgspec.json.encode(run) for run in ended]
        raw = msgspec.json.encode(after)
        return bool(self._store.call("EVAL", _COMMIT, len(keys), *keys, before.raw, raw, fence, MAX_PAST, *records))

    def past(self, name: str, count: int = MAX_PAST) -> list[Run]:
        """The latest ended runs, newest first. Raises StoreUnavailable."""
        texts = self._store.call("LRANGE", schedule_key(name, "past"), 0, count - 1)
        return [msgspec.json.decode(text, type=Run) for text in texts]


def _known(raw: bytes | None) -> Known:
    return Known(raw or b"", msgspec.json.decode(raw, type=Ledger) if raw else None)
