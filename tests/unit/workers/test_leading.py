"""One process's part in choosing a leader."""

from __future__ import annotations

from precompute.errors import StoreUnavailable
from workers.leading import Contender


class FakeLease:
    """A lease whose answers a test decides."""

    def __init__(self) -> None:
        self.free = True
        self.away = False
        self.asked: list[str] = []

    def take(self) -> int | None:
        self._ask("take")
        return 5 if self.free else None

    def renew(self) -> bool:
        self._ask("renew")
        return self.free

    def release(self) -> None:
        self._ask("release")

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            raise StoreUnavailable("away")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def contender(lease: FakeLease, clock: Clock) -> Contender:
    """A contender for a lease of ten seconds."""
    return Contender(lease, 10.0, clock)  # type: ignore[arg-type]


def test_a_leader_knows_its_number() -> None:
    """Whoever acts asks for the fence first."""
    lease, clock = FakeLease(), Clock()
    one = contender(lease, clock)

    one.contend()

    assert one.fence == 5


def test_a_leader_that_cannot_renew_stops_by_its_own_clock() -> None:
    """Even if nobody asks the lease in between."""
    lease, clock = FakeLease(), Clock()
    one = contender(lease, clock)
    one.contend()

    clock.now = 9.5

    assert one.fence is None


def test_a_store_that_is_away_ends_the_lead_and_is_asked_again() -> None:
    """The lead comes back with the store."""
    lease, clock = FakeLease(), Clock()
    one = contender(lease, clock)
    one.contend()

    clock.now, lease.away = 4.0, True
    one.contend()
    lost = one.fence
    clock.now, lease.away = 8.0, False
    one.contend()

    assert lost is None
    assert one.fence == 5
    assert lease.asked == ["take", "renew", "take"]


def test_nothing_is_asked_before_its_time() -> None:
    """A lease costs a request or two a second, not one a turn."""
    lease, clock = FakeLease(), Clock()
    one = contender(lease, clock)

    for _ in range(100):
        one.contend()

    assert lease.asked == ["take"]
