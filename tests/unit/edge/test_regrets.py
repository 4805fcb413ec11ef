"""What is learned from keys that come back."""

from __future__ import annotations

import pytest

from edge.regrets import Regrets

KEYS = 1000
#: Hardly any two names share a slot.
ROOM = 1_000_000


def come_back(regrets: Regrets, *, of_main: bool, times: int = 1000, after: int = 0) -> None:
    """Keys come back when so many others have been thrown out after them."""
    for i in range(times):
        regrets.add(f"back{i}", of_main=of_main)
        for j in range(after):
            regrets.add(f"other{i},{j}", of_main=of_main)
        regrets.take(f"back{i}", KEYS, KEYS)


def test_a_newcomer_is_known_while_it_is_remembered() -> None:
    """Of the small queue's, as many as the main queue holds keys; of the main queue's, a tenth of all keys."""
    regrets = Regrets(ROOM)
    for i in range(KEYS):
        regrets.add(f"s{i}", of_main=False)
        regrets.add(f"m{i}", of_main=True)

    known = [regrets.take(name, KEYS, 500) for name in ("s999", "s600", "s400", "m999", "m950", "m800", "new")]

    assert known == [True, True, False, True, True, False, False]


@pytest.mark.parametrize(("of_main", "share"), [(False, 0.9), (True, 0.01)])
def test_the_queue_that_threw_out_too_soon_gets_more_room(of_main: bool, share: float) -> None:
    """Up to nine tenths, or down to a hundredth for the small one."""
    regrets = Regrets(ROOM)

    come_back(regrets, of_main=of_main)

    assert regrets.small_share == share


@pytest.mark.parametrize("of_main", [False, True])
def test_a_key_that_no_queue_could_have_kept_changes_nothing(of_main: bool) -> None:
    """It was forgotten long ago."""
    regrets = Regrets(ROOM)

    come_back(regrets, of_main=of_main, times=20, after=2 * KEYS)

    assert regrets.small_share == 0.1


def test_a_key_that_comes_back_late_counts_little() -> None:
    """Where nothing else comes back it is a hint all the same."""
    late, soon = Regrets(ROOM), Regrets(ROOM)

    come_back(late, of_main=False, times=50, after=KEYS // 2)
    come_back(soon, of_main=False, times=50)

    assert 0.1 < late.small_share < 0.11
    assert soon.small_share > 0.2


def test_strangers_change_nothing() -> None:
    """Keys that come once say nothing about either queue."""
    regrets = Regrets(ROOM)

    for i in range(1000):
        regrets.add(f"k{i}", of_main=bool(i % 2))
        regrets.take(f"stranger{i}", KEYS, KEYS)

    assert regrets.small_share == 0.1
