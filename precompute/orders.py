"""What people order by hand: predictions to be made anew, whatever the features say.

An order is one record in an update log, so that it makes predictions stale everywhere, at once, and at the same cost
for one as for a million. One about an entity stands in the log of its view, one about a model or a key of it in the
*orders* log. Each is remembered with who gave it and why.

No I/O but in `give` and `recent`: an edge gives orders through the same commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import TypeAlias

import msgspec

from precompute.errors import InvalidRequest, PermanentError
from precompute.features import LOG_RETENTION_S
from precompute.key_text import canonical_part
from precompute.keys import ORDERED_REFRESHES, ORDERS, ORDERS_PAST, hot_key, log_key
from precompute.manifest import Project
from precompute.models import Model, ordered_key
from precompute.store import Store, checked
from precompute.updates import Command, Reply

#: Orders that are remembered.
PAST = 1000
#: Of a reason, and of a name.
MAX_TEXT = 500
#: Hot predictions that a report names one by one.
NAMED = 10
#: Keys that one message asks to have recomputed, and messages that may wait; older ones give way.
REFRESH_KEYS = 1000
_REFRESHES = 256

_APPEND = files("precompute").joinpath("order.lua").read_text()


@dataclass(frozen=True, slots=True)
class WholeModel:
    """Every prediction of a model."""

    model: str

    def __str__(self) -> str:
        return f"all of {self.model}"


@dataclass(frozen=True, slots=True)
class OneKey:
    """One prediction, by its canonical key."""

    model: str
    key: str

    def __str__(self) -> str:
        return f"{self.model} {self.key}"


@dataclass(frozen=True, slots=True)
class OneEntity:
    """Every prediction that an entity's row goes into."""

    view: str
    entity: str

    def __str__(self) -> str:
        return f"{self.view} {self.entity}"


