"""What is known of a declared job's runs: the last fire that was dealt with, the runs that are open, those that ended.

The ledger of a job is one JSON value, replaced as a whole and only if it is still what the decision was made from, and
only by the leader of the latest term. So each fire is dealt with once, whoever leads, and however often they change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from precompute.job_runs import Ledger, Run
from precompute.keys import fence_key, schedule_key
from precompute.store import Store, checked
from workers.lease import LEASE

#: Ended runs that are kept of each job.
MAX_PAST = 100


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
