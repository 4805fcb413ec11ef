"""The form of a declared job, as a person writes it in `[jobs.NAME]` or by command, and what it means for a project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from precompute.cron import Cron
from precompute.errors import InvalidKey
from precompute.fires import next_fire, shortest_gap_ms
from precompute.key_text import canonical_part
from precompute.models import Model
from precompute.schedules import (
    ByCron,
    Every,
    Missed,
    OnPublish,
    OnViewUpdate,
    Overlap,
    Priority,
    Schedule,
    When,
    Window,
)
from precompute.views import View

#: More often is a stream, not a schedule.
SHORTEST_S = 0.1
_DAY_S = 86_400.0
#: Any moment will do to find out whether a job ever fires: 2024-01-01.
_SOME_MOMENT_MS = 1_704_067_200_000

_Seconds = Annotated[float, Field(gt=0, le=366 * _DAY_S, allow_inf_nan=False)]


class DependentsTable(BaseModel):
    """`dependents = { view = "weather", entity = "EWR" }`: the hot keys that depend on a row."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    view: str
    entity: str

    @field_validator("entity")
    @classmethod
    def _canonical(cls, entity: str) -> str:
        try:
            return canonical_part(entity)
        except InvalidKey as error:
            raise ValueError(str(error)) from None


class JobTable(BaseModel):
    """`[jobs.NAME]`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: str
    variants: tuple[str, ...] | None = Field(default=None, min_length=1, strict=False)

    all: Literal[True] | None = None
    hot: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    keys: Annotated[str, Field(min_length=1)] | None = None
    dependents: DependentsTable | None = None

    cron: str | None = None
    every_s: Annotated[float, Field(ge=SHORTEST_S, le=366 * _DAY_S, allow_inf_nan=False)] | None = None
    on: Literal["publish", "view-update"] | None = None
    view: str | None = None
    min_interval_s: _Seconds = 60.0

    window: str | None = None
    timezone: str = "UTC"
    jitter_s: Annotated[float, Field(ge=0, le=_DAY_S, allow_inf_nan=False)] = 0.0
    priority: Priority = "normal"
    time_limit_s: _Seconds | None = None
    overlap: Overlap = "skip"
    missed: Missed = "run-once"

    @model_validator(mode="after")
    def _says_which_keys_and_when(self) -> JobTable:
        sources = ("all", "hot", "keys", "dependents")
        _one_of(self, sources, "names no keys: say all = true, hot = N, keys = FILE or dependents = { view, entity }")
        _one_of(self, ("cron", "every_s", "on"), 'is never due: say cron, every_s, or on = "publish" or "view-update"')
        if (self.on == "view-update") != (self.view is not None):
            raise ValueError('view goes with on = "view-update": the view whose updates are meant')
        if "min_interval_s" in self.model_fields_set and self.view is None:
            raise ValueError('min_interval_s goes with on = "view-update"')
        if self.variants and len(set(self.variants)) < len(self.variants):
            raise ValueError("variants names one twice")
        return self

    @model_validator(mode="after")
    def _fires(self) -> JobTable:
        schedule = self._timing()
        gap_ms = shortest_gap_ms(schedule)
        if gap_ms is not None and next_fire(schedule, _SOME_MOMENT_MS) is None:
            raise ValueError(f"{schedule.when} never fires within window {self.window}")
        if schedule.jitter_ms and (gap_ms is None or schedule.jitter_ms >= gap_ms):
            limit = "goes with cron or every_s" if gap_ms is None else f"must be below {gap_ms / 1000:g}, the interval"
            raise ValueError(f"jitter_s = {self.jitter_s:g} {limit}")
        return self

    @property
    def source(self) -> dict[str, object]:
        """Where the keys come from, as plain data: one item."""
        return self.model_dump(include={"all", "hot", "keys", "dependents"}, exclude_none=True)

    def build(self, name: str, variants: tuple[str, ...]) -> Schedule:
        """The job as the rest of the code sees it."""
        return replace(self._timing(), name=name, variants=variants, keys=self.source)

    def _timing(self) -> Schedule:
        limit_s = self.time_limit_s
        return Schedule(
            name="",
            model=self.model,
            variants=(),
            keys={},
            when=self._when(),
            window=None if self.window is None else Window.parse(self.window),
            timezone=_zone(self.timezone),
            jitter_ms=round(self.jitter_s * 1000),
            priority=self.priority,
            time_limit_ms=None if limit_s is None else max(1, round(limit_s * 1000)),
            overlap=self.overlap,
            missed=self.missed,
        )

    def _when(self) -> When:
        if self.cron is not None:
            return ByCron(Cron.parse(self.cron))
        if self.every_s is not None:
            return Every(round(self.every_s * 1000))
        return OnPublish() if self.view is None else OnViewUpdate(self.view, round(self.min_interval_s * 1000))


def _one_of(table: JobTable, names: tuple[str, ...], none: str) -> None:
    said = [name for name in names if getattr(table, name) is not None]
    if not said:
        raise ValueError(none)
    if len(said) > 1:
        raise ValueError(f"has both {said[0]} and {said[1]}; choose one")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise ValueError(f"no time zone {name!r}; write one such as Europe/Berlin") from None


def link_job(
    name: str,
    table: JobTable,
    views: Mapping[str, View],
    models: Mapping[str, Model],
    broken: Set[str],
    wrong: Callable[[str, str, str], None],
) -> Schedule:
    """A job beside the models and views it names; of no use when there are mistakes.

    Args:
        broken: views and models that are wrong in themselves, about which nothing more is said.
        wrong: takes table, key and message of each mistake.
    """
    at = f"jobs.{name}"
    variants = table.variants or ()
    model = models.get(table.model)
    if table.view is not None and table.view not in {*views, *broken}:
        wrong(at, "view", f"no view {table.view!r}; there are: {', '.join(views) or 'none'}")
    if model is not None:
        variants = table.variants or (model.default_variant,)
        for variant in variants:
            if variant not in model.variants:
                wrong(at, "variants", f"no variant {variant!r}; model {model.name!r} has: {', '.join(model.variants)}")
        _check_keys(at, table, model, wrong)
    elif table.model not in broken:
        wrong(at, "model", f"no model {table.model!r}; there are: {', '.join(models) or 'none'}")
    return table.build(name, variants)


def _check_keys(at: str, table: JobTable, model: Model, wrong: Callable[[str, str, str], None]) -> None:
    if table.all and model.all_keys is None:
        wrong(at, "all", f"model {model.name!r} does not say where all its keys are; add all_keys to it")
    reads = [dependency.view for dependency in model.dependencies]
    if table.dependents and table.dependents.view not in reads:
        what = f"model {model.name!r} does not read view {table.dependents.view!r}; it reads: {', '.join(reads)}"
        wrong(at, "dependents", what)
