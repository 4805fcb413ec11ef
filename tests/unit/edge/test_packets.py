"""What is remembered of packets."""

from __future__ import annotations

from edge import packets
from edge.packets import PARTS, Packets, fields_of

PACKET, TARGET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n", b"/a"


def learn(known: Packets[bytes], packet: bytes) -> None:
    """What a lane does with a plain GET."""
    if known.is_worth_keeping(packet):
        known.keep(packet, TARGET)


def recall(known: Packets[bytes], packet: bytes) -> bytes | None:
    """What a lane asks first."""
    return known.recalls[hash(packet) % PARTS](packet)


def test_a_packet_is_known_from_its_second_coming_on() -> None:
    """Once is no sign that it will come again."""
    known = Packets[bytes]()

    learn(known, PACKET)
    once = recall(known, PACKET)
    learn(known, bytes(bytearray(PACKET)))

    assert once is None
    assert recall(known, PACKET) == TARGET
    assert recall(known, PACKET[:-1]) is None


def test_long_packets_are_not_kept() -> None:
    """They would take more room than they save time."""
    known = Packets[bytes]()
    long = PACKET[:-2] + b"Cookie: " + b"x" * packets._LONGEST_BYTES + b"\r\n\r\n"

    learn(known, long)
    learn(known, long)

    assert recall(known, long) is None


def test_what_is_kept_is_bounded() -> None:
    """Any number of different packets, however often each comes."""
    known = Packets[bytes]()

    for i in range(4 * packets._SEEN * PARTS):
        learn(known, b"%d" % i)
    for i in range(2 * packets._KEPT * PARTS):
        learn(known, b"again %d" % i)
        learn(known, b"again %d" % i)

    assert max(len(marks) for marks in (*known._seen, *known._seen_before)) == packets._SEEN
    assert {len(part) for part in known._meanings} == {packets._KEPT}


def test_the_fields_of_a_packet_can_be_read_again() -> None:
    """For those few who want to know."""
    assert fields_of(PACKET[:-2] + b"X-Request-ID: 7\r\n\r\n") == [(b"host", b"x"), (b"x-request-id", b"7")]
