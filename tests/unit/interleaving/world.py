"""Everything that can happen between a change and an answer, in any order, over the code that decides.

Three servers, one of them primary; two edges, each following a server; writers that read and write whenever they like.
The model stands in for Redis and the network. What is asked of servers, what is made of their replies, what an entry
holds and when it is fresh is the product's own code: `Predictor.plan`, `parse_as_of`, `entry`, `LogReading`,
`Freshness` and `Held`.

An edge *knows* the writes that its server held when a turn began that then read everything. Checked after each step:

- what it calls fresh was computed from rows read after every write of its dependencies that it knows, orders included;
- a deletion that it knows is seen in whatever was computed before it;
- when all is quiet, what is computed then is fresh.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edge.edition import Editions
from edge.held import Held
from precompute.entry import header, identity, tail
from precompute.errors import StoreUnavailable
from precompute.freshness import Freshness, Verdict
from precompute.keys import ORDERS
from precompute.layouts import Layouts
from precompute.log_reading import LogReading
from precompute.manifest import parse
from precompute.models import Key, ordered_key
from precompute.outputs import default_rules
from precompute.predictor import Plan, Predictor, Servable
from precompute.runtime import Session
from precompute.updates import HISTORY, Command, Reply
from tests.onnx_models import mlp
from tests.unit.interleaving.servers import LOGS, Change, History, Server, Stored, Trim, latest_before

PROJECT = parse("""
[project]
name = "interleavings"
[views.flight.fields]
v = "float32"
[views.weather.fields]
v = "float32"
[models.late]
key = ["flight", "weather"]
inputs = { x = ["flight.v", "weather.v"] }
policy = { ttl_s = 1000000.0 }
""")
MODEL = PROJECT.model("late")
_SESSION = Session.load(mlp((2, 2, 1)))
SERVABLE = Servable(MODEL, "default", 1, _SESSION, default_rules(_SESSION.signature))
PREDICTOR = Predictor(PROJECT, SERVABLE, Layouts(PROJECT))
KEYS = [MODEL.parse_key("a:p"), MODEL.parse_key("b:p")]
ENTITIES = {"flight": "ab", "weather": "p", ORDERS: ("late", *(ordered_key("late", key.text) for key in KEYS))}
#: What an entry of a key depends on, by log and entity; written down apart from the product's own idea of it.
DEPENDENCIES = {
    key.text: [*zip(("flight", "weather"), key.parts, strict=True), (ORDERS, "late"), (ORDERS, f"late/{key.text}")]
    for key in KEYS
}
NOW_MS = 1
#: Entries in the memory of an edge.
HELD = 8


class Violation(AssertionError):
    """A promise is broken; the text says which and how."""


@dataclass
class Computation:
    """A writer that has sent some of its commands."""

    key: Key
    server: Server
    plan: Plan
    number: int
    edge: Edge | None
    replies: list[Reply] = field(default_factory=list)


@dataclass
class Edge:
    """An edge process: its tables, where it stands in the logs, and what it holds."""

    server: Server
    slots: int
    held: dict[int, tuple[Held, str]] = field(default_factory=dict)
    #: The writes that it knows: the first so many of a history.
    known: tuple[History, int] | None = None

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begins with nothing."""
        self.freshness = Freshness(LOGS, self.slots)
        self.editions = Editions(self.freshness)
        self.reading = LogReading(self.freshness)
        self.held.clear()
        self.known = None
        self.disconnect()

    def disconnect(self) -> None:
        """What was asked is not answered."""
        self.commands: list[Command] = []
        self.replies: list[Reply] = []
        self.turn: Iterator[None] | None = None

    def step(self, amount: int) -> None:
        """Asks some more of the server, or takes in some more of what it said."""
        if self.turn is not None:
            self._take(amount)
            return
        if not self.commands:
            self.commands, self.replies = self.reading.commands(block_ms=0), []
        for _ in range(amount):
            if not self.replies:
                self.asked = (self.server.history, self.server.offset)
            self.replies.append(self.server.reply(self.commands[len(self.replies)]))
            if len(self.replies) == len(self.commands):
                self.turn = self.reading.take(self.replies)
                return

    def _take(self, amount: int) -> None:
        assert self.turn is not None
        for _ in range(amount):
            if next(self.turn, self) is self:
                self.disconnect()
                if self.reading.at_end and self.freshness.epoch is not None:
                    self._learn(*self.asked)
                return

    def _learn(self, history: History, offset: int) -> None:
        if self.known is not None and self.known[0] is history:
            offset = max(offset, self.known[1])
        self.known = (history, offset)

    def run_turn(self) -> None:
        """One whole turn."""
        self.step(100)
        while self.turn is not None:
            self.step(100)


