"""How far behind an edge may be, from what its replica says."""

from __future__ import annotations

import math

import pytest

from edge.lag import HEARTBEAT_GONE_S, PING_S, TURN_S, Lag, link_lag_s

UP = b"role:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:"
DOWN = b"role:slave\r\nmaster_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_link_down_since_seconds:"
WALL_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("info", "lag_s"),
    [
        (b"# Replication\r\nrole:master\r\nconnected_slaves:0\r\n", 0.0),
        (UP + b"0\r\n", 0.0),
        (UP + b"9\r\n", 0.0),
        (UP + b"25\r\n", 25 - PING_S),
        (DOWN + b"17\r\n", 17.0),
        (DOWN + b"-1\r\n", None),
        (b"role:slave\r\nmaster_link_status:down\r\n", None),
    ],
)
def test_a_replica_says_how_far_behind_it_is(info: bytes, lag_s: float | None) -> None:
    """Down since it began means that nobody knows; up but silent for longer than pings take is behind."""
    assert link_lag_s(info) == lag_s


class Scene:
    """An edge that hears of its replica ten times a second; `lag` judges at the same moment."""

    def __init__(self) -> None:
        self.lag = Lag()
        self.now_s = 1000.0

    def hear(self, heartbeat_age_s: float | None, *, info: bytes = UP + b"0\r\n", skew_s: float = 0.0) -> float:
        """A turn in which everything was read; the heartbeat is that old by clocks that differ by `skew_s`."""
        self.now_s += 0.1
        wall_ms = WALL_MS + round(self.now_s * 1000)
        heartbeat = None if heartbeat_age_s is None else b"%d" % (wall_ms - round((heartbeat_age_s + skew_s) * 1000))
        self.lag.hear(info, heartbeat, self.now_s, wall_ms)
        self.lag.complete(self.now_s)
        return self.lag.lag_s(self.now_s)


def test_nobody_knows_before_the_replica_has_been_heard() -> None:
    """Or while a replica has never been in touch with its primary."""
    scene = Scene()

    before = scene.lag.lag_s(0.0)
    never = scene.hear(None, info=DOWN + b"-1\r\n")

    assert (before, never) == (math.inf, math.inf)
    assert scene.hear(None) == 0.0


def test_without_a_heartbeat_the_link_alone_counts() -> None:
    """No scheduler is needed to serve."""
    scene = Scene()

    assert [scene.hear(None) for _ in range(50)] == [0.0] * 50
    assert scene.hear(None, info=DOWN + b"17\r\n") == 17.0


def test_a_heartbeat_that_stands_still_says_nothing() -> None:
    """The scheduler may be dead while the replica is well."""
    scene = Scene()
    scene.hear(0.0)
    lags = [scene.hear(age_s) for age_s in (0.1 * i for i in range(1, 600))]

    assert max(lags) == 0.0


@pytest.mark.parametrize("skew_s", [0.0, -3600.0, 86_400.0])
def test_a_heartbeat_that_comes_late_shows_a_backlog(skew_s: float) -> None:
    """The link is up and busy, but what comes through it is old; whose clock is right does not matter."""
    scene = Scene()
    well = [scene.hear(0.05, skew_s=skew_s) for _ in range(10)]

    behind = [scene.hear(30.0 - 0.5 * i, skew_s=skew_s) for i in range(20)]

    assert max(well) == 0.0
    assert behind[0] == pytest.approx(30.0 - TURN_S, abs=0.2)
    assert behind[-1] == pytest.approx(20.5 - TURN_S, abs=0.2)
    assert scene.hear(0.05, skew_s=skew_s) == 0.0


def test_a_backlog_is_over_when_the_heartbeat_falls_silent() -> None:
    """What it said last would otherwise count for ever."""
    scene = Scene()
    scene.hear(0.0)
    behind = scene.hear(30.0)
    beat = b"%d" % (scene.lag.heartbeat_ms or 0)

    scene.lag.hear(UP + b"0\r\n", beat, scene.now_s + HEARTBEAT_GONE_S + 0.1, WALL_MS)
    scene.lag.complete(scene.now_s + HEARTBEAT_GONE_S + 0.1)

    assert behind > 29
    assert scene.lag.lag_s(scene.now_s + HEARTBEAT_GONE_S + 0.1) == 0.0


def test_a_clock_that_was_set_is_forgiven_in_time() -> None:
    """Another host writes the heartbeat from now on, five seconds behind the one before."""
    scene = Scene()
    scene.hear(0.0)
    lags = [scene.hear(5.0) for _ in range(6000)]

    assert lags[0] == pytest.approx(5.0 - TURN_S, abs=0.1)
    assert lags[-1] == 0.0


def test_what_has_not_been_read_for_long_counts() -> None:
    """The replica does not answer, or writes faster than we read; both come on top of what it said."""
    scene = Scene()
    scene.hear(None, info=DOWN + b"3\r\n")

    lags = [scene.lag.lag_s(scene.now_s + silent_s) for silent_s in (0.0, TURN_S, 7.5)]

    assert lags == pytest.approx([3.0, 3.0, 3.0 + 7.5 - TURN_S])


@pytest.mark.parametrize("heartbeat", [None, b"soon", []])
def test_a_heartbeat_that_is_no_number_is_none(heartbeat: object) -> None:
    """Or one that is not there."""
    lag = Lag()
    lag.hear(UP + b"0\r\n", b"42", 1.0, WALL_MS)

    lag.hear(UP + b"0\r\n", heartbeat, 1.1, WALL_MS)

    assert lag.heartbeat_ms is None