Target: TypeAlias = WholeModel | OneKey | OneEntity


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order that was given.

    Attributes:
        update_id: of its log record, as Redis writes it.
        hot_keys: hot predictions it made stale.
        refreshed: how many of them were to be recomputed at once.
    """

    update_id: str
    at_ms: int
    who: str
    why: str
    model: str | None = None
    key: str | None = None
    view: str | None = None
    entity: str | None = None
    hot_keys: int = 0
    refreshed: int = 0


@dataclass(frozen=True, slots=True)
class HotKey:
    """A prediction that is asked for often."""

    model: str
    key: str
    requests_per_s: float


def target(
    project: Project,
    *,
    model: str | None = None,
    key: str | None = None,
    view: str | None = None,
    entity: str | None = None,
    everything: bool = False,
) -> Target:
    """What somebody means who names these.

    Raises:
        UnknownModel, UnknownView, InvalidKey, InvalidContext: it is not there, or not written like this.
        InvalidRequest: a combination that makes no sense.
    """
    if (model is None) == (view is None):
        raise InvalidRequest("name a model (with a key, or all of it), or a view with an entity")
    if model is not None:
        declared = project.model(model)
        if entity is not None:
            raise InvalidRequest("an entity belongs to a view; name the view instead of the model")
        if everything and key is not None:
            raise InvalidRequest("either one key of the model or all of it")
        return WholeModel(model) if key is None else OneKey(model, declared.parse_key(key).text)
    if entity is None or key is not None or everything:
        raise InvalidRequest("a view needs an entity, and takes neither a key nor all")
    return OneEntity(project.view(view or "").name, canonical_part(entity))


def append_command(what: Target, retention_s: float = LOG_RETENTION_S) -> Command:
    """The order itself; the reply is the id of its log record."""
    retention_ms = int(retention_s * 1000)
    match what:
        case WholeModel(model):
            return ("EVAL", _APPEND, 1, log_key(ORDERS), retention_ms, model)
        case OneKey(model, key):
            return ("EVAL", _APPEND, 1, log_key(ORDERS), retention_ms, ordered_key(model, key))
        case OneEntity(view, entity):
            return ("EVAL", _APPEND, 1, log_key(view), retention_ms, entity)


def given(
    what: Target, update_id: bytes, *, who: str, why: str, now_ms: int, hot_keys: int = 0, refreshed: int = 0
) -> Order:
    """The order behind a log record."""
    return Order(
        update_id=update_id.decode(),
        at_ms=now_ms,
        who=who[:MAX_TEXT],
        why=why[:MAX_TEXT],
        hot_keys=hot_keys,
        refreshed=refreshed,
        **{name: str(getattr(what, name)) for name in what.__dataclass_fields__},
    )


def note_commands(order: Order) -> list[Command]:
    """Remembers an order."""
    return [("LPUSH", ORDERS_PAST, msgspec.json.encode(asdict(order))), ("LTRIM", ORDERS_PAST, 0, PAST - 1)]


def give(
    store: Store, what: Target, *, who: str, why: str, now_ms: int, hot_keys: int = 0, refreshed: int = 0
) -> Order:
    """Makes predictions stale, and remembers that.

    Raises:
        StoreUnavailable: it may have happened and not be remembered; giving the same order again is harmless.
    """
    update_id = store.call(*append_command(what))
    order = given(what, update_id, who=who, why=why, now_ms=now_ms, hot_keys=hot_keys, refreshed=refreshed)
    for reply in store.run(note_commands(order)):
        checked(reply)
    return order


def recent(store: Store, count: int = PAST) -> list[Order]:
    """The latest orders, newest first."""
    return [msgspec.json.decode(text, type=Order) for text in store.call("LRANGE", ORDERS_PAST, 0, count - 1)]


def hot_commands(project: Project, what: Target, most: int) -> list[Command]:
    """What to ask to know which hot predictions an order is about; at most `most` of each model are looked at."""
    return [("ZREVRANGE", hot_key(model.name), 0, most - 1, "WITHSCORES") for model in _models(project, what)]


def hot_behind(project: Project, what: Target, replies: Sequence[Reply]) -> list[HotKey]:
    """Those, hottest first, from the replies to `hot_commands`."""
    found: list[HotKey] = []
    for model, reply in zip(_models(project, what), replies, strict=True):
        flat = checked(reply)
        rated = [(key.decode(), float(rate)) for key, rate in zip(flat[::2], flat[1::2], strict=True)]
        found += [HotKey(model.name, key, rate) for key, rate in rated if _concerns(what, model, key)]
    return sorted(found, key=lambda hot: -hot.requests_per_s)


def report(what: Target, hot: Sequence[HotKey], order: Order | None) -> dict[str, object]:
    """What an order comes to, as plain data; without one, what it would come to."""
    return {
        "target": {name: getattr(what, name) for name in what.__dataclass_fields__},
        "hot_keys": len(hot),
        "first": [asdict(key) for key in hot[:NAMED]],
        "given": order is not None,
        "order": None if order is None else asdict(order),
    }


def refresh_commands(hot: Sequence[HotKey]) -> list[Command]:
    """Asks whoever looks after hot keys to have these recomputed; for those who cannot reach the workers."""
    pushes: list[Command] = []
    for model in dict.fromkeys(key.model for key in hot):
        keys = [key.key for key in hot if key.model == model]
        pushes += [
            ("RPUSH", ORDERED_REFRESHES, msgspec.json.encode([model, keys[at : at + REFRESH_KEYS]]))
            for at in range(0, len(keys), REFRESH_KEYS)
        ]
    return [*pushes, ("LTRIM", ORDERED_REFRESHES, -_REFRESHES, -1)] if pushes else []


def take_refresh(store: Store) -> tuple[str, list[str]] | None:
    """The model and keys of the oldest such wish, which is then nobody's any more; lost if its taker dies."""
    text = store.call("LPOP", ORDERED_REFRESHES)
    return None if text is None else msgspec.json.decode(text, type=tuple[str, list[str]])


def put_back(store: Store, model: str, keys: Sequence[str]) -> None:
    """What its taker had no room for is the oldest wish again."""
    store.call("LPUSH", ORDERED_REFRESHES, msgspec.json.encode([model, keys]))


def _models(project: Project, what: Target) -> list[Model]:
    if isinstance(what, OneEntity):
        return [m for m in project.models.values() if any(d.view == what.view for d in m.dependencies)]
    return [project.model(what.model)]


def _concerns(what: Target, model: Model, text: str) -> bool:
    match what:
        case WholeModel():
            return True
        case OneKey(_, key):
            return text == key
        case OneEntity(view, entity):
            try:
                entities = model.entities(model.parse_key(text))
            except PermanentError:
                return False  # Counted under a declaration that has changed since.
            return any(d.view == view and e == entity for d, e in zip(model.dependencies, entities, strict=True))
