"""Who leads, and when to ask again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from workers.leader import Leadership, Step

NEW = Leadership(ttl_s=10.0)


def test_a_new_contender_asks_at_once() -> None:
    """Nobody leads without having asked."""
    assert NEW.step(0.0) is Step.TAKE
    assert not NEW.leading(0.0)


def test_a_lease_that_was_free_is_led_and_renewed_in_time() -> None:
    """Renewal begins when a third of the tenure is over."""
    leader = NEW.taken(7, asked_s=100.0)

    assert leader.fence == 7
    assert leader.leading(100.0)
    assert leader.step(102.0) is Step.WAIT
    assert leader.step(103.4) is Step.RENEW


def test_a_tenure_counts_from_before_the_question() -> None:
    """The answer may have taken long; on our clock the tenure ends before it ends in the store."""
    leader = NEW.taken(1, asked_s=100.0)

    assert leader.leading(108.9)
    assert not leader.leading(109.1)
    assert leader.step(109.1) is Step.TAKE


def test_a_lease_that_another_holds_is_asked_for_again() -> None:
    """A follower asks several times within a tenure."""
    follower = NEW.taken(None, asked_s=100.0)

    assert not follower.leading(100.0)
    assert follower.step(101.0) is Step.WAIT
    assert follower.step(102.0) is Step.TAKE


def test_a_renewal_keeps_the_fence() -> None:
    """The number changes only with the leader."""
    leader = NEW.taken(7, 100.0).renewed(held=True, asked_s=104.0)

    assert leader.fence == 7
    assert leader.leading(112.9)


def test_a_renewal_that_comes_too_late_ends_the_lead() -> None:
    """Somebody else may lead by now."""
    follower = NEW.taken(7, 100.0).renewed(held=False, asked_s=104.0)

    assert follower.fence is None
    assert not follower.leading(104.0)


def test_losing_the_store_is_losing_the_lead() -> None:
    """Without the store nothing may be scheduled, and it is asked again soon."""
    follower = NEW.taken(7, 100.0).store_lost(now_s=104.0)

    assert not follower.leading(104.0)
    assert follower.step(106.0) is Step.TAKE


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0.01, 8.0)), max_size=40))
def test_two_contenders_never_lead_at_once(turns: list[tuple[int, float]]) -> None:
    """Over any order of asking, with a store whose lease runs its full time from the answer."""
    now, owner, ends, fence = 0.0, -1, 0.0, 0
    contenders = [NEW, NEW, NEW]
    for who, pause in turns:
        now += pause
        free = now >= ends
        match contenders[who].step(now):
            case Step.TAKE if free or owner == who:
                owner, ends, fence = who, now + NEW.ttl_s, fence + 1
                contenders[who] = contenders[who].taken(fence, now)
            case Step.TAKE:
                contenders[who] = contenders[who].taken(None, now)
            case Step.RENEW:
                held = not free and owner == who
                ends = now + NEW.ttl_s if held else ends
                contenders[who] = contenders[who].renewed(held, now)

        assert sum(c.leading(now) for c in contenders) <= 1
