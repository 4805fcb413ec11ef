"""What the lane asks for answers from memory, and what it may remember."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

M = TypeVar("M")


class Door(Protocol[M]):
    """Answers GETs at once or not at all. Times are by `time.perf_counter`."""

    def answer(self, target: bytes, arrived_s: float) -> bytes | None:
        """The whole response to a GET of this target that has just arrived, or None if memory has no answer."""

    def meaning(self, target: bytes) -> M | None:
        """What it makes of a target, for whoever will see the same again; None if it is not worth that."""

    def again(self, meaning: M, arrived_s: float) -> bytes | None:
        """As `answer`, to a target that had this meaning."""


class TargetDoor:
    """A door made from a function of targets; a target means nothing but itself."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self._answer = answer

    def answer(self, target: bytes, arrived_s: float) -> bytes | None:
        """What the function says."""
        return self._answer(target)

    def meaning(self, target: bytes) -> bytes:
        """The target."""
        return target

    again = answer


#: Nobody is answered here.
NO_DOOR = TargetDoor(lambda target: None)
