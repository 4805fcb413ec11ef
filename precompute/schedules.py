"""Jobs that a project declares: what to compute, when, and what to do when that does not go as planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from precompute.cron import MINUTES_A_DAY, Cron

Priority: TypeAlias = Literal["high", "normal", "low"]
Overlap: TypeAlias = Literal["skip", "queue", "replace"]
Missed: TypeAlias = Literal["skip", "run-once"]


@dataclass(frozen=True, slots=True)
class ByCron:
    """At the times of a cron expression."""

    cron: Cron

    def __str__(self) -> str:
        return f"cron {self.cron.text}"


@dataclass(frozen=True, slots=True)
class Every:
    """At all multiples of an interval since 1970, so that every scheduler means the same times."""

    every_ms: int

    def __str__(self) -> str:
        return f"every {self.every_ms / 1000:g} s"


@dataclass(frozen=True, slots=True)
class OnPublish:
    """When a version of the job's model and variants is published; that version is computed."""

    def __str__(self) -> str:
        return "on publish"


@dataclass(frozen=True, slots=True)
class OnViewUpdate:
    """When rows of a view have changed, but not sooner than so long after the run before."""

    view: str
    min_interval_ms: int

    def __str__(self) -> str:
        return f"on update of {self.view}, at most every {self.min_interval_ms / 1000:g} s"


When: TypeAlias = ByCron | Every | OnPublish | OnViewUpdate


@dataclass(frozen=True, slots=True)
class Window:
    """The hours of the day at which runs may start, in minutes since midnight; may span midnight."""

    opens: int
    closes: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Reads `22:00-06:00`.

        Raises:
            ValueError: it is written otherwise, or is empty.
        """
        opens, _, closes = text.partition("-")
        window = cls(_minute(opens, text), _minute(closes, text))
        if window.opens == window.closes:
            raise ValueError(f"window {text!r} ends where it begins; leave it out for the whole day")
        return window

    def holds(self, minute: int) -> bool:
        """Whether it is open in that minute of the day."""
        if self.opens < self.closes:
            return self.opens <= minute < self.closes
        return minute >= self.opens or minute < self.closes

    def __str__(self) -> str:
        return "-".join(f"{m // 60:02d}:{m % 60:02d}" for m in (self.opens, self.closes))


def _minute(text: str, whole: str) -> int:
    hours, colon, minutes = text.strip().partition(":")
    if colon and hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2:
        found = 60 * int(hours) + int(minutes)
        if int(minutes) < 60 and found <= MINUTES_A_DAY:
            return found % MINUTES_A_DAY
    raise ValueError(f"window {whole!r} must be written as HH:MM-HH:MM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A declared job.

    Attributes:
        keys: where its keys come from: one of `all`, `hot`, `keys` (a file) and `dependents`, with its value.
        jitter_ms: each run starts later than its time by less than this, always by the same amount for the same time.
        time_limit_ms: a run that takes longer is ended; None for never.
        overlap: what happens to a run that is due while the one before is at work.
        missed: what happens to runs that were due while no scheduler led.
    """

    name: str
    model: str
    variants: tuple[str, ...]
    keys: Mapping[str, object]
    when: When
    window: Window | None = None
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    jitter_ms: int = 0
    priority: Priority = "normal"
    time_limit_ms: int | None = None
    overlap: Overlap = "skip"
    missed: Missed = "run-once"

    @property
    def timed(self) -> bool:
        """Whether it runs by the clock, rather than on events."""
        return isinstance(self.when, ByCron | Every)
