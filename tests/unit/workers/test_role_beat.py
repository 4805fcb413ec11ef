"""How a process that computes ahead of time says how it gets on."""

from __future__ import annotations

from workers.role_beat import Beat, Pulse


class Scene:
    """A process, at a time that stands still."""

    def __init__(self) -> None:
        self.now_ms, self.pulse = 1_000, Pulse()
        self.beat = Beat(lambda: self.pulse, lambda: self.now_ms)


def test_a_rate_is_that_of_the_last_beats() -> None:
    """Not that of its whole life; and the first beat has none."""
    scene, rates = Scene(), []
    for rows in (0, 200, 400, 400, 400, 400, 400, 400):
        scene.pulse = Pulse(rows=rows)
        rates.append(scene.beat.note().rows_per_s)
        scene.now_ms += 2_000

    assert rates == [0.0, 100.0, 100.0, 200 / 3, 50.0, 40.0, 20.0, 0.0]


def test_leading_has_a_beginning() -> None:
    """A new one, for each time that it leads."""
    scene, since = Scene(), []
    for leads in (False, True, True, False, True):
        scene.pulse = Pulse(leads=leads)
        since.append(scene.beat.note().leads_since_ms)
        scene.now_ms += 1_000

    assert since == [None, 2_000, 2_000, None, 5_000]


def test_one_that_has_not_begun_has_made_no_progress() -> None:
    """Which is no moment in 1970."""
    assert Scene().beat.note().progress_ms is None
