"""A ladder without servers: real predictor and model, a clock of its own, and a replica that answers from a dict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from edge.answer import Ladder
from edge.ask import Answer, Ask
from edge.held import Held
from edge.memory import Memory
from edge.redis_wire import Then
from edge.stats import Stats
from precompute import manifest
from precompute.entry import Entry, header, identity, tail
from precompute.errors import StoreUnavailable
from precompute.freshness import Freshness
from precompute.keys import ORDERS, entry_key, layout_key, log_key, row_key
from precompute.layouts import Layouts
from precompute.outputs import default_rules
from precompute.predictor import Batch, Predictor, Servable
from precompute.rows import STAMP, Layout
from precompute.runtime import Session
from precompute.updates import AsOf, Command, Reply, stream_id
from tests import onnx_models

EPOCH = 0x1234ABCD
#: The wall clock at which every test begins.
NOW_MS = 1_800_000_000_000
MANIFEST = """
[project]
name = "rig"
[views.thing.fields]
v = "float32[2]"
[views.place.fields]
w = "float32"
[models.score]
key = ["thing", "place"]
views = { thing = "{thing}", place = "{place}" }
inputs = { x = ["thing.v"], y = ["place.w"] }
policy = { ttl_s = 100.0, ttl_jitter = 0.0, max_lag_s = 10.0POLICY }
"""
#: A feature with which the model fails.
POISON = -1.0


def at(ms: int) -> int:
    """The update id of a change so many milliseconds after the beginning."""
    return NOW_MS + ms << 20


def graph() -> bytes:
    """`x` float32[N, 2], `y` float32[N, 1] -> `sum` float32[N, 1], x[0] + x[1] + y; fails for any y of -1."""
    import numpy as np
    from onnx import TensorProto, helper

    kind = TensorProto.FLOAT
    nodes = [
        helper.make_node("ReduceSum", ["x", "axes"], ["s"], keepdims=1),
        helper.make_node("Add", ["s", "y"], ["sum"]),
        # A row of -1 asks for an element that is not there, and the whole run fails.
        helper.make_node("Equal", ["y", "poison"], ["bad"]),
        helper.make_node("Cast", ["bad"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["one", "index"], ["checked"]),
    ]
    inputs = [onnx_models.value("x", kind, ["N", 2]), onnx_models.value("y", kind, ["N", 1])]
    outputs = [onnx_models.value("sum", kind, ["N", 1]), onnx_models.value("checked", kind, ["N", 1])]
    constants = {
        "axes": np.array([1], np.int64),
        "one": np.array([1.0], np.float32),
        "poison": np.array(POISON, np.float32),
    }
    return onnx_models.build(nodes, inputs, outputs, constants)


SESSION = Session.load(graph())


class FakeReplica:
    """Answers what a predictor and a ladder ask, after one turn of the loop or when `gate` opens."""

    def __init__(self, layouts: dict[str, Layout]) -> None:
        self.values: dict[str, bytes] = {}
        self.logs = dict.fromkeys([*layouts, ORDERS], 0)
        self.error: Exception | None = None
        #: Closed, it holds back every reply.
        self.gate = asyncio.Event()
        self.gate.set()
        self.gets = 0
        self.runs: list[list[Command]] = []
        self._layouts = layouts

    def put(self, view: str, entity: str, change_ms: int, **values: object) -> None:
        """Stores a row and logs the change."""
        self.values[row_key(view, entity)] = STAMP.pack(1, NOW_MS + change_ms, 0) + self._layouts[view].encode(values)
        self.logs[view] = at(change_ms)

    def delete(self, view: str, entity: str, change_ms: int) -> None:
        """Deletes a row and logs the change."""
        del self.values[row_key(view, entity)]
        self.logs[view] = at(change_ms)

    def get(self, keys: Sequence[str]) -> asyncio.Future[list[bytes | None]]:
        self.gets += 1
        # A plain future, as the real one is: it may be failed from outside.
        return asyncio.shield(asyncio.ensure_future(self._answered([self.values.get(key) for key in keys])))

    def read(self, keys: Sequence[str], then: Callable[[list[bytes | None] | StoreUnavailable], None]) -> None:
        self.get(keys).add_done_callback(partial(_tell, then))

    def send(self, commands: Sequence[Command], then: Then) -> None:
        self.run(commands).add_done_callback(partial(_tell, then))

    def run(self, commands: Sequence[Command]) -> asyncio.Task[list[Reply]]:
        """Replies as they would be now, whenever they arrive."""
        self.runs.append(list(commands))
        return asyncio.ensure_future(self._answered([self._reply(command) for command in commands]))

    async def asked(self, pipelines: int) -> None:
        """Waits until so many pipelines have been asked for."""
        while len(self.runs) < pipelines:  # noqa: ASYNC110  (an event for each number would hide the point)
            await asyncio.sleep(0)

    async def _answered(self, replies: list[Reply]) -> list[Reply]:
        error = self.error
        await self.gate.wait()
        if error is not None:
            raise error
        return replies

    def _reply(self, command: Command) -> Reply:
        match command:
            case ("INFO", "replication"):
                return b"role:slave\r\nmaster_link_status:up\r\nmaster_replid:%08x%032d\r\n" % (EPOCH, 0)
            case ("XINFO", "STREAM", key):
                last = stream_id({log_key(view): last for view, last in self.logs.items()}[str(key)]).encode()
                return [b"length", 1, b"last-generated-id", last, b"first-entry", [b"0-1", []]]
            case ("MGET", *keys):
                return [self.values.get(str(key)) for key in keys]
            case ("HGETALL", key) if key in map(layout_key, self.logs):
                return []
        raise AssertionError(f"not expected: {command}")


def _tell(then: Callable[[Any], None], done: asyncio.Future[Any]) -> None:
    error = done.exception()
    assert error is None or isinstance(error, StoreUnavailable), "the real one fails no other way"
    then(error or done.result())


class NoExperiments:
    """Nobody takes part in anything."""

    def parameters(self, _: str) -> frozenset[str]:
        return frozenset()

    def vary(self, _: str) -> tuple[str, ...]:
        return ()

    def deal(self, *_: object) -> None:
        return None


class FakeWriteBack:
    """Remembers what it was offered."""

    def __init__(self) -> None:
        self.offered: list[Batch] = []

    def offer(self, _: Servable, batch: Batch) -> None:
        self.offered.append(batch)


class Rig:
    """One model, `score`, of things and places: the sum of a thing's two numbers and its place's one."""

    def __init__(self, *, policy: str = "", max_waiting: int = 100, max_bytes: int = 1 << 20, more: str = "") -> None:
        """`more` lines of the project file follow on the model's."""
        self.project = manifest.parse(MANIFEST.replace("POLICY", f", {policy}" if policy else "") + more)
        model, layouts = self.project.model("score"), Layouts(self.project)
        self.servable = Servable(model, "default", 1, SESSION, default_rules(SESSION.signature)[:1])
        self.predictor = Predictor(self.project, self.servable, layouts)
        self.freshness = Freshness([*self.project.views, ORDERS], slots=1 << 10)
        self.freshness.epoch = EPOCH
        self.memory: Memory[Held] = Memory(max_bytes)
        self.replica = FakeReplica({view: layouts.current(view) for view in self.project.views})
        self.write_back, self.stats = FakeWriteBack(), Stats()
        self.now_ms, self.lag_s = NOW_MS, 0.0
        self.ladder = Ladder(
            self.memory,
            self.replica,  # type: ignore[arg-type]
            self.freshness,
            lambda: self.lag_s,
            self.write_back,  # type: ignore[arg-type]
            self.stats,
            lambda: self.now_ms,
            max_waiting=max_waiting,
        )
        self.replica.put("thing", "a", 0, v=[1.0, 2.0])
        self.replica.put("thing", "b", 0, v=[3.0, 4.0])
        self.replica.put("place", "p", 0, w=10.0)
        self.see("thing", "a", 0)

    def see(self, view: str, entity: str, change_ms: int, *, gone: bool = False) -> None:
        """The follower reads of a change."""
        self.freshness.tables[view].note(entity.encode(), at(change_ms), gone=gone)

    def change(self, change_ms: int, *, v: list[float]) -> None:
        """Thing a changes, and the follower has read of it."""
        self.replica.put("thing", "a", change_ms, v=v)
        self.see("thing", "a", change_ms)

    def delete(self, change_ms: int) -> None:
        """Thing a is deleted, and the follower has read of it."""
        self.replica.delete("thing", "a", change_ms)
        self.see("thing", "a", change_ms, gone=True)

    def store(self, total: float, *, key: str = "a:p", computed_ms: int = 0, as_of_ms: int = 0) -> None:
        """An entry in the replica, as a worker would have computed it."""
        as_of, computed = AsOf(EPOCH, (at(as_of_ms), at(as_of_ms), 0)), NOW_MS + computed_ms
        start = identity("score", 1, "default", key)
        body = start + b'"outputs":{"sum":%s}' % str(total).encode() + tail(as_of, computed)
        self.replica.values[entry_key("score", 1, key)] = header(as_of, computed) + body

    def held(self, key: str = "a:p", *, as_of_ms: int = 0, epoch: int = EPOCH, outputs: bytes = b"{}") -> Held:
        """An entry as of one moment, computed at the beginning."""
        asked = self.servable.model.parse_key(key)
        body = identity("score", 1, "default", asked.text) + b'"outputs":' + outputs + b"}"
        entry = Entry(epoch, (at(as_of_ms), at(as_of_ms), 0), NOW_MS, body)
        return self.ladder.editions.of(self.servable).entry(asked, entry)

    def ask(self, key: str = "a:p", *, budget_s: float = 5.0, revalidate: bool = False) -> Ask:
        """An ask for one key, from now on."""
        deadline = asyncio.get_running_loop().time() + budget_s
        return Ask(self.predictor, self.servable.model.parse_key(key), deadline, revalidate)

    async def answer(self, key: str = "a:p", *, budget_s: float = 5.0, revalidate: bool = False) -> Answer:
        """The answer to one key."""
        return await self.ladder.answer(self.ask(key, budget_s=budget_s, revalidate=revalidate))

    def fail(self, text: str = "away") -> None:
        """The replica cannot be reached from now on."""
        self.replica.error = StoreUnavailable(text)


def total(answer: Answer) -> float:
    """The model's output in an answer."""
    import orjson

    found: float = orjson.loads(answer.body)["outputs"]["sum"]
    return found
