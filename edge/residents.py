"""Which models stay loaded when there is not room for all: those worth most a byte. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resident(Generic[T]):
    """Something that is loaded.

    Attributes:
        uses: how often it was needed of late.
        load_s: how long whoever needs it next would wait, were it not there.
        pinned: whether it is needed right now.
    """

    what: T
    bytes: int
    uses: float
    load_s: float
    pinned: bool = False

    @property
    def value(self) -> float:
        """Seconds of waiting that a byte saves."""
        return self.uses * self.load_s / max(1, self.bytes)


def to_let_go(residents: Iterable[Resident[T]], excess_bytes: int, spare_bytes: int = 0) -> list[T] | None:
    """What to let go of to have so many bytes less, the least valuable first; None if that cannot be done.

    Beyond that, what fits into `spare_bytes`: then the next one that needs room finds some.
    """
    chosen: list[T] = []
    for resident in sorted((r for r in residents if not r.pinned), key=lambda r: r.value):
        if excess_bytes <= 0 and excess_bytes - resident.bytes < -spare_bytes:
            break
        chosen.append(resident.what)
        excess_bytes -= resident.bytes
    return chosen if excess_bytes <= 0 else None


@dataclass(frozen=True, slots=True)
class Newcomer(Generic[T]):
    """Something that may be loaded before anybody asks.

    Attributes:
        rate_per_s: how often its model is asked for.
        is_default: whether whoever names no variant needs it.
    """

    what: T
    bytes: int
    rate_per_s: float
    is_default: bool


def to_warm(newcomers: Iterable[Newcomer[T]], room_bytes: int) -> list[T]:
    """What to load where there is room for so much: all defaults before other variants, what is asked for most first.

    It may be that nobody ever names another variant. What does not fit is left out, and what is smaller may follow.
    """
    chosen = []
    for newcomer in sorted(newcomers, key=lambda n: (not n.is_default, -n.rate_per_s)):
        if newcomer.bytes <= room_bytes:
            room_bytes -= newcomer.bytes
            chosen.append(newcomer.what)
    return chosen
