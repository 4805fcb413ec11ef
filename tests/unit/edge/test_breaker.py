"""When a model is taken out, and when it is tried again."""

from __future__ import annotations

from edge.breaker import FAILURES, FIRST_S, LONGEST_S, TRIAL_S, Breaker


def opened(now_s: float = 0.0) -> Breaker:
    """One that has just been opened."""
    breaker = Breaker()
    breaker.open("it hung", now_s)
    return breaker


def test_different_keys_that_fail_open_it() -> None:
    """One after the other, without a success between."""
    breaker = Breaker()
    for n in range(FAILURES - 1):
        breaker.failed([f"k{n}"], "it failed", 0.0)
    assert breaker.enter(0.0)

    breaker.failed(["another"], "it failed", 0.0)

    assert not breaker.enter(0.0)
    assert (breaker.reason, breaker.opened) == ("it failed", 1)


def test_one_broken_key_takes_the_model_from_nobody() -> None:
    """However often it is asked for."""
    breaker = Breaker()
    for _ in range(1000):
        breaker.failed(["broken"], "it failed", 0.0)

    assert breaker.enter(0.0)


def test_a_success_between_starts_the_count_anew() -> None:
    """A model that fails for some rows works."""
    breaker = Breaker()
    for n in range(100):
        breaker.failed([f"k{n}"], "it failed", 0.0)
        if n % (FAILURES - 1) == FAILURES - 2:
            breaker.succeeded()

    assert breaker.enter(0.0)


def test_one_trial_passes_when_the_time_is_over() -> None:
    """Not everybody at once."""
    breaker = opened()

    assert not breaker.enter(FIRST_S - 0.01)
    assert breaker.enter(FIRST_S)
    assert not breaker.enter(FIRST_S)
    assert breaker.refuses_s(FIRST_S) == TRIAL_S


def test_a_trial_that_succeeds_closes_it() -> None:
    """And the next opening is a short one again."""
    breaker = opened()
    assert breaker.enter(FIRST_S)

    breaker.succeeded()

    assert breaker.enter(FIRST_S)
    assert breaker.reason == ""
    breaker.open("again", 100.0)
    assert breaker.refuses_s(100.0) == FIRST_S


def test_each_trial_that_fails_makes_the_next_wait_twice_as_long() -> None:
    """Up to a limit."""
    breaker, now_s, waits = opened(), 0.0, []
    for _ in range(12):
        waits.append(breaker.refuses_s(now_s))
        now_s += waits[-1]
        assert breaker.enter(now_s)
        breaker.failed(["k"], "still", now_s)

    assert waits[:4] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S, 8 * FIRST_S]
    assert max(waits) == LONGEST_S


def test_since_when_it_is_open_is_since_it_was_closed_last() -> None:
    """Trials that fail change nothing about that; having been closed does."""
    breaker = Breaker()
    breaker.open("first", 10.0)
    breaker.open("again", 30.0)
    before = breaker.since_s

    breaker.succeeded()
    breaker.open("later", 90.0)

    assert (before, breaker.since_s) == (10.0, 90.0)


def test_a_trial_without_an_outcome_is_given_up() -> None:
    """Its request may have been cancelled."""
    breaker = opened()
    assert breaker.enter(FIRST_S)

    assert breaker.enter(FIRST_S + TRIAL_S)
