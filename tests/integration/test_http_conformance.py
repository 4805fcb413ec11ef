"""The lane and the plain path speak the same HTTP: every conversation is held with an edge of each kind."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import pytest

from deploy.local.redis_pair import RedisPair
from tests.edge_process import Edge, address, edge_process, tier
from tests.edge_project import EdgeProject
from tests.http_wire import Response, Wire, get, request, wire
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

PREFIX = "/v1/predict/late/"
#: In the memory of both edges, with the same body.
HELD = tuple(f"F{n}:EWR?hour=12" for n in range(100))
HIT = PREFIX + HELD[0]


@dataclass(frozen=True, slots=True)
class Edges:
    """One edge with the lane and one without, on the same replica."""

    project: EdgeProject
    by_kind: dict[str, Edge]

    def address(self, kind: str) -> str:
        """Where one of them listens."""
        return address(self.by_kind[kind].role)

    def etag(self) -> str:
        """The tag of `HIT`."""
        return self.by_kind["plain"].get(HIT).headers["etag"]


@pytest.fixture(scope="module")
def edges(redis_pair: RedisPair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edges]:
    """The pair is everybody's, so this file empties it first."""
    directory = tmp_path_factory.mktemp("conformance")
    EdgeProject.publish(directory, redis_pair).store.call("FLUSHALL")
    project = EdgeProject.publish(directory, redis_pair, keep_alive_s=60.0)
    project.put_weather({"EWR": 3.0})
    project.put_flights([f"F{n}" for n in range(1000)], [float(n) for n in range(1000)])
    with ExitStack() as stack:
        kinds = {"lane": True, "plain": False}
        by_kind = {
            kind: stack.enter_context(edge_process(project.settings.model_copy(update={"lane": lane})))
            for kind, lane in kinds.items()
        }
        for key in HELD:
            first = by_kind["lane"].get(PREFIX + key)
            assert first.status_code == 200, first.text
        project.replicate()
        for key in HELD:
            wait_until(lambda key=key: _same(by_kind, key), message=f"both edges hold {key}")
        yield Edges(project, by_kind)
    project.store.close()


def _same(by_kind: dict[str, Edge], key: str) -> bool:
    """Whether both edges hold one key with one body; an edge that computed its own is told to look again."""
    lane, plain = by_kind["lane"].get(PREFIX + key), by_kind["plain"].get(PREFIX + key)
    if tier(lane) == tier(plain) == "memory" and lane.content != plain.content:
        by_kind["plain"].get(PREFIX + key, cache_control="no-cache")
    return tier(lane) == tier(plain) == "memory" and lane.content == plain.content


@pytest.fixture(params=["lane", "plain"])
def connection(request: pytest.FixtureRequest, edges: Edges) -> Iterator[Wire]:
    """A connection to an edge of each kind."""
    with wire(edges.address(request.param)) as connected:
        yield connected


def both(edges: Edges, sent: bytes, heads: str) -> dict[str, list[Response]]:
    """What each edge answers; `heads` has a letter for each response: b with a body, h without."""
    found = {}
    for kind in edges.by_kind:
        with wire(edges.address(kind)) as connected:
            connected.send(sent)
            found[kind] = [connected.response(body=letter == "b") for letter in heads]
    return found


