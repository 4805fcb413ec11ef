"""What is remembered of packets."""

from __future__ import annotations

from edge import packets
from edge.packets import Packets

PACKET, TARGET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"/a"


def test_a_packet_is_known_from_its_second_coming_on() -> None:
    """Once is no sign that it will come again."""
    known = Packets()

    known.learn(PACKET, TARGET)
    once = known.target(PACKET)
    known.learn(bytes(bytearray(PACKET)), TARGET)

    assert once is None
    assert known.target(PACKET) == TARGET
    assert known.target(PACKET[:-1]) is None


def test_long_packets_are_not_kept() -> None:
    """They would take more room than they save time."""
    known = Packets()
    long = PACKET[:-2] + b"Cookie: " + b"x" * packets._LONGEST_BYTES + b"\r\n\r\n"

    known.learn(long, TARGET)
    known.learn(long, TARGET)

    assert known.target(long) is None


def test_what_is_kept_is_bounded() -> None:
    """Any number of different packets, however often each comes."""
    known = Packets()

    for i in range(3 * packets._SEEN):
        known.learn(b"%d" % i, TARGET)
    for _ in range(2):
        for i in range(packets._KEPT + 10):
            known.learn(b"%d" % i, TARGET)

    assert len(known._seen) <= packets._SEEN
    assert len(known._targets) == packets._KEPT
