from __future__ import annotations

from deploy.local.restart_policy import GiveUp, Restart, RestartPolicy, RestartSettings

PATIENT = RestartSettings(give_up_deaths=100)


def die_at_once(policy: RestartPolicy, now_s: float) -> Restart | GiveUp:
    """A death right after the start."""
    return policy.died(started_s=now_s, now_s=now_s)


def test_the_delay_doubles_up_to_its_limit() -> None:
    """Each death in a row doubles the delay, and no delay is longer than the maximum."""
    policy = RestartPolicy(PATIENT)

    verdicts = [die_at_once(policy, now_s) for now_s in range(9)]

    assert verdicts == [Restart(s) for s in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0)]


def test_a_healthy_minute_wipes_the_slate_clean() -> None:
    """A child that ran for a minute starts again after the shortest delay, however often it died before."""
    policy = RestartPolicy(PATIENT)
    for now_s in range(4):
        die_at_once(policy, now_s)

    verdict = policy.died(started_s=10.0, now_s=70.0)

    assert verdict == Restart(0.5)


def test_a_run_just_short_of_a_minute_does_not_count_as_healthy() -> None:
    """Only a whole healthy run resets the delay."""
    policy = RestartPolicy(PATIENT)
    die_at_once(policy, 0.0)

    verdict = policy.died(started_s=10.0, now_s=69.9)

    assert verdict == Restart(1.0)


def test_five_deaths_within_half_a_minute_are_enough() -> None:
    """The fifth death within thirty seconds ends the attempts, and the reason says so."""
    policy = RestartPolicy(RestartSettings())

    verdicts = [die_at_once(policy, now_s) for now_s in (0.0, 5.0, 10.0, 20.0, 30.0)]

    assert all(isinstance(verdict, Restart) for verdict in verdicts[:4])
    assert verdicts[4] == GiveUp("died 5 times within 30 s")


def test_deaths_spread_over_more_than_half_a_minute_are_survived() -> None:
    """A child that dies every ten seconds is restarted for ever, at the longest delay in the end."""
    policy = RestartPolicy(RestartSettings())

    verdicts = [die_at_once(policy, now_s) for now_s in range(0, 1000, 10)]

    assert verdicts[-1] == Restart(30.0)


def test_deaths_before_a_healthy_run_do_not_count_towards_giving_up() -> None:
    """Only deaths in a row, without a healthy run between them, make a child hopeless."""
    policy = RestartPolicy(RestartSettings(healthy_s=1.0))
    for now_s in (0.0, 0.1, 0.2, 0.3):
        die_at_once(policy, now_s)

    verdict = policy.died(started_s=0.4, now_s=1.5)

    assert verdict == Restart(0.5)
