"""A lease in Redis: one owner at a time, and a number that grows with every change of hands.

A fencing number lets whoever receives work tell a leader from its predecessor that has not noticed yet.
"""

from __future__ import annotations

import secrets

from precompute.keys import fence_key, lease_key
from precompute.store import Store

#: The lease that schedulers contend for.
LEASE = "scheduler"

_TAKE = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
local fence = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return fence
"""
_RENEW = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class Lease:
    """One contender for a lease; the store's word, without any clock of its own."""

    def __init__(self, store: Store, name: str, ttl_ms: int) -> None:
        self._store = store
        self._keys = lease_key(name), fence_key(name)
        self._ttl_ms = ttl_ms
        self.owner = secrets.token_hex(8)

    def take(self) -> int | None:
        """The fencing number if the lease was free, None if somebody holds it. Raises StoreUnavailable."""
        fence = int(self._store.call("EVAL", _TAKE, 2, *self._keys, self.owner, self._ttl_ms))
        return fence or None

    def renew(self) -> bool:
        """Whether we still held the lease, and hold it anew. Raises StoreUnavailable."""
        return bool(self._store.call("EVAL", _RENEW, 1, self._keys[0], self.owner, self._ttl_ms))

    def release(self) -> None:
        """Lets the next one lead at once. Raises StoreUnavailable."""
        self._store.call("EVAL", _RELEASE, 1, self._keys[0], self.owner)