class World:
    """One schedule; the same seed gives the same one."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        history = History(epoch=1)
        self.epochs = 1
        self.numbers = 0
        self.servers = [Server(history, clock_ms=1000 - 10 * i) for i in range(3)]
        self.primary = self.servers[0]
        self.primary.was_primary = True
        for server in self.servers:
            server.tells_added = self.random.random() < 0.5
        slots = self.random.choice((2, 64))
        self.edges = [Edge(self.servers[1], slots), Edge(self.servers[2], slots)]
        self.computing: list[Computation] = []
        self.written: list[tuple[str, bytes]] = []
        #: The history and offset at which each computation read its rows.
        self.read_at: dict[int, tuple[History, int]] = {}
        usual = {
            self.put: 10, self.replicate: 12, self.follow: 14, self.begin_computing: 5, self.compute: 8,
            self.write_entry: 6, self.read_entry: 6, self.order: 1, self.trim: 2, self.fail_over: 1.5,
            self.repoint: 3, self.restore: 1, self.restart_edge: 1, self.move_edge: 0.5, self.calm: 6,
        }  # fmt: skip
        # Schedules that differ in what happens often reach more than many that are all alike.
        self.steps = {step: weight * self.random.choice((0.1, 1, 1, 5)) for step, weight in usual.items()}

    def run(self, steps: int) -> None:
        """Runs the schedule, then lets everything settle.

        Raises:
            Violation: a promise is broken.
        """
        for step in self.random.choices(list(self.steps), list(self.steps.values()), k=steps):
            step()
            for edge in self.edges:
                self._check(edge)
        self._settle()

    # What writers of features do.

    def put(self) -> None:
        """A row changes or goes, perhaps on a server that has not been told that it is no primary any more."""
        log = self.random.choice(("flight", "weather"))
        server = self.random.choice([self.primary, self.primary, *self._deposed])
        self._change(log, server, gone=self.random.random() < 0.15)

    def order(self) -> None:
        """Somebody invalidates by hand."""
        self._change(ORDERS, self.primary)

    def _change(self, log: str, server: Server, *, gone: bool = False) -> None:
        server.clock_ms += self.random.choice((0, 0, 1, 2))
        self.numbers += 1
        entity = self.random.choice(ENTITIES[log])
        server.write(Change(log, entity, server.next_id(log), self.numbers, gone))

    @property
    def _deposed(self) -> list[Server]:
        return [s for s in self.servers if s.history is not self.primary.history and s.was_primary]

    def trim(self) -> None:
        """A log loses its beginning as it gains a record."""
        log = self.random.choice(LOGS)
        self._change(log, self.primary)
        self.primary.write(Trim(log, self.random.choice(self.primary.log(log).ids)))

    # What servers do.

    def replicate(self) -> None:
        """A replica applies some of what its primary has written."""
        self.random.choice(self.servers).apply(self.random.choice((1, 1, 2, 20)))

    def fail_over(self) -> None:
        """A replica is promoted, with whatever it has; its clock is its own."""
        self.epochs += 1
        self.primary = self.random.choice([s for s in self.servers if s is not self.primary])
        self.primary.promote(self.epochs)

    def repoint(self) -> None:
        """A server learns who is primary now."""
        server = self.random.choice(self.servers)
        if server is not self.primary:
            server.follow(self.primary)

    def restore(self) -> None:
        """A replica starts again, from an old file; whoever was connected is so no more."""
        server = self.random.choice(self.servers)
        if server is self.primary or server.was_primary:
            return
        server.restore(self.random.randint(0, server.offset))
        self.computing = [c for c in self.computing if c.server is not server]
        for edge in self.edges:
            if edge.server is server:
                edge.disconnect()

    # What computes predictions.

    def begin_computing(self) -> None:
        """A worker plans on the primary, or an edge on its own server."""
        edge = self.random.choice([*self.edges, None, None])
        key = self.random.choice(KEYS)
        self.numbers += 1
        server = edge.server if edge else self.primary
        self.computing.append(Computation(key, server, PREDICTOR.plan([key]), self.numbers, edge))

    def compute(self) -> None:
        """Some more commands are executed; after the last, the prediction is there."""
        if self.computing:
            computation = self.random.choice(self.computing)
            self._compute(computation, self.random.choice((1, 2, 10)))

    def _compute(self, computation: Computation, amount: int) -> None:
        commands, replies = computation.plan.commands, computation.replies
        server = computation.server
        for command in commands[len(replies) : len(replies) + amount]:
            if command[0] == "MGET":
                self.read_at[computation.number] = (server.history, server.offset)
            replies.append(server.reply(command))
        if len(replies) == len(commands):
            self.computing.remove(computation)
            self._finish(computation)

    def _finish(self, computation: Computation) -> None:
        replies, asked = computation.replies, computation.plan.commands.index(HISTORY)
        try:
            # Rows first is no plan of ours, but that of a mutation.
            as_of = PREDICTOR.as_of([*replies[asked:-1], *replies[:asked], replies[-1]])
        except StoreUnavailable:
            return
        key = computation.key.text
        outputs = b'"outputs":%d' % computation.number
        value = header(as_of, NOW_MS) + identity("late", 1, "default", key) + outputs + tail(as_of, NOW_MS)
        self.written.append((key, value))
        if computation.edge is not None:
            self._hold(computation.edge, key, value)

    def write_entry(self) -> None:
        """A result is stored, perhaps long after others that were begun later; or an entry expires."""
        if self.written:
            name, value = self.written.pop(self.random.randrange(len(self.written)))
            self.primary.write(Stored(name, None if self.random.random() < 0.1 else value))

    # What edges do.

    def follow(self) -> None:
        """A follower's turn goes on."""
        self.random.choice(self.edges).step(self.random.choice((1, 1, 2, 100)))

    def read_entry(self) -> None:
        """An edge fetches an entry."""
        edge, key = self.random.choice(self.edges), self.random.choice(KEYS).text
        if value := edge.server.entries.get(key):
            self._hold(edge, key, value)

    def _hold(self, edge: Edge, key: str, value: bytes) -> None:
        edition = edge.editions.of(SERVABLE)
        held = edition.read(edition.facts(MODEL.parse_key(key)), value)
        number = int(held.body.split(b'"outputs":', 1)[1].split(b",", 1)[0])
        if len(edge.held) == HELD:
            del edge.held[self.random.choice(list(edge.held))]
        edge.held[number] = (held, key)

    def restart_edge(self) -> None:
        """A process ends, and another begins."""
        self.random.choice(self.edges).start()

    def move_edge(self) -> None:
        """The connection breaks, and the next one leads to another server."""
        edge = self.random.choice(self.edges)
        edge.disconnect()
        edge.server = self.random.choice(self.servers)

    def calm(self) -> None:
        """For a moment one server and one edge have all the time they need: rare orders of events become likely."""
        server, edge = self.random.choice(self.servers), self.random.choice(self.edges)
        if server is not self.primary:
            server.follow(self.primary)
            server.apply(len(server.history.writes))
        for _ in range(self.random.choice((1, 2, 4))):
            edge.run_turn()
        for key in self.random.choices(KEYS, k=2):
            if value := edge.server.entries.get(key.text):
                self._hold(edge, key.text, value)

    # What must hold.

    def _check(self, edge: Edge) -> None:
        if edge.known is None or edge.known[0].epoch != edge.freshness.epoch:
            if edge.freshness.epoch is not None:
                raise Violation(f"seed {self.seed}: tables speak of a history that has not been read to its end")
            return
        for number, (held, key) in edge.held.items():
            fresh = held.verdict(edge.freshness) is Verdict.FRESH
            comparable = held.epoch == edge.freshness.epoch
            if fresh or comparable:
                self._check_held(edge, held, key, self.read_at[number], fresh=fresh)

    def _check_held(self, edge: Edge, held: Held, key: str, read_at: tuple[History, int], *, fresh: bool) -> None:
        assert edge.known is not None
        history, known = edge.known
        seen = min(read_at[1], history.shared(read_at[0]))
        for at, dependency in enumerate(DEPENDENCIES[key]):
            change = latest_before(history.changes[dependency], known)
            if fresh and change is not None and change >= seen:
                raise Violation(f"seed {self.seed}: {key} is called fresh, but {history.writes[change]} came later")
            gone = latest_before(history.deletions[dependency], known)
            covered = held.as_of[at] >= edge.freshness.tables[dependency[0]].floor
            if gone is not None and gone >= seen and covered and not held.is_deleted(edge.freshness):
                raise Violation(f"seed {self.seed}: {key} was made from a row that {history.writes[gone]} has deleted")

    def _settle(self) -> None:
        """Everything is replicated and read; what is computed now must be fresh everywhere."""
        for server in self.servers:
            if server is not self.primary:
                server.follow(self.primary)
                server.apply(len(server.history.writes))
        for edge in self.edges:
            edge.disconnect()
            for _ in range(100):
                edge.run_turn()
                if edge.reading.at_end:
                    break
            self._check(edge)
        for key in KEYS:
            self._check_alive(key)

    def _check_alive(self, key: Key) -> None:
        self.numbers += 1
        computation = Computation(key, self.primary, PREDICTOR.plan([key]), self.numbers, None)
        self.computing.append(computation)
        self._compute(computation, 100)
        name, value = self.written[-1]
        for edge in self.edges:
            self._hold(edge, name, value)
            verdict = edge.held[self.numbers][0].verdict(edge.freshness)
            if verdict is not Verdict.FRESH:
                raise Violation(f"seed {self.seed}: all is quiet, and {name} computed anew is {verdict}")


def first_violation(seeds: Sequence[int], steps: int = 60) -> Violation | None:
    """What goes wrong first, if anything does."""
    for seed in seeds:
        try:
            World(seed).run(steps)
        except Violation as found:
            return found
    return None
