"""Which versions are kept ready beside those that answer."""

from __future__ import annotations

from edge.pointers import Pointers, standby
from precompute.registry import Version


def published(version: int, variant: str = "default") -> Version:
    """A record of the registry."""
    return Version(version, variant, "", 0, 0)


def test_the_version_that_a_rollback_would_bring_back_is_ready() -> None:
    """The latest one of each variant that does not serve now."""
    pointers = Pointers({"default": 5, "fast": 4}, [("default", 3), ("fast", 2), ("default", 1)], 5)

    assert standby(pointers, [published(5), published(4, "fast")]) == [3, 2]


def test_the_newest_publish_is_ready_before_it_serves() -> None:
    """It may be about to be rolled out; after a rollback it is the one rolled back from."""
    pointers = Pointers({"default": 5}, [("default", 3)], 7)

    assert standby(pointers, [published(7), published(6), published(5)]) == [3, 7]


def test_a_variant_that_served_nothing_before_has_nothing_to_go_back_to() -> None:
    """A past pointer of 0 stands for none."""
    pointers = Pointers({"default": 1}, [("default", 0)], 1)

    assert standby(pointers, [published(1)]) == []


def test_at_most_two_of_a_variant_are_kept() -> None:
    """However many were published and served."""
    pointers = Pointers({"default": 50}, [("default", n) for n in range(49, 40, -1)], 58)

    assert standby(pointers, [published(n) for n in pointers.latest()]) == [49, 58]


def test_replies_are_read_as_redis_gives_them() -> None:
    """An unpublished model has no replies worth the name."""
    full = Pointers.parse([b"default", b"2"], [b'["default",1]'], b"3")

    assert full == Pointers({"default": 2}, [("default", 1)], 3)
    assert Pointers.parse([], [], None) == Pointers({}, [], 0)
    assert full.latest() == [3, 2, 1]
