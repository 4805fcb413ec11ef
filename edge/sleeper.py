"""A version that can be asked for at any time, whether its model is loaded or not.

What was computed before is found and answered without a session; only who has to compute waits for it to be loaded.
What an entry refers to is the sleeper's own servable, which holds no session: entries in memory keep none alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from edge.black_box import labelled
from edge.breaker import LONGEST_S, Breaker
from edge.runs import Runs
from precompute.errors import ModelFailed, ModelStuck, ModelUnavailable
from precompute.manifest import Project
from precompute.models import Key, Model
from precompute.predictor import Batch, Plan, Predictor, Servable
from precompute.registry import Version
from precompute.signature import Array, Output, Signature
from precompute.updates import AsOf, Reply

T = TypeVar("T")
#: A use counts half after so long.
HALF_LIFE_S = 60.0


@dataclass(frozen=True, slots=True)
class _Planned(Plan):
    """A plan, and who made it: it stays until it is carried out, whatever is let go meanwhile."""

    by: Predictor


class Sleeper(Predictor):
    """One version of a model; `awake` while it is loaded.

    Attributes:
        record: what the registry knows of it.
        loaded_bytes: memory that it takes, as measured when it was loaded last; before that, an estimate.
        load_s: how long loading took.
        wanted: somebody waits for it to be loaded, or is about to use it.
        ended: why it is not loaded again; empty as long as it may be.
    """

    def __init__(
        self,
        project: Project,
        record: Version,
        model: Model,
        begin_load: Callable[[Sleeper], asyncio.Future[None]],
        runs: Runs,
        clock_s: Callable[[], float],
    ) -> None:
        self.record = record
        session: Any = _Session(self)
        self.servable = Servable(model, record.variant, record.version, session, model.outputs, record.sha256)
        self.awake: Predictor | None = None
        self.signature: Signature | None = None
        self.breaker = Breaker()
        self.label = labelled(self.name)
        self.loaded_bytes = estimated_bytes(record.size)
        self.load_s = 0.01
        self.wanted = False
        self.ended = ""
        self.row_bytes = 0
        self._begin_load = begin_load
        self._runs = runs
        self._clock_s = clock_s
        self._uses, self._used_s = 0.0, clock_s()
        if runs.box is not None and self.name in runs.box.suspects:
            self.breaker.open("the last processes died while they ran it", clock_s(), LONGEST_S)

    @property
    def name(self) -> tuple[str, int]:
        """Model and version."""
        return self.servable.model.name, self.servable.version

    @property
    def was_awake(self) -> bool:
        """Whether it has ever been loaded, so that its signature is known."""
        return self.signature is not None

    @property
    def is_default(self) -> bool:
        """Whether it answers those who name no variant."""
        return self.servable.variant == self.servable.model.default_variant

    def wake(self, predictor: Predictor, took_s: float, used_bytes: int) -> None:
        """It has been loaded."""
        servable = predictor.servable
        self.signature, self.row_bytes = servable.session.signature, predictor.row_bytes
        # Known only now, for a model that declares no outputs.
        object.__setattr__(self.servable, "rules", servable.rules)
        self.load_s, self.loaded_bytes = took_s, used_bytes
        self.awake = predictor

    def sleep(self) -> Predictor | None:
        """Lets go of what was loaded, and returns it."""
        let_go, self.awake = self.awake, None
        return let_go

    def uses(self, now_s: float) -> float:
        """Keys that were computed of late, recent ones counting more."""
        faded: float = 0.5 ** ((now_s - self._used_s) / HALF_LIFE_S)
        return self._uses * faded

    def use(self, keys: float) -> None:
        """So many keys are computed."""
        now_s = self._clock_s()
        self._uses, self._used_s = self.uses(now_s) + keys, now_s

    def is_out(self) -> bool:
        """Whether it is taken out, because it failed."""
        # Asked of every answer of an experiment: nearly always neither is so, and the clock need not be read.
        breaker = self.breaker
        return self.ended != "" or (breaker.reason != "" and breaker.refuses_s(self._clock_s()) > 0)

    def warm_costs_s(self) -> Mapping[int, float]:
        """As `Predictor.warm_costs_s`; empty while it sleeps."""
        return self.awake.warm_costs_s() if self.awake is not None else {}

    def to_load_s(self) -> float:
        """As `Predictor.to_load_s`: as long as the last time."""
        return 0.0 if self.awake is not None else self.load_s

    def loading(self) -> asyncio.Future[None] | None:
        """As `Predictor.loading`; one that is taken out is not loaded, and `plan` says why."""
        # Until `plan`, which may come in a later turn of the loop, it must not be let go of.
        self.wanted = True
        return None if self.awake is not None or self.is_out() else self._begin_load(self)

    def ready(self) -> Servable:
        """As `Predictor.ready`.

        Raises:
            ModelUnavailable: it is not loaded, or was taken out.
        """
        return self._entered(1).servable

    def plan(self, keys: Sequence[Key]) -> Plan:
        """As `Predictor.plan`; raises as `ready` does."""
        predictor = self._entered(len(keys))
        plan = predictor.plan(keys)
        return _Planned(plan.keys, plan.entities, plan.indexes, plan.commands, predictor)

    def _entered(self, keys: int) -> Predictor:
        predictor, self.wanted = self.awake, False
        if predictor is None or not self.breaker.enter(self._clock_s()):
            raise self.unavailable()
        self.use(keys)
        return predictor

    def unavailable(self) -> ModelUnavailable:
        """Why nothing can be computed."""
        model, version = self.name
        if self.ended:
            return ModelUnavailable(f"model {model!r} version {version}: {self.ended}")
        reason, left_s = self.breaker.reason, self.breaker.refuses_s(self._clock_s())
        if reason:
            return ModelUnavailable(f"model {model!r} version {version} is taken out for {left_s:.0f} s more: {reason}")
        return ModelUnavailable(f"model {model!r} version {version} could not be loaded now")

    def complete(self, plan: Plan, replies: Sequence[Reply], now_ms: int) -> Batch:
        """As `Predictor.complete`, watched; may be called in any thread.

        Raises:
            ModelStuck: it took too long.
        """
        by = plan.by if isinstance(plan, _Planned) else self._loaded()
        with self._watching(by.servable):
            batch = by.complete(plan, replies, now_ms)
        self._judge(batch)
        return batch

    def watched(self, servable: Servable, compute: Callable[[], T], worked: Callable[[T], bool]) -> T:
        """As `Predictor.watched`; what does not work is not held against it, since anybody may send anything."""
        with self._watching(servable):
            result = compute()
        if worked(result):
            self.breaker.succeeded()
        else:
            self.breaker.gave_up()
        return result

    @contextmanager
    def _watching(self, servable: Servable) -> Iterator[None]:
        self._runs.begin(servable.session.stop_runs, self.label)
        try:
            yield
        except ModelStuck as error:
            self.breaker.open(str(error), self._clock_s())
            raise
        finally:
            self._runs.end()

    def _judge(self, batch: Batch) -> None:
        errors = [body for body in batch.bodies if isinstance(body, ModelFailed)]
        if any(isinstance(body, bytes) for body in batch.bodies):
            self.breaker.succeeded()
        elif errors:
            failed = [key.text for key, body in zip(batch.keys, batch.bodies, strict=True) if body in errors]
            self.breaker.failed(failed, str(errors[0]), self._clock_s())
        else:
            self.breaker.gave_up()

    def as_of(self, replies: Sequence[Reply]) -> AsOf:
        """As `Predictor.as_of`."""
        return self._loaded().as_of(replies)

    def _loaded(self) -> Predictor:
        if self.awake is None:
            raise self.unavailable()
        return self.awake


class _Session:
    """Stands for the session of a sleeper."""

    def __init__(self, sleeper: Sleeper) -> None:
        self._sleeper = sleeper

    @property
    def signature(self) -> Signature:
        """Known once it has been loaded."""
        if self._sleeper.signature is None:
            raise self._sleeper.unavailable()
        return self._sleeper.signature

    def run(self, feeds: dict[str, Array]) -> dict[str, Output]:
        """As `Session.run`; raises ModelUnavailable while it sleeps."""
        return self._sleeper._loaded().servable.session.run(feeds)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sleeper._loaded().servable.session, name)


def estimated_bytes(file_bytes: int) -> int:
    """What a session takes before anybody has measured it: twice its file for networks, six times for trees."""
    return (256 << 10) + 4 * file_bytes
