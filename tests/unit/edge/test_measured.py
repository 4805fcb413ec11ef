"""Latencies on their way to Redis and back."""

from __future__ import annotations

from collections.abc import Sequence

from edge.measured import KEEP_S, Measured
from edge.profiles import Profiles
from edge.stats import Tier
from precompute.errors import StoreUnavailable
from precompute.updates import Command, Reply


class FakeRedis:
    """Primary and replica in one."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.sent: list[Command] = []
        self.away = False

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        if self.away:
            raise StoreUnavailable("away")
        return [self.values.get(key) for key in keys]

    async def run(self, commands: Sequence[Command]) -> list[Reply]:
        if self.away:
            raise StoreUnavailable("away")
        self.sent += commands
        for _, key, value, *_ in commands:
            self.values[str(key)] = bytes(value)  # type: ignore[arg-type]
        return ["OK"] * len(commands)


def measured(redis: FakeRedis, profiles: Profiles) -> Measured:
    """Of the node `n`."""
    return Measured(profiles, "n", redis, redis, lambda: 5.0)  # type: ignore[arg-type]


def some() -> Profiles:
    """One live latency."""
    profiles = Profiles()
    profiles.observe("late", "fast", Tier.LIVE, 0.005, 1.0)
    return profiles


async def test_the_next_process_knows_what_this_one_measured() -> None:
    """Under one key for the node, with an expiry."""
    redis, after = FakeRedis(), Profiles()
    await measured(redis, some()).write()

    await measured(redis, after).load()

    assert after.p95_ms("late", "fast", Tier.LIVE, 5.0) is not None
    assert [command[0:2] + command[3:] for command in redis.sent] == [("SET", "stats:profiles:n", "EX", KEEP_S)]


async def test_what_is_written_already_is_not_written_again() -> None:
    """Nor is nothing at all."""
    redis = FakeRedis()
    it = measured(redis, some())
    await it.write()
    await it.write()
    await measured(redis, Profiles()).write()

    assert len(redis.sent) == 1


async def test_redis_away_is_counted_and_costs_nothing_else() -> None:
    """Measuring goes on without."""
    redis, profiles = FakeRedis(), some()
    redis.away = True
    it = measured(redis, profiles)

    await it.load()
    await it.write()

    assert it.dropped == 1
    assert len(profiles) == 1
