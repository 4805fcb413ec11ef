"""Settings from the environment, `NEARCAST_*`; read once by the entry points and passed on, never looked up again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from precompute.errors import ConfigError
from precompute.logs import LogFormat

MIB = 1 << 20

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """Where things are and how much each may take; every field is also an environment variable."""

    model_config = SettingsConfigDict(env_prefix="NEARCAST_", frozen=True, extra="ignore")

    #: The file that declares views and models.
    project: Path = Path("nearcast.toml")

    #: Writers speak to the primary.
    primary_url: str = "redis://127.0.0.1:6379/0"
    #: Edges read from the replica near them; without one, from the primary.
    replica_url: str | None = None
    #: Celery's broker; without one, database 1 of the primary.
    broker_url: str | None = None
    redis_timeout_s: _Positive = 2.0
    #: What logs are written as: lines for people, or a JSON document a line for programs.
    log_format: LogFormat = "text"

    #: Loopback unless somebody decides otherwise.
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8300
    #: Names this edge in metrics and sketches; the host and port if empty.
    edge_name: str = ""
    #: Where workers, schedulers and refreshers show their metrics: nowhere unless a port is named, 0 is any free one.
    #: Edges show theirs where they answer.
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    metrics_host: str = "127.0.0.1"
    #: Needed for everything that changes state over HTTP; without one, such requests are refused.
    admin_token: SecretStr | None = None

    #: Processes of an edge node, on one port; they share `memory_max_bytes` and `model_memory_bytes`.
    processes: _Count = 1
    #: Whether hits in memory are answered below ASGI; only good for finding out whether that is at fault.
    lane: bool = True
    #: Idle connections are kept so long: longer than the usual balancer keeps its own.
    keep_alive_s: _Positive = 75.0
    #: How long an edge that was told to stop goes on answering, each connection once, before it hangs up.
    drain_s: _Positive = 1.0
    memory_max_bytes: _Count = 256 * MIB
    #: For models that are loaded; what is needed least is let go of for what is needed now.
    model_memory_bytes: _Count = 2048 * MIB
    max_body_bytes: _Count = 1 * MIB
    max_keys_per_request: _Count = 1000
    #: Longest a live answer may take when the caller names no budget.
    budget_ms: _Positive = 1000.0
    #: Keys that may wait for live inference; more are refused with 503.
    max_waiting_keys: _Count = 4096
    #: Entries that may wait to be written back to the primary; more are dropped and counted.
    max_write_backs: _Count = 4096
    #: Answers of experiments that may wait to be recorded; more are dropped and counted.
    max_exposures: _Count = 20_000
    #: Records of experiments that stay, shared among those that run; the oldest make room.
    exposures_kept: _Count = 1_000_000
    #: Answers to tensors that are remembered by content, in each process; 0 for none.
    response_cache_bytes: Annotated[int, Field(ge=0)] = 0
    #: Hottest keys that an edge fetches before it says it is ready.
    warm_keys: Annotated[int, Field(ge=0)] = 10_000

    #: Whether edges write what they have counted to the primary, for dashboards.
    telemetry: bool = True
    #: How often edges hand over which keys they were asked for.
    hot_flush_s: _Positive = 5.0
    #: A key's weight halves in this time.
    hot_half_life_s: _Positive = 600.0
    #: Hot keys kept for each model.
    hot_keys: _Count = 10_000

    #: Keys of one precompute task: a tenth of a second for a small model, and what a killed worker has to do again.
    chunk_keys: _Count = 5_000
    #: How long a finished job can still be looked at.
    job_keep_s: _Positive = 3 * 86_400.0
    #: A task that nobody has confirmed for so long is given to another worker.
    task_timeout_s: _Positive = 120.0
    #: A leader that has not renewed for so long no longer leads.
    lease_ttl_s: _Positive = 5.0
    heartbeat_ms: _Positive = 100.0
    #: How often the scheduler looks for hot predictions about to expire, and for jobs that stand still.
    look_every_s: _Positive = 2.0
    #: Changes that come together are refreshed together.
    coalesce_ms: _Positive = 50.0
    #: Most hot keys that changes and expiry may have recomputed; live requests need the processors too.
    refresh_keys_per_s: _Positive = 20_000.0
    #: Refresh tasks that may wait for a worker; what is due beyond that waits where it can be merged.
    max_refresh_tasks: _Count = 16

    @property
    def read_url(self) -> str:
        """Where an edge reads."""
        return self.replica_url or self.primary_url

    @property
    def queue_url(self) -> str:
        """Where Celery's messages are."""
        if self.broker_url:
            return self.broker_url
        base, slash, database = self.primary_url.rpartition("/")
        return f"{base}/1" if slash and database.isdigit() else f"{self.primary_url.rstrip('/')}/1"


def from_environment(**overrides: object) -> Settings:
    """Settings from `NEARCAST_*`, with what the command line says on top; None means not said.

    Raises:
        ConfigError: a variable does not parse; names it.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(step) for step in first["loc"])
        raise ConfigError(f"NEARCAST_{name.upper()}: {first['msg'].lower()}, got {first['input']!r}") from None
