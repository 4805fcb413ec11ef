"""What workers have refreshed, by steps."""

from __future__ import annotations

from precompute.durations import Durations
from precompute.series import NO_WORK, Grid, Work
from precompute.telemetry import FINE
from precompute.updates import Command
from precompute.work_log import add_commands, read_commands, steps

HOUR_MS = 3_600_000


def stored(commands: list[Command]) -> list[bytes]:
    """As Redis would have it in one hash."""
    counts: dict[str, int] = {}
    for command in commands:
        if command[0] == "HINCRBY":
            counts[str(command[2])] = counts.get(str(command[2]), 0) + int(command[3])
    return [piece for name, count in counts.items() for piece in (name.encode(), str(count).encode())]


def test_work_is_told_in_the_step_in_which_it_was_done() -> None:
    """Of all workers together; rows that no change was behind have no time since one."""
    grid = Grid(FINE, HOUR_MS, 10_000, 3)
    commands = [
        *add_commands(HOUR_MS + 1, 3, Durations({50: 2})),
        *add_commands(HOUR_MS + 9_999, 4, Durations({50: 1, 60: 1})),
        *add_commands(HOUR_MS + 20_000, 5, Durations()),
    ]

    found = steps(grid, [stored(commands)])

    assert found == [Work(7, Durations({50: 3, 60: 1})), NO_WORK, Work(5)]


def test_what_lies_outside_of_the_range_is_left_out() -> None:
    """Hours are read as a whole."""
    grid = Grid(FINE, HOUR_MS + 60_000, 5_000, 1)

    found = steps(grid, [stored(add_commands(HOUR_MS, 3, Durations()))])

    assert found == [NO_WORK]


def test_each_hour_of_a_range_is_asked_for_once() -> None:
    """Those that it begins and ends in included."""
    grid = Grid(FINE, 2 * HOUR_MS - 5_000, 5_000, 3)

    assert read_commands(grid) == [("HGETALL", f"stats:work:{n * HOUR_MS}") for n in (1, 2)]


def test_nothing_done_is_nothing_written() -> None:
    """Not even an expiry."""
    assert add_commands(HOUR_MS, 0, Durations()) == []
    assert add_commands(HOUR_MS, 1, Durations())[-1] == ("EXPIRE", f"stats:work:{HOUR_MS}", 90_000)
