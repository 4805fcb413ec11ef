"""Keys that wait to be refreshed."""

from __future__ import annotations

from workers.pending import HotKey, PendingRefreshes

A, B, C = (HotKey("late", name, worth) for name, worth in [("a", 1.0), ("b", 3.0), ("c", 2.0)])
OTHER = HotKey("other", "a", 0.5)


def take(pending: PendingRefreshes, room: int, now_s: float) -> dict[str, list[str]]:
    """What a refresher does with what is due."""
    chosen = pending.chosen(room)
    for model, texts in chosen.items():
        pending.queued(model, texts)
    pending.put_off(now_s)
    return chosen


def test_a_burst_costs_one_refresh() -> None:
    """However often something behind a key changes within the window."""
    pending = PendingRefreshes(0.05)
    pending.add([A, B], 1, 0.0)
    pending.add([A], 2, 0.02)

    assert pending.due_in_s(0.03) == 0.05 - 0.03
    assert pending.due_in_s(0.06) == 0
    assert take(pending, 10, 0.06) == {"late": ["a", "b"]}
    assert pending.merged == 1


def test_a_stream_of_changes_does_not_put_off_the_first() -> None:
    """The window begins with the first change, so waiting is bounded."""
    pending = PendingRefreshes(0.05)
    for i in range(10):
        pending.add([A], i, i * 0.01)

    assert pending.due_in_s(0.05) == 0


def test_under_pressure_the_worthiest_go_first() -> None:
    """The rest waits for another window."""
    pending = PendingRefreshes(0.05)
    pending.add([A, B, C, OTHER], 1, 0.0)

    assert take(pending, 2, 0.05) == {"late": ["b", "c"]}
    assert pending.due_in_s(0.05) == 0.05
    assert take(pending, 2, 0.1) == {"late": ["a"], "other": ["a"]}


def test_without_room_everything_waits() -> None:
    """Nothing is dropped, and nothing is asked for at once again."""
    pending = PendingRefreshes(0.05)
    pending.add([A], 1, 0.0)

    assert take(pending, 0, 0.05) == {}
    assert len(pending) == 1
    assert pending.due_in_s(0.05) == 0.05


def test_nothing_waiting_is_never_due() -> None:
    """Neither at first nor after everything was taken."""
    pending = PendingRefreshes(0.05)
    before = pending.due_in_s(0.0)
    pending.add([A], 1, 0.0)
    take(pending, 1, 0.05)

    assert before is None
    assert pending.due_in_s(1.0) is None


def test_what_was_chosen_waits_until_it_is_queued() -> None:
    """A queue that fails in between has lost nothing."""
    pending = PendingRefreshes(0.05)
    pending.add([A, B], 1, 0.0)

    pending.chosen(2)
    pending.queued("late", ["b"])

    assert pending.chosen(2) == {"late": ["a"]}
    assert pending.due_in_s(0.05) == 0


def test_a_key_waits_for_the_first_change_behind_it() -> None:
    """Until it is queued, neither that change nor a later one is done with."""
    pending = PendingRefreshes(0.05)
    pending.add([A], 3, 0.0)
    pending.add([A, B], 4, 0.0)
    oldest = [pending.oldest()]
    for key in (A, B):
        pending.queued(key.model, [key.text])
        oldest.append(pending.oldest())

    assert oldest == [3, 4, None]


def test_room_is_counted_in_rows() -> None:
    """A key that is kept warm for three versions takes three; what does not fit waits."""
    pending = PendingRefreshes(0.05)
    wide = [HotKey("wide", str(n), 10.0 - n, rows=3) for n in range(3)]
    pending.add([*wide, A], 1, 0.0)

    assert take(pending, 7, 0.05) == {"wide": ["0", "1"]}
    assert take(pending, 3, 0.1) == {"wide": ["2"]}
    assert take(pending, 4, 0.15) == {"late": ["a"]}
