"""What the primary says about a key: its rows, what a version makes of them, and what has changed behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from deploy.audit.verdict import Change, Outputs
from precompute.errors import PermanentError
from precompute.keys import log_key, row_key
from precompute.manifest import Project
from precompute.models import Key, Model
from precompute.predictor import Plan, Predictor
from precompute.rows import STAMP, stamp
from precompute.store import Store, checked
from precompute.updates import (
    ENTITY_FIELD,
    GONE_FIELD,
    Command,
    Reply,
    change_id,
    milliseconds,
    parse_epoch,
)
from workers.workplace import Workplace

#: Records of one read, and of all reads for one answer: beyond that the rows' own stamps must do.
_READ_RECORDS = 1000
_MOST_RECORDS = 100_000


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at a key's rows.

    Attributes:
        at_ms: by the primary's clock, not after the look's end.
        epoch: the history that the primary was in.
    """

    at_ms: int
    epoch: int
    plan: Plan
    replies: Sequence[Reply]


class Truth:
    """Reads the primary; all methods raise StoreUnavailable."""

    def __init__(self, store: Store, project: Project) -> None:
        self._store = store
        self._place = Workplace(store, project)
        self._epoch: int | None = None
        #: When a change of the primary's history was first noticed; 0 if there has been none.
        self.history_ms = 0

    def predictor(self, model: Model, version: int) -> Predictor:
        """A published version.

        Raises:
            PermanentError: it cannot be had any more.
        """
        return self._place.predictor(model.name, version)

    def active(self, model: Model) -> Predictor:
        """What the model serves; raises as `predictor` does."""
        return self._place.active(model.name)

    def look(self, predictor: Predictor, key: Key) -> Sight:
        """Reads a key's rows; any version of the model may compute from them."""
        plan = predictor.plan([key])
        *replies, time = self._store.run([*plan.commands, ("TIME",)])
        seconds, micros = checked(time)
        sight = Sight(int(seconds) * 1000 + int(micros) // 1000, parse_epoch(replies[0]), plan, replies)
        if self._epoch not in (None, sight.epoch):
            self.history_ms = sight.at_ms
        self._epoch = sight.epoch
        return sight

    def changes(self, model: Model, key: Key, since_ms: int) -> list[Change]:
        """What has changed behind a key from `since_ms` on; of each row at least the last change."""
        found: list[Change] = []
        behind = [(d.view, entity) for d, entity in zip(model.dependencies, model.entities(key), strict=True)]
        stamps: list[Command] = [("GETRANGE", row_key(view, entity), 0, STAMP.size - 1) for view, entity in behind]
        for (view, entity), head in zip(behind, self._store.run(stamps), strict=True):
            if len(checked(head)) == STAMP.size:
                found.append(Change(milliseconds(stamp(head).update_id)))
            found += self._logged(view, entity.encode(), since_ms)
        return found

    def _logged(self, view: str, entity: bytes, since_ms: int) -> list[Change]:
        found: list[Change] = []
        start = str(since_ms)
        for _ in range(_MOST_RECORDS // _READ_RECORDS):
            records = self._store.call("XRANGE", log_key(view), start, "+", "COUNT", _READ_RECORDS)
            for record_id, fields in records:
                values = dict(zip(fields[::2], fields[1::2], strict=False))
                if values.get(ENTITY_FIELD) == entity:
                    found.append(Change(milliseconds(change_id(record_id)), GONE_FIELD in values))
            if len(records) < _READ_RECORDS:
                break
            start = f"({records[-1][0].decode()}"
        return found


def computed(predictor: Predictor, sight: Sight) -> Outputs:
    """What a version makes of the rows of a look; None if it cannot be computed."""
    body = predictor.complete(sight.plan, sight.replies, sight.at_ms).bodies[0]
    if isinstance(body, PermanentError):
        return None
    outputs: Outputs = orjson.loads(body)["outputs"]
    return outputs
