"""Why an answer comes from where it does: the ladder's decisions, explained instead of taken.

Everything here only looks. What `Seen` holds was gathered without counting as a request, and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge.absent import Absent
from edge.held import Held
from precompute.errors import ModelUnavailable, NearcastError, PermanentError
from precompute.freshness import Freshness
from precompute.keys import ORDERS
from precompute.models import Key, Model
from precompute.rows import stamp
from precompute.updates import milliseconds, stream_id, timestamp
from precompute.views import View

Document = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an edge saw of one key at one moment.

    Attributes:
        lag_s: how far behind its primary it may be.
        memory: what memory holds.
        absent: that memory knows of a missing row.
        replica: what the replica holds, or why that cannot be said.
        lives_ms: how much longer the replica keeps it; negative if not known.
        rows: `[dependencies]` as the replica has them; None if it could not be asked.
        outcome: the body that computing would give now, or why there would be none.
        rate_per_s, total_per_s: requests for this key, and for all of the model.
        rank: among the hot keys, from 1; None if it is not one.
    """

    now_ms: int
    lag_s: float
    memory: Held | None
    absent: Absent | None
    replica: Held | NearcastError | None
    lives_ms: int
    rows: Sequence[bytes | None] | None
    outcome: bytes | NearcastError
    rate_per_s: float | None
    rank: int | None
    total_per_s: float


