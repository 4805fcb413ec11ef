"""Requests of one turn of the loop, read together and answered each on its own connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from unittest.mock import Mock

import orjson
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from edge import fetch, turn
from edge.api.predict import Predict
from edge.connections import drain
from edge.fetch import Fetch
from edge.hit import HitDoor
from edge.lane import LaneProtocol, lane_protocol
from edge.packets import PARTS
from edge.stats import Tier
from precompute.errors import StoreUnavailable
from precompute.hot_counter import HotCounter, Window
from precompute.keys import entry_key
from precompute.predictor import Predictor
from precompute.settings import Settings
from tests.unit.edge.rig import Rig
from tests.unit.edge.transport import FakeTransport


class FakeServing:
    """Serves the rig's model."""

    generation = 0

    def __init__(self, rig: Rig) -> None:
        self.project = rig.project
        self._predictor = rig.predictor

    def default_version(self, model: str) -> int | None:
        return 1 if model == "score" else None

    def predictor(self, model: str) -> Predictor:
        return self._predictor


def packet(key: str) -> bytes:
    """A plain GET, whole."""
    return b"GET /v1/predict/score/%b HTTP/1.1\r\nHost: x\r\n\r\n" % key.encode()


class Client:
    """One connection."""

    def __init__(self, door: Door) -> None:
        self.transport, self.state = FakeTransport(), ServerState()
        self.lane: LaneProtocol = door.protocol(door.config, self.state, {}, asyncio.get_running_loop())
        self.lane.logger = logging.Logger("silent", logging.CRITICAL)
        self.lane.connection_made(self.transport)

    def ask(self, key: str) -> None:
        """A plain GET."""
        self.lane.data_received(packet(key))

    @property
    def answers(self) -> list[tuple[bytes, str]]:
        """Status and tier of everything written so far."""
        responses = b"".join(self.transport.written).split(b"HTTP/1.1 ")[1:]
        timing = [r.partition(b"server-timing: ")[2].partition(b";")[0].decode() for r in responses]
        return [(response[:3], tier) for response, tier in zip(responses, timing, strict=True)]

    def has_answers(self, count: int) -> bool:
        """Whether so many have been written."""
        return len(self.answers) == count

    @property
    def total(self) -> float:
        """The model's output in the last answer."""
        found: float = orjson.loads(self.transport.written[-1].partition(b"\r\n\r\n")[2])["outputs"]["sum"]
        return found


