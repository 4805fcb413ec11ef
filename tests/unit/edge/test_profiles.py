"""How long answers take of late."""

from __future__ import annotations

import msgspec
import pytest

from edge.profiles import GENERATION_S, MAX_BYTES, MOST, Profiles
from edge.stats import Tier

NAME = ("late", "fast", Tier.LIVE)


def fed(profiles: Profiles, seconds: float, begin_s: float, end_s: float, rate_per_s: float) -> None:
    """So many measurements a second, all alike."""
    for i in range(int((end_s - begin_s) * rate_per_s)):
        profiles.observe(*NAME, seconds, begin_s + i / rate_per_s)


def p95_ms(profiles: Profiles, now_s: float) -> float:
    """Of the one profile there is."""
    found = profiles.p95_ms(*NAME, now_s)
    assert found is not None
    return found


def test_what_was_never_measured_is_not_known() -> None:
    """No guess."""
    profiles = Profiles()

    assert profiles.p95_ms(*NAME, 0.0) is None
    assert profiles.measured_s(*NAME) is None
    assert profiles.latency(*NAME) is None


def test_a_quantile_is_that_of_what_was_measured() -> None:
    """Within the six percent of a bucket."""
    profiles = Profiles()
    for ms in range(1, 101):
        profiles.observe(*NAME, ms / 1000, 0.0)

    latency = profiles.latency(*NAME)

    assert latency is not None
    assert latency.count == 100
    assert latency.average_ms == pytest.approx(50.5)
    assert latency.p95_ms == pytest.approx(95, rel=0.07)
    assert latency.p99_ms == pytest.approx(99, rel=0.07)
    assert p95_ms(profiles, 0.0) == pytest.approx(latency.p95_ms)


def test_a_busy_variant_that_becomes_slow_is_known_within_a_second() -> None:
    """After minutes at 1,000 a second."""
    profiles = Profiles()
    fed(profiles, 0.002, 0.0, 60.0, 1000)

    fed(profiles, 0.200, 60.0, 61.0, 1000)

    assert p95_ms(profiles, 61.0) > 150


def test_a_variant_that_was_slow_is_fast_again_after_two_generations_of_probes() -> None:
    """However many measurements there were while it was slow."""
    profiles = Profiles()
    fed(profiles, 0.200, 0.0, 60.0, 1000)

    fed(profiles, 0.002, 60.0, 60.0 + 2 * GENERATION_S + 1.0, 1)

    assert p95_ms(profiles, 60.0 + 2 * GENERATION_S + 1.0) < 3


def test_after_a_pause_the_first_measurement_counts_alone() -> None:
    """And until then, what was known is known."""
    profiles = Profiles()
    fed(profiles, 0.200, 0.0, 2.0, 100)
    assert p95_ms(profiles, 1000.0) > 150

    profiles.observe(*NAME, 0.002, 1000.0)

    assert p95_ms(profiles, 1000.2) < 3


def test_a_quantile_is_not_found_anew_for_every_request() -> None:
    """At most a tenth of a second old."""
    profiles = Profiles()
    profiles.observe(*NAME, 0.002, 0.0)
    before = p95_ms(profiles, 0.0)

    profiles.observe(*NAME, 0.2, 0.01)

    assert p95_ms(profiles, 0.05) == before
    assert p95_ms(profiles, 0.11) > 150


def test_live_profiles_outlive_a_restart() -> None:
    """What the new process has measured itself stays."""
    before, after = Profiles(), Profiles()
    before.observe("late", "fast", Tier.LIVE, 0.005, 1.0)
    before.observe("late", "default", Tier.LIVE, 0.010, 2.0)
    before.observe("late", "default", Tier.MEMORY, 0.0001, 2.0)
    after.observe("late", "fast", Tier.LIVE, 0.5, 0.0)

    restored = after.restore(before.encode(), 0.0)

    assert restored == 1
    assert after.p95_ms("late", "default", Tier.LIVE, 0.0) == pytest.approx(10, rel=0.07)
    assert after.p95_ms("late", "fast", Tier.LIVE, 0.0) == pytest.approx(500, rel=0.07)
    assert after.p95_ms("late", "default", Tier.MEMORY, 0.0) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no message",
        msgspec.msgpack.encode([99, []]),
        msgspec.msgpack.encode([1, [["late", "fast", [{-1: 1}, 5]]]]),
        msgspec.msgpack.encode([1, [["late", "fast", [{100_000: 1}, 5]]]]),
        msgspec.msgpack.encode([1, [["late", "fast", [{3: 0}, 5]]]]),
    ],
)
def test_what_cannot_be_read_is_as_good_as_nothing(data: bytes) -> None:
    """Another version's, damaged, or impossible."""
    assert Profiles().restore(data, 0.0) == 0


def test_profiles_are_bounded() -> None:
    """In number and in bytes; those measured longest ago go first."""
    profiles = Profiles()
    for i in range(MOST + 10):
        profiles.observe("late", f"v{i}", Tier.LIVE, 0.001 * (i % 50 + 1), float(i))

    assert len(profiles) == MOST
    assert profiles.measured_s("late", "v0", Tier.LIVE) is None
    assert profiles.measured_s("late", f"v{MOST}", Tier.LIVE) == MOST
    assert len(profiles.encode()) <= MAX_BYTES