class Explanation:
    """One key, at one moment, at one edge."""

    def __init__(self, model: Model, key: Key, views: Sequence[View], freshness: Freshness, seen: Seen) -> None:
        """`views` are those of the model's dependencies, in their order."""
        self._model = model
        self._key = key
        self._views = views
        self._freshness = freshness
        self._seen = seen
        self._watched = list(zip(model.watched_views, model.watched(key), strict=True))

    def document(self) -> Document:
        """All of it, as plain data."""
        steps = [self._memory(), self._replica(), self._revalidated(), self._live(), self._stale(), self._default()]
        tiers = self._cut(steps)
        first = next((tier for tier in tiers if tier["answers"]), {"tier": "error"})
        return {
            "would_answer": first.get("given_as", first["tier"]),
            "tiers": tiers,
            "dependencies": self._dependencies(),
            "hotness": {
                "requests_per_s": self._seen.rate_per_s,
                "rank": self._seen.rank,
                "model_requests_per_s": self._seen.total_per_s,
            },
            "next_refresh": self._next_refresh(),
        }

    def _cut(self, tiers: list[Document]) -> list[Document]:
        """A key that memory knows to have no row, or that cannot be computed at all, is answered by nothing behind."""
        for position, tier in enumerate(tiers):
            if tier.pop("final", False):
                for later in tiers[position + 1 :]:
                    later["answers"] = False
        return tiers

    def _memory(self) -> Document:
        held, absent = self._seen.memory, self._seen.absent
        tier = self._tier("memory", held)
        if not tier["answers"] and absent is not None and self._refuses(absent):
            tier["reasons"] = [{"reason": "no-row", "detail": str(absent.error())}]
            tier["final"] = True
        return tier

    def _refuses(self, absent: Absent) -> bool:
        return self._is_near() and absent.holds(self._freshness, self._seen.now_ms)

    def _replica(self) -> Document:
        found = self._seen.replica
        if isinstance(found, NearcastError):
            reason = "corrupt" if isinstance(found, PermanentError) else "unreachable"
            return {"tier": "replica", "answers": False, "reasons": [{"reason": reason, "detail": str(found)}]}
        tier = self._tier("replica", found)
        if found is not None and self._seen.lives_ms >= 0:
            tier["lives_s"] = self._seen.lives_ms / 1000
        return tier

    def _tier(self, name: str, held: Held | None) -> Document:
        if held is None:
            return {"tier": name, "answers": False, "reasons": [{"reason": "absent"}]}
        reasons = list(self._reasons(held))
        return {"tier": name, "answers": not reasons, "reasons": reasons, "entry": self._entry(held)}

    def _reasons(self, held: Held) -> Iterator[Document]:
        """Why an entry is not fresh; the same questions that the ladder asks, in its order."""
        now_ms, freshness = self._seen.now_ms, self._freshness
        if now_ms >= held.fresh_until_ms:
            yield {"reason": "expired", "since_s": (now_ms - held.fresh_until_ms) / 1000}
        if held.epoch != freshness.epoch:
            yield {"reason": "unknown-epoch", "detail": "made in another history of the primary, or none is known yet"}
        for (view, name), known in zip(self._watched, held.as_of, strict=True):
            table = freshness.tables[view]
            change = table.last_change(table.slot(name))
            if change > known:
                yield {"reason": "changed", **self._what(view, name), **_at(change)}
            elif known < table.floor:
                yield {"reason": "below-floor", **self._what(view, name), **_at(table.floor)}
        if not self._is_near():
            yield self._behind()

    def _what(self, view: str, name: str) -> Document:
        if view != ORDERS:
            return {"view": view, "entity": name}
        return {"ordered": "model" if name == self._model.name else "key"}

    def _is_near(self) -> bool:
        return self._seen.lag_s <= self._model.policy.max_lag_s

    def _behind(self) -> Document:
        return {"reason": "behind", "lag_s": _finite(self._seen.lag_s), "max_lag_s": self._model.policy.max_lag_s}

    def _entry(self, held: Held) -> Document:
        now_ms = self._seen.now_ms
        return {
            "version": held.servable.version,
            "computed_at": timestamp(held.computed_ms),
            "age_s": max(0, now_ms - held.computed_ms) / 1000,
            "ttl_left_s": (held.fresh_until_ms - now_ms) / 1000,
            "as_of": {view: stream_id(known) for (view, _), known in zip(self._watched, held.as_of, strict=True)},
            "deleted": held.is_deleted(self._freshness),
        }

    def _revalidated(self) -> Document:
        """Served as stale while it is computed anew."""
        return self._within("stale", "stale_while_revalidate_s", self._model.policy.stale_while_revalidate_s)

    def _live(self) -> Document:
        outcome = self._seen.outcome
        if isinstance(outcome, NearcastError):
            reason = "cannot-compute" if isinstance(outcome, PermanentError) else "unreachable"
            if isinstance(outcome, ModelUnavailable):
                reason = "no-model"
            tier: Document = {"tier": "live", "answers": False, "reasons": [{"reason": reason, "detail": str(outcome)}]}
            if isinstance(outcome, PermanentError):
                tier["final"] = True
            return tier
        if not self._is_near():
            # Computed from rows of a replica that is too far behind, it is given, but not as fresh.
            return {"tier": "live", "answers": True, "given_as": "stale", "reasons": [self._behind()]}
        return {"tier": "live", "answers": True, "reasons": []}

    def _stale(self) -> Document:
        return self._within("stale", "stale_if_error_s", self._model.policy.stale_if_error_s)

    def _within(self, name: str, setting: str, window_s: float) -> Document:
        """Whether an entry that is not fresh may be given under a policy."""
        tier: Document = {"tier": name, "setting": setting, "answers": False}
        if not window_s:
            return {**tier, "reasons": [{"reason": "not-allowed"}]}
        held = [h for h in (self._seen.memory, self._seen.replica) if isinstance(h, Held)]
        fit = [h for h in held if not h.is_deleted(self._freshness)]
        if not fit:
            return {**tier, "reasons": [{"reason": "deleted" if held else "absent"}]}
        stale_s = min(h.stale_for_ms(self._freshness, self._seen.now_ms) for h in fit) / 1000
        fits = stale_s <= window_s
        reasons = [] if fits else [{"reason": "too-stale", "stale_for_s": stale_s, "allowed_s": window_s}]
        return {**tier, "answers": fits, "reasons": reasons, "stale_for_s": stale_s}

    def _default(self) -> Document:
        declared = self._model.policy.default is not None
        return {"tier": "default", "answers": declared, "reasons": [] if declared else [{"reason": "not-allowed"}]}

    def _dependencies(self) -> list[Document]:
        nearest = self._seen.memory or (self._seen.replica if isinstance(self._seen.replica, Held) else None)
        rows: Sequence[bytes | None] = self._seen.rows or [None] * len(self._views)
        return [
            self._dependency(view, entity, row, nearest.as_of[position] if nearest else None)
            for position, (view, (_, entity), row) in enumerate(zip(self._views, self._watched, rows, strict=False))
        ]

    def _dependency(self, view: View, entity: str, row: bytes | None, known: int | None) -> Document:
        table = self._freshness.tables[view.name]
        followed = table.last_change(table.slot(entity))
        changed = None if known is None else followed > known
        document: Document = {
            "view": view.name,
            "entity": entity,
            "row": self._row(view, row),
            "as_of": None if known is None else stream_id(known),
            "last_change_followed": _at(followed) if followed else None,
            "changed_since": changed,
        }
        if changed and row is not None and stamp(row).update_id <= (known or 0):
            document["note"] = (
                "the row itself is older than the prediction: it was invalidated by hand, or another entity shares "
                "its slot in this edge's memory of changes"
            )
        return document

    def _row(self, view: View, row: bytes | None) -> Document:
        if self._seen.rows is None:
            return {"present": None}
        if row is None:
            return {"present": False}
        found = stamp(row)
        age_s = (self._seen.now_ms - found.event_ms) / 1000
        return {
            "present": True,
            "event_time": timestamp(found.event_ms),
            "event_age_s": age_s,
            "max_age_s": view.max_age_s,
            "within_max_age": None if view.max_age_s is None else age_s <= view.max_age_s,
            "changed": _at(found.update_id),
        }

    def _next_refresh(self) -> Document:
        if self._model.policy.refresh == "never":
            return {"expected_by": None, "detail": "the model's policy is refresh = never"}
        if self._seen.rank is None:
            return {"expected_by": None, "detail": "not among the hot keys: computed again when somebody asks"}
        stored = self._seen.replica
        by = timestamp(stored.fresh_until_ms) if isinstance(stored, Held) else None
        return {"expected_by": by, "detail": "hot: recomputed before it expires, or sooner when a row changes"}


def _at(update_id: int) -> Document:
    return {"id": stream_id(update_id), "at": timestamp(milliseconds(update_id))}


def _finite(seconds: float) -> float | None:
    return seconds if seconds < 1e9 else None