async def others(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers what is left to it."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Door:
    """The short cut to a rig; what it leaves to others is answered with 204."""

    def __init__(self, *, policy: str = "", budget_ms: float = 5000.0, max_bytes: int = 1 << 20) -> None:
        self.rig = Rig(policy=policy, max_bytes=max_bytes)
        self.counter = HotCounter()
        rig, serving = self.rig, FakeServing(self.rig)
        hits = HitDoor(
            rig.ladder,
            serving,  # type: ignore[arg-type]
            rig.stats,
            {"score": self.counter}.__getitem__,
            lambda: rig.now_ms * 1_000_000,
        )
        predict = Predict(rig.ladder, serving, rig.stats, Mock(Settings), Mock(), Mock(), Mock())  # type: ignore[arg-type]
        self.fetch = Fetch(hits, rig.ladder, serving, rig.stats, predict, budget_ms)  # type: ignore[arg-type]
        self.protocol = lane_protocol(hits, others, self.fetch.begin)
        self.config = uvicorn.Config(
            others, http=self.protocol, ws="none", lifespan="off", log_config=None, access_log=False
        )
        self.config.load()


async def until(condition: Callable[[], bool]) -> None:
    """Lets the event loop turn until it is so."""
    async with asyncio.timeout(5.0):
        while not condition():  # noqa: ASYNC110  (whatever it depends on has no event)
            await asyncio.sleep(0.001)


async def test_requests_of_one_turn_are_one_read() -> None:
    """However many connections they came on; each gets its own answer."""
    door = Door()
    door.rig.store(13.0, key="a:p")
    door.rig.store(17.0, key="b:p")
    clients = [Client(door) for _ in range(4)]

    for client, key in zip(clients, ["a:p", "b:p", "b:p", "a:p"], strict=True):
        client.ask(key)
    await until(lambda: all(client.answers for client in clients))

    assert door.rig.replica.gets == 1
    assert [client.total for client in clients] == [13.0, 17.0, 17.0, 13.0]
    assert {tuple(client.answers) for client in clients} == {((b"200", "replica"),)}
    window = Window.parse(door.counter.drain() or b"")
    assert window is not None
    assert window.counts == {"a:p": 2, "b:p": 2}
    assert door.rig.stats.answers["score", "default", Tier.REPLICA].count == 4


def far_away(monkeypatch: pytest.MonkeyPatch) -> Door:
    """A door whose replica takes its time with the one entry that it has; nobody has the patience to wait for it."""
    monkeypatch.setattr(fetch, "PATIENCE_S", 0.0)
    door = Door()
    door.rig.store(13.0)
    door.rig.replica.gate.clear()
    return door


@pytest.mark.parametrize(("patience_s", "reads"), [(10.0, 1), (0.0, 4)])
async def test_who_follows_at_once_is_read_for_with_the_others(
    patience_s: float, reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read waits as long as each look at the connections brings somebody, but not for ever."""
    door = far_away(monkeypatch)
    monkeypatch.setattr(turn, "PATIENCE_S", patience_s)
    clients = [Client(door) for _ in range(4)]

    for client in clients:
        client.ask("a:p")
        await asyncio.sleep(0)
        if not patience_s:
            await asyncio.sleep(0)
    door.rig.replica.gate.set()
    await until(lambda: all(client.answers for client in clients))

    assert door.rig.replica.gets == reads
    assert {tuple(client.answers) for client in clients} == {((b"200", "replica"),)}


async def test_who_comes_during_a_read_is_read_for_with_the_others() -> None:
    """One reply brings those that wait for the next read together."""
    door = Door()
    door.rig.store(13.0, key="a:p")
    door.rig.store(17.0, key="b:p")
    door.rig.replica.gate.clear()
    clients = [Client(door) for _ in range(3)]
    clients[0].ask("a:p")
    await until(lambda: door.rig.replica.gets == 1)

    clients[1].ask("b:p")
    await until(lambda: door.fetch._turn is not None)
    clients[2].ask("a:p")
    during = door.rig.replica.gets
    door.rig.replica.gate.set()
    await until(lambda: all(client.answers for client in clients))

    assert (during, door.rig.replica.gets) == (1, 2)
    assert [client.total for client in clients] == [13.0, 17.0, 13.0]


async def test_a_read_that_takes_longer_holds_up_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is far away, and several reads are under way at once."""
    door = far_away(monkeypatch)
    clients = [Client(door) for _ in range(20)]

    for client in clients:
        client.ask("a:p")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    during = door.rig.replica.gets
    door.rig.replica.gate.set()
    await until(lambda: all(client.answers for client in clients))

    assert during == fetch.MAX_READING
    assert {tuple(client.answers) for client in clients} == {((b"200", "replica"),)}


async def test_the_same_packet_again_is_not_parsed_again() -> None:
    """Where memory has no room for the entry; all else is as it was."""
    door = Door(max_bytes=1)
    door.rig.store(13.0)
    client = Client(door)
    for asked in (1, 2):
        client.ask("a:p")
        await until(partial(client.has_answers, asked))

    client.lane.parser = None  # type: ignore[assignment]
    client.ask("a:p")
    await until(lambda: len(client.answers) == 3)

    assert client.answers == [(b"200", "replica")] * 3
    assert client.total == 13.0
    assert door.rig.stats.answers["score", "default", Tier.REPLICA].count == 3


async def test_a_key_that_comes_back_when_it_is_old_is_answered_with_the_same_tags() -> None:
    """They are worked out once for a packet, as soon as it is remembered."""
    door = Door()
    client = Client(door)
    tags, known = [], []

    for asked in range(1, 5):
        client.ask("a:p")
        await until(partial(client.has_answers, asked))
        lines = client.transport.written[-1].splitlines()
        tags.append([line for line in lines if line.startswith((b"surrogate-key", b"cache-tag", b"cache-groups"))])
        meaning = client.lane._recalls[hash(packet("a:p")) % PARTS](packet("a:p"))
        known.append(meaning is not None and meaning.facts is not None)
        door.rig.now_ms += 200_000

    assert client.answers == [(b"200", "live")] * 4
    assert tags[0] == tags[1] == tags[2] == tags[3] != []
    assert known == [False, False, True, True]


async def test_an_error_after_the_same_packet_names_its_request() -> None:
    """What the packet's headers say is still known."""
    door = Door(max_bytes=1)
    door.rig.store(13.0)
    client = Client(door)
    packet = b"GET /v1/predict/score/a:p HTTP/1.1\r\nX-Request-ID: mine\r\n\r\n"
    for asked in (1, 2):
        client.lane.data_received(packet)
        await until(partial(client.has_answers, asked))

    door.rig.fail()
    client.lane.data_received(packet)
    await until(lambda: len(client.answers) == 3)

    assert client.answers[2] == (b"503", "")
    assert b"x-request-id: mine\r\n" in client.transport.written[2]


async def test_each_is_answered_from_where_it_is() -> None:
    """A hit, a miss, a stale entry, another key's and a key without a row meet in one read."""
    door = Door()
    door.rig.replica.put("thing", "c", 0, v=[1.0, 1.0])
    door.rig.store(13.0, key="a:p")
    door.rig.store(99.0, key="c:p", computed_ms=-200_000)
    swapped = door.rig.replica.values[entry_key("score", 1, "a:p")]
    door.rig.replica.values[entry_key("score", 1, "d:p")] = swapped
    clients = [Client(door) for _ in range(5)]

    for client, key in zip(clients, ["a:p", "b:p", "c:p", "d:p", "none:p"], strict=True):
        client.ask(key)
    await until(lambda: all(client.answers for client in clients))

    assert [client.answers for client in clients] == [
        [(b"200", "replica")],
        [(b"200", "live")],
        [(b"200", "live")],
        [(b"422", "")],
        [(b"422", "")],
    ]
    assert [client.total for client in clients[:3]] == [13.0, 17.0, 12.0]
    assert door.rig.stats.corrupt_entries == 1
    assert door.rig.ladder.live.batches == 1


async def test_a_read_that_takes_too_long_is_not_waited_for() -> None:
    """The rest of the ladder has what is left of the budget: nothing."""
    door = Door(policy="default = { sum = 1.0 }", budget_ms=5.0)
    door.rig.store(13.0)
    door.rig.replica.gate.clear()
    client = Client(door)

    client.ask("a:p")
    await until(lambda: bool(client.answers))
    door.rig.replica.gate.set()

    assert client.answers == [(b"200", "default")]
    assert door.rig.stats.replica_failures == 1


async def test_a_replica_that_is_away_fails_nobody_who_can_be_answered() -> None:
    """Here with a default, for the model reads from the same replica; each request counts."""
    door = Door(policy="default = { sum = 1.0 }")
    door.rig.fail()
    clients = [Client(door), Client(door)]

    for client in clients:
        client.ask("a:p")
    await until(lambda: all(client.answers for client in clients))

    assert [client.answers for client in clients] == [[(b"200", "default")]] * 2
    assert door.rig.stats.replica_failures == 2


async def test_a_change_that_becomes_known_while_it_is_read_counts() -> None:
    """What was fresh when it was asked for is judged when it is there."""
    door = Door()
    door.rig.store(13.0)
    door.rig.replica.gate.clear()
    client = Client(door)
    client.ask("a:p")
    await until(lambda: door.rig.replica.gets == 1)
    door.rig.change(5, v=[7.0, 7.0])

    door.rig.replica.gate.set()
    await until(lambda: bool(client.answers))

    assert client.answers == [(b"200", "live")]
    assert client.total == 24.0


async def test_what_is_known_to_be_missing_is_not_read_again() -> None:
    """It is refused as before."""
    door = Door()
    client = Client(door)
    client.ask("none:p")
    await until(lambda: bool(client.answers))

    client.ask("none:p")
    await until(lambda: len(client.answers) == 2)

    assert client.answers == [(b"422", "")] * 2
    assert door.rig.replica.gets == 1
    assert door.rig.stats.errors == {("score", 422): 2}


@pytest.mark.parametrize("key", ["a:p?variant=default", "a", "a:%70"])
async def test_what_is_not_that_plain_is_left_to_others(key: str) -> None:
    """They read it thoroughly."""
    door = Door()
    client = Client(door)

    client.ask(key)
    await until(lambda: bool(client.answers))

    assert client.answers == [(b"204", "")]
    assert door.rig.replica.gets == 0


async def test_a_client_that_left_meanwhile_disturbs_nobody() -> None:
    """Its neighbours in the read are answered; a client that does not read gets its answer when it does."""
    door = Door()
    door.rig.store(13.0)
    door.rig.replica.gate.clear()
    gone, full, other = clients = [Client(door) for _ in range(3)]
    for client in clients:
        client.ask("a:p")
    await until(lambda: door.rig.replica.gets == 1)
    gone.lane.connection_lost(ConnectionResetError())
    full.lane.pause_writing()

    door.rig.replica.gate.set()
    await until(lambda: bool(other.answers))
    before = list(full.transport.written)
    full.lane.resume_writing()
    await until(lambda: bool(full.answers))

    assert gone.transport.written == before == []
    assert not full.transport.closed


async def test_a_drain_meanwhile_makes_it_the_last_answer() -> None:
    """It says so."""
    door = Door()
    door.rig.store(13.0)
    door.rig.replica.gate.clear()
    client = Client(door)
    client.ask("a:p")
    await until(lambda: door.rig.replica.gets == 1)
    drain(door.protocol, client.state.connections)

    door.rig.replica.gate.set()
    await until(lambda: bool(client.answers))

    assert b"connection: close\r\n" in client.transport.written[0]
    assert client.transport.closed


async def test_what_a_drained_connection_brings_is_remembered_for_others_as_ever() -> None:
    """One whose door is closed already still learns for those whose doors are not."""
    door = Door(max_bytes=1)
    door.rig.store(13.0)
    late, other = Client(door), Client(door)
    late.lane.begin_draining()
    other.ask("a:p")
    await until(lambda: bool(other.answers))
    late.ask("a:p")
    await until(lambda: bool(late.answers))

    other.ask("a:p")
    await until(lambda: len(other.answers) == 2)

    assert other.answers == [(b"200", "replica")] * 2
    assert late.answers == [(b"200", "replica")]


async def test_what_is_pipelined_behind_it_waits() -> None:
    """Whatever way it takes then."""
    door = Door()
    door.rig.store(13.0)
    door.rig.replica.gate.clear()
    client = Client(door)
    client.ask("a:p")
    client.ask("a:p")
    await until(lambda: door.rig.replica.gets == 1)
    before = list(client.answers)

    door.rig.replica.gate.set()
    await until(lambda: len(client.answers) == 2)

    assert before == []
    assert client.answers == [(b"200", "replica"), (b"204", "")]


async def test_what_is_cold_is_computed_together() -> None:
    """One read and one run for all that came in one turn of the loop."""
    door = Door()
    clients = [Client(door) for _ in range(3)]

    for client, key in zip(clients, ("a:p", "b:p", "none:p"), strict=True):
        client.ask(key)
    await until(lambda: all(client.answers for client in clients))

    assert [client.answers for client in clients] == [[(b"200", "live")], [(b"200", "live")], [(b"422", "")]]
    assert (door.rig.ladder.live.rows, door.rig.ladder.live.batches) == (3, 1)


async def test_who_joins_a_flight_holds_up_nobody_that_came_with_it() -> None:
    """A flight gets no reply; of two who come together one joins it, and the other's key is computed at once."""
    door = Door()
    run, silence = door.rig.replica.run, asyncio.get_running_loop().create_future()
    door.rig.replica.run = lambda _: silence  # type: ignore[method-assign]
    first, late, other = (Client(door) for _ in range(3))
    first.ask("a:p")
    await until(lambda: door.rig.ladder.live.waiting == 1)
    await asyncio.sleep(0)
    door.rig.replica.run = run  # type: ignore[method-assign]

    late.ask("a:p")
    other.ask("b:p")
    await until(lambda: bool(other.answers))
    before = list(late.answers)
    silence.set_exception(StoreUnavailable("away"))
    await until(lambda: bool(first.answers and late.answers))

    assert before == []
    assert other.answers == [(b"200", "live")]
    assert first.answers == late.answers == [(b"503", "")]


async def test_a_bug_while_computing_leaves_no_connection_open(caplog: pytest.LogCaptureFixture) -> None:
    """Better hung up on than left waiting."""
    door = Door()
    door.rig.ladder.live._on_batch = None  # type: ignore[assignment]
    client = Client(door)

    client.ask("a:p")
    await until(lambda: client.transport.closed)

    assert client.answers == []
    assert "GET /v1/predict/score/a:p failed" in caplog.text


async def test_a_failure_ends_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    """The others of the read are answered."""
    door = Door()
    door.rig.store(13.0, key="a:p")
    door.rig.store(17.0, key="b:p")
    from_replica = door.rig.ladder.from_replica
    door.rig.ladder.from_replica = lambda ask, value, facts=None: (  # type: ignore[method-assign]
        from_replica(ask, value if ask.key.text == "b:p" else object(), facts)  # type: ignore[arg-type]
    )
    broken, other = Client(door), Client(door)

    broken.ask("a:p")
    other.ask("b:p")
    await until(lambda: bool(other.answers))

    assert broken.transport.closed
    assert broken.answers == []
    assert "GET /v1/predict/score/a:p failed" in caplog.text