SMALL = get(HIT)
CHUNKED = ("Transfer-Encoding: chunked",)
CHUNKS = b"3\r\nabc\r\n0\r\nTrailer: late\r\n\r\n"
#: What is sent, the statuses of the answers, and which are without a body.
CONVERSATIONS: dict[str, tuple[bytes, list[int]]] = {
    "a hit": (SMALL, [200]),
    "a hit by a client that asks to keep the connection": (get(HIT, "Connection: Keep-Alive") * 2, [200, 200]),
    "a hit with the headers of a browser": (
        get(HIT, "User-Agent: Mozilla/5.0", "Accept: */*", "Accept-Encoding: gzip, br", "Cookie: a=b; c=d"),
        [200],
    ),
    "a hit without a Host": (b"GET %s HTTP/1.1\r\n\r\n" % HIT.encode(), [200]),
    "empty lines between requests": (b"\r\n\r\n" + SMALL + b"\r\n" + SMALL, [200, 200]),
    "hits, and one more that wants the connection closed": (SMALL * 3 + get(HIT, "Connection: close"), [200] * 4),
    "HTTP/1.0": (get(HIT, version="1.0"), [200]),
    "HTTP/1.0 with keep-alive": (get(HIT, "Connection: keep-alive", version="1.0"), [200]),
    "a tag that it has": (get(HIT, "If-None-Match: ETAG"), [304]),
    "a weak tag in a list": (get(HIT, 'If-None-Match: "x", W/ETAG') + SMALL, [304, 200]),
    "any tag": (get(HIT, "If-None-Match: *") + SMALL, [304, 200]),
    "a tag that it has not": (get(HIT, 'If-None-Match: "x"'), [200]),
    "a date that it has": (get(HIT, "If-Modified-Since: Mon, 01 Jan 2035 00:00:00 GMT"), [200]),
    "a range": (get(HIT, "Range: bytes=0-3"), [200]),
    "a declared body": (get(HIT, "Content-Length: 3") + b"abc" + SMALL, [200, 200]),
    "a declared body of nothing": (get(HIT, "Content-Length: 0") + SMALL, [200, 200]),
    "a chunked body with trailers": (get(HIT, *CHUNKED) + CHUNKS + SMALL, [200, 200]),
    "a body that looks like a request": (get(HIT, f"Content-Length: {len(SMALL)}") + SMALL + SMALL, [200, 200]),
    "two lengths": (get(HIT, "Content-Length: 3", "Content-Length: 4") + b"abcd", [400]),
    "a length and chunks": (get(HIT, "Content-Length: 3", *CHUNKED) + CHUNKS, [400]),
    "a length that is no number": (get(HIT, "Content-Length: -1"), [400]),
    "hits and then no HTTP": (SMALL * 3 + b"\x16\x03\x01\x02\r\n\r\n", [200, 200, 200, 400]),
    "a header without a colon": (b"GET / HTTP/1.1\r\nHost\r\n\r\n", [400]),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", [400]),
    "a null byte in a header": (b"GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", [400]),
    "a folded header": (b"GET %s HTTP/1.1\r\nA: b\r\n c\r\n\r\n" % HIT.encode(), [400]),
    "a bare newline": (b"GET %s HTTP/1.1\nHost: x\n\n" % HIT.encode(), [400]),
    "a space in the target": (b"GET /v1/ predict HTTP/1.1\r\n\r\n", [400]),
    "a control byte in the target": (b"GET /v1/\x01 HTTP/1.1\r\n\r\n", [400]),
    "another version": (get(HIT, version="3.0"), [400]),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
    "a method in lower case": (request("get", HIT), [400]),
    "a method that is not allowed": (request("DELETE", HIT) + SMALL, [405, 200]),
    "options": (request("OPTIONS", "*"), [404]),
    "too many headers": (get(HIT, *(f"X-{n}: {'y' * 100}" for n in range(200))) + SMALL, [431, 200]),
    "a header that is too long": (get(HIT, f"X: {'y' * 20_000}") + SMALL, [431, 200]),
    "a target that is too long": (get(HIT + "y" * 5000) + SMALL, [414, 200]),
    "a key in another spelling": (get(HIT.replace("F", "%46")), [200]),
    "context in another spelling": (get(HIT.replace("12", "012")), [200]),
    "context left out": (get(HIT.partition("?")[0]), [200]),
    "context given twice": (get(HIT + "&hour=12"), [400]),
    "context spelled as keys are": (get(HIT.replace("12", "~31~32")), [400]),
    "a fragment": (get(HIT + "#part"), [200]),
    "a percent sign that encodes nothing": (get(PREFIX + "%zz:EWR"), [400]),
    "bytes that are not UTF-8": (b"GET %s\xff:EWR HTTP/1.1\r\n\r\n" % PREFIX.encode(), [400]),
    "an absolute target": (get("http://edge.test" + HIT), [200]),
    "an unknown model": (get("/v1/predict/none/F1:EWR") + SMALL, [404, 200]),
    "a model without a version": (get("/v1/predict/unborn/EWR") + SMALL, [503, 200]),
    "a key of another shape": (get(PREFIX + "F1") + SMALL, [404, 200]),
    "an empty key": (get(PREFIX) + SMALL, [400, 200]),
    "a path that is not there": (get("/v1/nothing") + SMALL, [404, 200]),
    "an offer of HTTP/2": (get(HIT, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: A"), [200]),
    "a hundred requests in one write": (b"".join(get(PREFIX + key) for key in HELD), [200] * 100),
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_same_is_answered(edges: Edges, name: str) -> None:
    """Status, headers and body do not tell which of the two has answered."""
    sent, statuses = CONVERSATIONS[name]
    sent = sent.replace(b"ETAG", edges.etag().encode())

    found = both(edges, sent, "b" * len(statuses))

    assert [response.status for response in found["plain"]] == statuses
    assert [r.steady() for r in found["lane"]] == [r.steady() for r in found["plain"]]


def test_head_is_a_hit_without_its_body(edges: Edges) -> None:
    """The headers of a GET, and the next response follows at once."""
    found = both(edges, request("HEAD", HIT) + SMALL, "hb")

    assert [r.steady() for r in found["lane"]] == [r.steady() for r in found["plain"]]
    head, hit = found["lane"]
    assert head.steady()[1] == hit.steady()[1]


def test_answers_are_json_and_say_what_they_are(connection: Wire) -> None:
    """Tier, age, tag and dependencies stand in the headers."""
    connection.send(SMALL)

    hit = connection.response()

    assert re.fullmatch(r"nearcast-memory; hit; ttl=\d+", hit.headers["cache-status"])
    assert re.fullmatch(r"memory;dur=\d+\.\d{3}", hit.headers["server-timing"])
    assert hit.headers["surrogate-key"] == "model:late flight:F0 weather:EWR"
    assert int(hit.headers["age"]) < 300
    assert b'"key":"%s"' % HELD[0].encode() in hit.body


def test_a_request_may_come_byte_by_byte(connection: Wire) -> None:
    """Packets end anywhere."""
    connection.send_bytewise(SMALL + get(HIT, "Connection: keep-alive") + SMALL)

    responses = [connection.response() for _ in range(3)]

    assert [r.steady() for r in responses] == [responses[0].steady()] * 3


@pytest.mark.parametrize("size", [2, 7, 61, 113])
def test_packets_may_end_anywhere(connection: Wire, size: int) -> None:
    """However requests are cut, each is answered once, in order."""
    sent = b"".join(get(PREFIX + key) for key in HELD[:20])
    for at in range(0, len(sent), size):
        connection.send(sent[at : at + size])

    assert _keys(connection, 20) == list(HELD[:20])


def test_answers_keep_the_order_of_the_requests(connection: Wire, request: pytest.FixtureRequest) -> None:
    """Hits before and behind requests that take longer, and those behind hits."""
    fresh = iter(range(200, 300) if "lane" in request.node.name else range(300, 400))
    asked = []
    for n in range(10):
        asked += [HELD[n], f"F{next(fresh)}:EWR?hour=12", HELD[n + 10], HELD[n + 20], f"F{next(fresh)}:EWR?hour=12"]

    connection.send(b"".join(get(PREFIX + key) for key in asked))

    assert _keys(connection, len(asked)) == asked


def test_a_hit_waits_for_the_body_of_the_request_before(connection: Wire) -> None:
    """The body comes late, and its answer comes first."""
    body = b'{"keys": ["%s"]}' % HELD[1].encode()
    post = request("POST", "/v1/predict/late", [f"Content-Length: {len(body)}"], body)

    connection.send(post[:-5])
    connection.send(post[-5:] + SMALL)

    many, hit = connection.response(), connection.response()
    assert many.body.startswith(b'{"model":"late","predictions":[')
    assert b'"key":"%s"' % HELD[0].encode() in hit.body


def test_no_cache_computes_anew(connection: Wire) -> None:
    """Memory is passed by, and holds the new result afterwards."""
    key = PREFIX + "F900:EWR"
    connection.send(get(key) + get(key, "Cache-Control: no-cache") + get(key))

    _, anew, after = (connection.response() for _ in range(3))

    assert "fwd=request" in anew.headers["cache-status"]
    assert "nearcast-memory; hit" in after.headers["cache-status"]
    assert anew.body == after.body


@pytest.mark.parametrize("last", [get(HIT, "Connection: close"), get(HIT, version="1.0"), b"NO HTTP\r\n\r\n"])
def test_the_connection_ends_behind_the_last_answer(connection: Wire, last: bytes) -> None:
    """Where the client or the protocol says so, and only there; what comes behind is not answered."""
    connection.send(SMALL + last + SMALL)

    hit, closing = connection.response(), connection.response()

    assert "connection" not in hit.headers
    assert closing.headers["connection"] == "close"
    assert connection.is_at_end()


def test_a_client_that_does_not_read_gets_everything_later(connection: Wire) -> None:
    """The server stops reading rather than filling its memory, and goes on when the client reads."""
    connection.socket.settimeout(60.0)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(connection.send, SMALL * 20_000)
        sizes = {len(connection.response().body) for _ in range(20_000)}
        sending.result()

    assert len(sizes) == 1


def test_the_date_is_right(connection: Wire) -> None:
    """Whenever a second begins."""
    dates, began = set(), time.time()
    while len(dates) < 3:
        connection.send(SMALL)
        date = parsedate_to_datetime(connection.response().headers["date"]).timestamp()
        assert abs(date - time.time()) < 2.5
        assert time.time() < began + 10
        dates.add(date)


def test_hits_are_counted(edges: Edges) -> None:
    """By tier, with their durations, on both paths alike."""
    for edge in edges.by_kind.values():
        before = edge.metric("nearcast_request_duration_seconds_count", tier="memory", model="late")

        with wire(address(edge.role)) as connected:
            connected.send(SMALL * 50)
            _keys(connected, 50)

        assert edge.metric("nearcast_request_duration_seconds_count", tier="memory", model="late") == before + 50


def _keys(connection: Wire, count: int) -> list[str]:
    """The keys that the next answers are about."""
    answers = [connection.response() for _ in range(count)]
    assert {answer.status for answer in answers} == {200}
    return [re.findall(rb'"key":"([^"]+)"', answer.body)[0].decode() for answer in answers]
